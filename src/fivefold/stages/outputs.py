"""Outputs that exist whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from ..data.storage import MANIFEST, Manifest, write_manifest
from .signals import stop_if_asked


@contextmanager
def publishing(target: Path, manifest: str = MANIFEST) -> Iterator[Path]:
    """Yield an empty folder beside `target`; on success its content, with a manifest, is moved into `target`.

    The manifest goes last: a reader that finds it finds everything. What the manifest before it lists, and it does not,
    goes first. On any error `target` stays as it was.
    """
    staging = target.parent / f".{target.name}.{manifest.removesuffix('.json')}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        write_manifest(staging, manifest)
        stop_if_asked()
        target.mkdir(exist_ok=True)
        for path in _outdated(target, staging, manifest):
            _remove(path)
        (target / manifest).unlink(missing_ok=True)
        for path in sorted(staging.iterdir(), key=lambda path: path.name == manifest):
            _replace(path, target / path.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _outdated(target: Path, staging: Path, manifest: str) -> list[Path]:
    """Return what this stage's last run left in `target`, and this one does not write; others' files are not listed."""
    try:
        listed = Manifest.model_validate_json((target / manifest).read_bytes()).files
    except (FileNotFoundError, ValidationError):
        return []
    names = {name.partition("/")[0] for name in listed} - {path.name for path in staging.iterdir()}
    return [path for path in target.iterdir() if path.name in names]


def _replace(path: Path, target: Path) -> None:
    if target.is_dir():
        _remove(target)  # a rename cannot replace a folder that holds something
    path.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
