"""Read a raw source, whatever its kind."""

from pathlib import Path

from ..errors import DataError
from ..params.datasets import Dataset as DatasetParams
from ..params.datasets import Images
from .images import read_images
from .records import Records
from .schema import Schema
from .table import read_table


def read(params: DatasetParams) -> tuple[Schema, Records]:
    """Read the source of a dataset block.

    Raises:
        DataError: the source is missing or breaks a rule of its kind.
    """
    source = Path(params.source)
    if not source.exists():
        raise DataError(f"source must be a file, but {params.source!r} does not exist; put it there or mend `source`")
    return read_images(source, params) if isinstance(params, Images) else read_table(source, params)
