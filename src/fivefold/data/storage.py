"""Arrays and manifests on disk: what a stage hands to the next, checked when it is read.

Arrays are .npy, memory-mapped on reading; facts are JSON. Nothing is pickled. A manifest lists the SHA-256 of every
file of its folder, since DVC trusts any file whose mode says that it is cached.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArtifactError
from .records import SPLITS, Array, Dataset, Records
from .schema import Schema

MANIFEST = "manifest.json"


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Write the three sets of rows and the schema into `folder`."""
    for name, records in dataset.splits().items():
        (folder / name).mkdir()
        for field in ("x", "y", "rows"):
            np.save(folder / name / f"{field}.npy", getattr(records, field), allow_pickle=False)
    (folder / "schema.json").write_text(dataset.schema.model_dump_json(indent=2) + "\n")


def load_dataset(folder: Path) -> Dataset:
    """Return what `save_dataset` wrote, its arrays memory-mapped.

    Raises:
        ArtifactError: a file is missing or differs from the manifest.
    """
    verify(folder)
    schema = Schema.from_json((folder / "schema.json").read_text(), folder / "schema.json")
    train, validation, test = (
        Records(*(_mapped(folder / name / f"{f}.npy") for f in ("x", "y", "rows"))) for name in SPLITS
    )
    return Dataset(schema, train, validation, test)


def _mapped(path: Path) -> Array:
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def write_manifest(folder: Path, manifest: str = MANIFEST) -> None:
    """List every file below `folder` with its digest, and arrays with shape and type, in `folder/manifest`."""
    files = {path.relative_to(folder).as_posix(): _entry(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    (folder / manifest).write_text(json.dumps({"files": files}, indent=2) + "\n")


def verify(folder: Path, manifest: str = MANIFEST) -> None:
    """Check every file that the manifest of `folder` lists.

    Raises:
        ArtifactError: the manifest or a file is missing, or a file's digest is another.
    """
    remedy = "run `dvc repro` again, or `dvc checkout --force` to restore it"
    try:
        files: dict[str, dict[str, Any]] = json.loads((folder / manifest).read_text())["files"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        raise ArtifactError(f"{folder / manifest} must list what its stage wrote, but does not; {remedy}") from None
    for name, entry in files.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} must exist, since {manifest} lists it, but does not; {remedy}")
        found = sha256(path)
        if found != entry["sha256"]:
            raise ArtifactError(
                f"{path} must have the SHA-256 {entry['sha256'][:12]}… of its manifest, but has {found[:12]}…; {remedy}"
            )


def digest(folder: Path, manifest: str = MANIFEST) -> str:
    """Return one hash that stands for all that the manifest of `folder` lists."""
    return sha256(folder / manifest)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(path: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"sha256": sha256(path), "bytes": path.stat().st_size}
    if path.suffix == ".npy":
        array = _mapped(path)
        entry |= {"shape": list(array.shape), "dtype": str(array.dtype)}
    return entry
