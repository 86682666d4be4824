"""A source that lies elsewhere comes into the project, wholly or not at all."""

import shutil
from pathlib import Path

from ..errors import DataError, one_line


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, but for hidden files, which no reader looks at; what links name comes in their place.

    Raises:
        DataError: a file cannot be read or written; nothing is left behind.
    """
    partial = target.with_name(f".{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove(partial)  # of a copy that was killed
    try:
        if source.is_dir():
            shutil.copytree(source, partial, ignore=shutil.ignore_patterns(".*", "__MACOSX"))
        else:
            shutil.copyfile(source, partial)
        partial.replace(target)
    except OSError as error:  # of which shutil.Error is one
        raise DataError(f"{source} must be copied to {target}, but cannot be: {one_line(error)}; mend that") from None
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
