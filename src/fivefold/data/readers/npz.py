"""Arrays x, and y if there are labels, from an .npz, without trusting what the archive claims."""

import struct
import zipfile
import zlib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np

from ...errors import DataError, one_line_message
from ..columns.roles import SPLIT_ALIASES
from ..dataset import Array
from .image_folder import MAX_EXPANSION, ZIP_COMPRESSIONS

ALWAYS_ALLOWED_BYTES = 2**30
"""Bytes up to which an array in an .npz may unpack to any multiple of its size."""

READ_ERRORS = (ValueError, OSError, EOFError, RuntimeError, MemoryError, struct.error, zipfile.BadZipFile, zlib.error)
"""What NumPy and zipfile raise at bytes that are no archive of arrays."""

OPTIONAL_ARRAYS = ("lengths", "split")

ARRAY_ROLES = {"x": "x", "images": "x", "data": "x", "y": "y", "labels": "y", "targets": "y"}
"""What an array of a part is by its name: x_train as Keras has it, train_images as MedMNIST."""


def read_npz(source: Path, *, labeled: bool) -> dict[str, Array]:
    """Return arrays x, y and those of `OPTIONAL` that are there; bytes as text.

    Arrays of parts, as x_train, y_train, x_test and y_test, become one each, and split says which part a row is of.
    labelled: whether y must be there too.

    Raises:
        DataError: the file is no archive of plain arrays, lacks x or y, or would unpack to far more than it is.
    """
    try:
        # numpy looks at the content, not at the name: a single array is no archive
        with zipfile.ZipFile(source) as archive, np.load(source, allow_pickle=False) as arrays:
            for info in archive.infolist():
                if info.file_size > max(ALWAYS_ALLOWED_BYTES, MAX_EXPANSION * info.compress_size):
                    raise ValueError(f"{info.filename} makes {info.file_size:,} bytes of {info.compress_size:,}")
                if info.compress_type not in ZIP_COMPRESSIONS:
                    raise ValueError(f"{info.filename} is packed by method {info.compress_type}")
            needed = {"x", "y"} if labeled else {"x"}
            parts = {} if needed <= set(arrays) else _find_split_arrays(arrays)
            if not parts and not needed <= set(arrays):
                both = "arrays x and y, or x_train, y_train, x_test and y_test,"
                remedy = ", or set `task: unsupervised`" if labeled else ""
                raise DataError(
                    f"{source} must hold {both if labeled else 'an array x,'} but holds {', '.join(arrays) or 'none'};"
                    f" save it with numpy.savez{remedy}"
                )
            there = ["x", *(name for name in ("y", *OPTIONAL_ARRAYS) if name in arrays)]
            names = [*chain.from_iterable(parts.values())] or there
            read = {name: arrays[name] for name in names}
            odd = [name for name, array in read.items() if not isinstance(array, np.ndarray)]
            if odd:
                raise ValueError(f"{odd[0]} is no array")
    except READ_ERRORS as error:
        raise DataError(
            f"{source} must be an .npz of plain arrays, but is not: {one_line_message(error)}; save it again"
        ) from None
    read = _concat_splits(read, parts, source) if parts else read
    text = {name: np.char.decode(array, "utf-8", errors="replace") for name, array in read.items() if _is_bytes(array)}
    return read | text


def _find_split_arrays(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the arrays x and y of each part that has both."""
    found: dict[tuple[str, str], str] = {}
    for name in names:
        words = name.lower().split("_")
        part = next((SPLIT_ALIASES[word] for word in words if word in SPLIT_ALIASES), "")
        role = next((ARRAY_ROLES[word] for word in words if word in ARRAY_ROLES), "")
        if part and role and len(words) == 2:
            found[part, role] = name
    parts = dict.fromkeys(part for part, _ in found)
    return {part: (found[part, "x"], found[part, "y"]) for part in parts if {(part, "x"), (part, "y")} <= set(found)}


def _concat_splits(arrays: dict[str, Array], splits: dict[str, tuple[str, str]], source: Path) -> dict[str, Array]:
    """Return x, y and split of all parts."""
    x, y = [arrays[of_x] for of_x, _ in splits.values()], [arrays[of_y] for _, of_y in splits.values()]
    y = [labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels for labels in y]
    whole = all(images.ndim and labels.ndim and len(images) == len(labels) for images, labels in zip(x, y, strict=True))
    if not whole or any(len({array.shape[1:] for array in each}) > 1 for each in (x, y)):
        told = ", ".join(f"{name} {arrays[name].shape}" for name in chain.from_iterable(splits.values()))
        raise DataError(
            f"{source}: each part must have a label a row, and rows of one shape, but arrays are {told}; mend the file"
        )
    split = np.repeat(list(splits), [len(labels) for labels in y])
    return {"x": np.concatenate(x), "y": np.concatenate(y), "split": split}


def _is_bytes(array: Array) -> bool:
    return array.dtype.kind == "S"
