"""Read arrays x, and y if there are labels, from an .npz, without trusting the sizes claimed by the archive."""

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
"""Size up to which an array in an .npz may have any compression ratio, in bytes."""

READ_ERRORS = (ValueError, OSError, EOFError, RuntimeError, MemoryError, struct.error, zipfile.BadZipFile, zlib.error)
"""Exceptions of NumPy and zipfile for bytes that are not an archive of arrays."""

OPTIONAL_ARRAYS = ("lengths", "split")

ARRAY_ROLES = {"x": "x", "images": "x", "data": "x", "y": "y", "labels": "y", "targets": "y"}
"""Role of an array of a split by its name: x_train as in Keras, train_images as in MedMNIST."""


def read_npz(source: Path, *, labeled: bool) -> dict[str, Array]:
    """Return arrays x, y and the `OPTIONAL_ARRAYS` that exist; bytes as text.

    Arrays per split, such as x_train, y_train, x_test and y_test, are concatenated, and `split` names the split of
    each row.

    Args:
        labeled: whether y is required.

    Raises:
        DataError: the file is not an archive of plain arrays, lacks x or y, or its compression ratio is suspicious.
    """
    try:
        # numpy checks the content, not the name: a single array is not an archive
        with zipfile.ZipFile(source) as archive, np.load(source, allow_pickle=False) as arrays:
            for info in archive.infolist():
                if info.file_size > max(ALWAYS_ALLOWED_BYTES, MAX_EXPANSION * info.compress_size):
                    raise ValueError(f"{info.filename} has {info.file_size:,} bytes from {info.compress_size:,}")
                if info.compress_type not in ZIP_COMPRESSIONS:
                    raise ValueError(f"{info.filename} is compressed by method {info.compress_type}")
            required = {"x", "y"} if labeled else {"x"}
            split_arrays = {} if required <= set(arrays) else _find_split_arrays(arrays)
            if not split_arrays and not required <= set(arrays):
                rule = "arrays x and y, or x_train, y_train, x_test and y_test," if labeled else "an array x,"
                remedy = ", or set `task: unsupervised`" if labeled else ""
                raise DataError(
                    f"{source} must contain {rule} but contains {', '.join(arrays) or 'none'};"
                    f" save it with numpy.savez{remedy}"
                )
            present = ["x", *(name for name in ("y", *OPTIONAL_ARRAYS) if name in arrays)]
            names = [*chain.from_iterable(split_arrays.values())] or present
            result = {name: arrays[name] for name in names}
            invalid = [name for name, array in result.items() if not isinstance(array, np.ndarray)]
            if invalid:
                raise ValueError(f"{invalid[0]} is not an array")
    except READ_ERRORS as error:
        raise DataError(
            f"{source} must be an .npz of plain arrays, but is not: {one_line_message(error)}; save it again"
        ) from None
    result = _concat_splits(result, split_arrays, source) if split_arrays else result
    text = {
        name: np.char.decode(array, "utf-8", errors="replace") for name, array in result.items() if _is_bytes(array)
    }
    return result | text


def _find_split_arrays(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the names of arrays x and y of each split that has both."""
    found: dict[tuple[str, str], str] = {}
    for name in names:
        words = name.lower().split("_")
        split = next((SPLIT_ALIASES[word] for word in words if word in SPLIT_ALIASES), "")
        role = next((ARRAY_ROLES[word] for word in words if word in ARRAY_ROLES), "")
        if split and role and len(words) == 2:
            found[split, role] = name
    splits = dict.fromkeys(split for split, _ in found)
    return {
        split: (found[split, "x"], found[split, "y"]) for split in splits if {(split, "x"), (split, "y")} <= set(found)
    }


def _concat_splits(arrays: dict[str, Array], splits: dict[str, tuple[str, str]], source: Path) -> dict[str, Array]:
    """Return x, y and split of all splits, concatenated."""
    x, y = [arrays[x_name] for x_name, _ in splits.values()], [arrays[y_name] for _, y_name in splits.values()]
    y = [labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels for labels in y]
    same_length = all(
        images.ndim and labels.ndim and len(images) == len(labels) for images, labels in zip(x, y, strict=True)
    )
    if not same_length or any(len({array.shape[1:] for array in role}) > 1 for role in (x, y)):
        shapes = ", ".join(f"{name} {arrays[name].shape}" for name in chain.from_iterable(splits.values()))
        raise DataError(
            f"{source}: each split must have one label per row, and rows of the same shape, but arrays are {shapes};"
            " fix the file"
        )
    split = np.repeat(list(splits), [len(labels) for labels in y])
    return {"x": np.concatenate(x), "y": np.concatenate(y), "split": split}


def _is_bytes(array: Array) -> bool:
    return array.dtype.kind == "S"
