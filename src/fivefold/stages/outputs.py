"""Atomic output folders: the outputs of a stage are complete or absent."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from ..data.storage import MANIFEST, Manifest, write_manifest
from .signals import raise_if_stopped


@contextmanager
def atomic_output(target: Path, manifest_name: str = MANIFEST) -> Iterator[Path]:
    """Yield an empty folder; on success, move its contents and a manifest to `target`.

    Outputs that only the previous manifest lists are removed first. The manifest is moved last, so that a reader that
    finds it finds all files. On any error `target` is unchanged.
    """
    staging = target.parent / f".{target.name}.{manifest_name.removesuffix('.json')}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
        write_manifest(staging, manifest_name)
        raise_if_stopped()
        target.mkdir(exist_ok=True)
        for path in _stale_outputs(target, staging, manifest_name):
            _remove_path(path)
        (target / manifest_name).unlink(missing_ok=True)
        for path in sorted(staging.iterdir(), key=lambda path: path.name == manifest_name):
            _replace_path(path, target / path.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _stale_outputs(target: Path, staging: Path, manifest_name: str) -> list[Path]:
    """Return the outputs of the previous run of this stage that this run does not write; not those of other stages."""
    try:
        listed = Manifest.model_validate_json((target / manifest_name).read_bytes()).files
    except (FileNotFoundError, ValidationError):
        return []
    names = {name.partition("/")[0] for name in listed} - {path.name for path in staging.iterdir()}
    return [path for path in target.iterdir() if path.name in names]


def _replace_path(path: Path, target: Path) -> None:
    if target.is_dir():
        _remove_path(target)  # a rename cannot replace a folder that is not empty
    path.replace(target)


def _remove_path(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
