"""Read a raw source, whatever its kind."""

from pathlib import Path

from ..config.datasets import Dataset as DatasetParams
from ..config.datasets import Images, Sequences, Series, Table
from ..errors import DataError, one_line
from .images import read_images
from .raw import Raw
from .sequences import read_sequences
from .series import read_series
from .source import source_of
from .table import read_table
from .text import read_text


def read(params: DatasetParams) -> Raw:
    """Read the source of a dataset block.

    Raises:
        DataError: the source is missing or breaks a rule of its kind.
    """
    source = source_of(params)
    try:
        return _read(source, params)
    except OSError as error:  # a folder or file within that may not be looked at, or that vanishes
        raise DataError(
            f"{source} must be a file or folder that can be read, but is not: {one_line(error)}; mend that"
        ) from None


def _read(source: Path, params: DatasetParams) -> Raw:
    match params:
        case Table():
            return read_table(source, params)
        case Images():
            return read_images(source, params)
        case Sequences():
            return read_sequences(source, params)
        case Series():
            return read_series(source, params)
        case _:
            return read_text(source, params)
