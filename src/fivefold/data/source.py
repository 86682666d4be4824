"""Locate the raw file of a dataset."""

from pathlib import Path

from ..config.datasets import DatasetConfig
from ..errors import DataError


def resolve_source(params: DatasetConfig) -> Path:
    """Return the path of a dataset's source; a `DataError` if it does not exist."""
    path = Path(params.source)
    if not path.exists():
        raise DataError(f"source must be a file, but {params.source!r} does not exist; add the file or fix `source`")
    return path
