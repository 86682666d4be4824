"""Read a raw source, whatever its kind."""

from ..params.datasets import Dataset as DatasetParams
from ..params.datasets import Images
from .images import read_images
from .records import Records
from .schema import Schema
from .source import source_of
from .table import read_table


def read(params: DatasetParams) -> tuple[Schema, Records]:
    """Read the source of a dataset block.

    Raises:
        DataError: the source is missing or breaks a rule of its kind.
    """
    source = source_of(params)
    return read_images(source, params) if isinstance(params, Images) else read_table(source, params)
