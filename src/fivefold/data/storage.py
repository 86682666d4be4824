"""Datasets and manifests on disk: the output of one stage, verified when the next stage reads it.

Arrays are .npy files, memory-mapped on reading; metadata is JSON. Nothing is pickled. A manifest lists the SHA-256 of
every file of its folder, since DVC trusts any file whose mode marks it as cached.
"""

import hashlib
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ..config.base import StrictModel
from ..errors import ArtifactError
from .baselines import join_windows, sliding_windows
from .dataset import SPLITS, Array, Dataset, Split
from .schema import Schema

MANIFEST = "manifest.json"
ARRAY_FIELDS = ("x", "y", "rows", "groups", "extra_targets", "seasonal_naive")
"""Fields of `Split`; the last three only exist with groups, extra targets and a `season_length`."""
TOKENS_FIELD = "tokens"
"""Stored instead of x for one long text, whose windows overlap: (n + length - 1,)."""


class ManifestEntry(StrictModel):
    """One file of a manifest; shape and dtype are set for arrays only."""

    sha256: str
    bytes: int
    shape: tuple[int, ...] | None = None
    dtype: str | None = None


class Manifest(StrictModel):
    """The files that a stage wrote, by their path relative to the folder."""

    files: dict[str, ManifestEntry]


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Write the three splits and the schema to `folder`."""
    for name, split in dataset.splits().items():
        (folder / name).mkdir()
        for field in ARRAY_FIELDS:
            array = getattr(split, field)
            if array is None:
                continue
            if field == "x" and dataset.schema.task == "language_modeling":
                field, array = TOKENS_FIELD, join_windows(array)
            np.save(folder / name / f"{field}.npy", array, allow_pickle=False)
    (folder / "schema.json").write_text(dataset.schema.model_dump_json(indent=2) + "\n")


def load_dataset(folder: Path) -> Dataset:
    """Return the dataset that `save_dataset` wrote, with memory-mapped arrays.

    Raises:
        ArtifactError: a file is missing or differs from the manifest.
    """
    verify_manifest(folder)
    schema = Schema.from_json((folder / "schema.json").read_text(), folder / "schema.json")
    return Dataset(schema, *(_load_split(folder / name, schema) for name in SPLITS))


def _load_split(folder: Path, schema: Schema) -> Split:
    arrays = {
        field: _load_array(path)
        for field in (*ARRAY_FIELDS, TOKENS_FIELD)
        if (path := folder / f"{field}.npy").exists()
    }
    if TOKENS_FIELD in arrays:
        arrays["x"] = sliding_windows(arrays.pop(TOKENS_FIELD), *schema.shape)
    return Split(**arrays)


def _load_array(path: Path) -> Array:
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def write_manifest(folder: Path, manifest: str = MANIFEST) -> None:
    """Write `folder/manifest`: every file in `folder` with its digest, and shape and dtype of arrays."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    content = Manifest(files={path.relative_to(folder).as_posix(): _build_entry(path) for path in paths})
    (folder / manifest).write_text(content.model_dump_json(indent=2, exclude_none=True) + "\n")


def verify_manifest(folder: Path, manifest: str = MANIFEST) -> None:
    """Verify every file that the manifest of `folder` lists.

    Raises:
        ArtifactError: the manifest or a file is missing, or the digest of a file differs.
    """
    remedy = "run `dvc repro` again, or `dvc checkout --force` to restore it"
    try:
        content = Manifest.model_validate_json((folder / manifest).read_bytes())
    except (FileNotFoundError, ValidationError):
        raise ArtifactError(
            f"{folder / manifest} must be the manifest of a stage output, but is missing or invalid; {remedy}"
        ) from None
    for name, entry in content.files.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} must exist, since {manifest} lists it, but does not; {remedy}")
        digest = sha256(path)
        if digest != entry.sha256:
            raise ArtifactError(
                f"{path} must have the SHA-256 {entry.sha256[:12]}… of its manifest, but has {digest[:12]}…; {remedy}"
            )


def manifest_sha256(folder: Path, manifest: str = MANIFEST) -> str:
    """Return one hash of all files that the manifest of `folder` lists."""
    return sha256(folder / manifest)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build_entry(path: Path) -> ManifestEntry:
    array = _load_array(path) if path.suffix == ".npy" else None
    return ManifestEntry(
        sha256=sha256(path),
        bytes=path.stat().st_size,
        shape=None if array is None else array.shape,
        dtype=None if array is None else str(array.dtype),
    )
