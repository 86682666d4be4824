"""Where a dataset's raw file lies."""

from pathlib import Path

from ..config.datasets import DatasetConfig
from ..errors import DataError


def resolve_source(params: DatasetConfig) -> Path:
    """Return the path of a dataset's source; a `DataError` if nothing is there."""
    path = Path(params.source)
    if not path.exists():
        raise DataError(f"source must be a file, but {params.source!r} does not exist; put it there or mend `source`")
    return path
