"""Arrays x, and y if there are labels, from an .npz, without trusting what the archive claims."""

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError, one_line
from .pictures import PACKINGS, SHRUNK
from .records import Array

LARGEST_ARRAY = 2**30
"""Bytes up to which an array in an .npz may unpack to any multiple of its size."""

UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, MemoryError, struct.error, zipfile.BadZipFile, zlib.error)
"""What NumPy and zipfile raise at bytes that are no archive of arrays."""

OPTIONAL = ("lengths", "split")


def read_npz(source: Path, *, labelled: bool) -> dict[str, Array]:
    """Return arrays x, y and those of `OPTIONAL` that are there; bytes as text.

    labelled: whether y must be there too.

    Raises:
        DataError: the file is no archive of plain arrays, lacks x or y, or would unpack to far more than it is.
    """
    try:
        # numpy looks at the content, not at the name: a single array is no archive
        with zipfile.ZipFile(source) as archive, np.load(source, allow_pickle=False) as arrays:
            for info in archive.infolist():
                if info.file_size > max(LARGEST_ARRAY, SHRUNK * info.compress_size):
                    raise ValueError(f"{info.filename} makes {info.file_size:,} bytes of {info.compress_size:,}")
                if info.compress_type not in PACKINGS:
                    raise ValueError(f"{info.filename} is packed by method {info.compress_type}")
            needed = ("x", "y") if labelled else ("x",)
            read = {name: arrays[name] for name in ("x", "y", *OPTIONAL) if name in needed or name in arrays}
            odd = [name for name, array in read.items() if not isinstance(array, np.ndarray)]
            if odd:
                raise ValueError(f"{odd[0]} is no array")
    except KeyError:
        both = "arrays x and y, but lacks one of them; save both with numpy.savez, or x alone for `task: unsupervised`"
        one = "an array x, but lacks it; save it with numpy.savez"
        raise DataError(f"{source} must hold {both if labelled else one}") from None
    except UNREADABLE as error:
        raise DataError(
            f"{source} must be an .npz of plain arrays, but is not: {one_line(error)}; save it again"
        ) from None
    text = {name: np.char.decode(array, "utf-8", errors="replace") for name, array in read.items() if _is_bytes(array)}
    return read | text


def _is_bytes(array: Array) -> bool:
    return array.dtype.kind == "S"
