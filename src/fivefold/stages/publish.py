"""Outputs that exist whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..data.storage import MANIFEST, write_manifest
from .guard import stop_if_asked


@contextmanager
def publishing(target: Path, manifest: str = MANIFEST) -> Iterator[Path]:
    """Yield an empty folder beside `target`; on success its content, with a manifest, is moved into `target`.

    The manifest goes last: a reader that finds it finds everything. On any error `target` stays as it was.
    """
    staging = target.parent / f".{target.name}.{manifest.removesuffix('.json')}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        write_manifest(staging, manifest)
        stop_if_asked()
        target.mkdir(exist_ok=True)
        (target / manifest).unlink(missing_ok=True)
        for path in sorted(staging.iterdir(), key=lambda path: path.name == manifest):
            _replace(path, target / path.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _replace(path: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)  # a rename cannot replace a folder that holds something
    path.replace(target)
