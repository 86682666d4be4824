"""Read a raw source, whatever its kind."""

from ..params.datasets import Dataset as DatasetParams
from ..params.datasets import Images, Sequences, Series, Table
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
