"""What a source is: its kind, and a dataset block for it."""

import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ..data import idx
from ..data.frame import SUFFIXES, read_frame
from ..data.npz import read_npz
from ..data.roles import PARTS
from ..data.ts import read_ts
from ..errors import DataError
from ..params.datasets import Format
from .sniff import sniff
from .tabular import SHARES, Block, of_columns, split_of, task_of

KINDS = ("table", "images", "sequences", "series", "text")


def look(source: Path, target: str, kind: str) -> Block:
    """Return a dataset block for `source`; `target` and `kind` are inferred where empty.

    Raises:
        DataError: it cannot be told what the source is, or which column is the target.
    """
    if kind and kind not in KINDS:
        raise DataError(f"--kind must be one of {', '.join(KINDS)}, but is {kind!r}; choose one of them")
    if source.suffix == ".txt":
        return _language()
    if source.suffix == ".ts":
        _, labels = read_ts(source)
        return _labelled("sequences", labels, by_source=False)
    if source.suffix == ".npz":
        return _npz(source, kind)
    if source.is_file() and idx.holds(source):
        raise DataError(f"{source} must come with its labels; name the folder that holds the IDX files")
    if source.is_dir() or source.suffix == ".zip":
        return _images(by_source=len(idx.parts(source)) > 1 or _has_parts(source))
    if source.suffix == ".sklearn" and kind in ("", "images") and "digits" in source.read_text(errors="replace"):
        return _images(by_source=False)
    if not source.name.lower().endswith(SUFFIXES):
        raise DataError(
            f"{source} must be {', '.join(SUFFIXES)}, .txt, .ts, .npz, .zip or a folder of images, but is none of them;"
            " convert it"
        )
    return _of_frame(source, target, kind)


def _language() -> Block:
    split = {"by": "time", "validation": 0.05, "test": 0.1}
    return {"kind": "text", "task": "language", "level": "character", "length": 32, "split": split}


def _images(*, by_source: bool) -> Block:
    split = {"by": "column"} if by_source else {"by": "stratified", **SHARES}
    return {"kind": "images", "task": "classification", "split": split, "normalize": "minmax"}


def _has_parts(source: Path) -> bool:
    if source.is_dir():
        names = {path.name.lower() for path in source.iterdir() if path.is_dir()}
        return bool(names) and names <= set(PARTS)
    try:
        with zipfile.ZipFile(source) as archive:
            paths = [PurePosixPath(name).parent.parts for name in archive.namelist()]
    except (zipfile.BadZipFile, EOFError, OSError, ValueError):
        return False  # reading it says what is wrong
    tops = {part.lower() for parts in paths for part in parts[:2]} & set(PARTS)
    return {PARTS[top] for top in tops} >= {"train", "test"}


def _npz(source: Path, kind: str) -> Block:
    arrays = read_npz(source)
    x, by_source = arrays["x"], "split" in arrays
    images = x.dtype == np.uint8 and x.ndim in (3, 4)
    wanted = "images" if kind == "images" or (not kind and images) else "sequences"
    return _labelled(wanted, pd.Series(arrays["y"].ravel()), by_source=by_source)


def _labelled(kind: str, labels: pd.Series, *, by_source: bool) -> Block:
    """Return a block of records with a label or a value each."""
    task = task_of(labels)
    split = {"by": "column"} if by_source else split_of(labels, task, None)
    return {"kind": kind, "task": task, "split": split, "normalize": "minmax" if kind == "images" else "standard"}


def _of_frame(source: Path, target: str, kind: str) -> Block:
    form = Format() if source.suffix.lower() in (".parquet", ".sklearn") else sniff(source)
    frame = read_frame(source, form)
    said = form.model_dump(exclude_defaults=True)
    block = of_columns(frame, source, target, kind)
    kind = block.pop("kind")
    return {"kind": kind, **({"format": said} if said else {}), **block}
