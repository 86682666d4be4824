"""IDX files, the layout of MNIST: pairs of images and labels, gzipped or not, in one folder.

Source: LeCun's description of the format: two zero bytes, the type, the number of dimensions, their sizes, big-endian.
"""

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError, one_line
from .pictures import Labelled
from .records import Array

IMAGES = re.compile(r"(?P<part>.+?)[-_.]?images[-_.]?idx3[-_.]?ubyte(\.gz)?")
PARTS = {"train": "train", "t10k": "test", "test": "test", "val": "validation", "validation": "validation"}
UBYTE = 8


def holds(source: Path) -> bool:
    """Say whether `source` is a folder of IDX files, or one such file of images."""
    return bool(_pairs(source))


def read(source: Path) -> Labelled:
    """Read every pair: train-images-idx3-ubyte and train-labels-idx1-ubyte, t10k-..., with or without .gz.

    Raises:
        DataError: a file is no IDX file, is torn, or a pair does not fit.
    """
    pixels, labels, parts = [], [], []
    for part, (images, names) in sorted(_pairs(source).items(), key=lambda pair: pair[0] != "train"):
        if not names.exists():
            raise DataError(f"{images} must have its labels beside it, but {names.name} is not there; put it there")
        x, y = load(images, 3), load(names, 1)
        if len(x) != len(y):
            raise DataError(
                f"{images} must have as many labels as images, but has {len(y)} for {len(x)}; get both again"
            )
        pixels.append(x)
        labels.append(y)
        parts.append(np.full(len(x), PARTS.get(part, "train")))
    if len({x.shape[1:] for x in pixels}) > 1:
        raise DataError(f"{source}: images of all files must have one size, but have {[x.shape[1:] for x in pixels]}")
    together = pixels[0] if len(pixels) == 1 else np.concatenate(pixels)
    return Labelled(together, np.concatenate(labels), "label", np.concatenate(parts))


def load(path: Path, dimensions: int) -> Array:
    """Return the array of one IDX file, uint8."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} must be a whole gzip file, but is not: {one_line(error)}; get it again") from None
    head = 4 + 4 * dimensions
    if len(data) < head or data[:4] != bytes((0, 0, UBYTE, dimensions)):
        raise DataError(
            f"{path} must be an IDX file of {dimensions} dimensions of bytes, but begins with {data[:4].hex()};"
            " get it again"
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, 4))
    if len(data) - head != math.prod(shape):
        raise DataError(
            f"{path} must hold {shape} bytes after its head, but holds {len(data) - head}; get it again: it is torn"
        )
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)


def _pairs(source: Path) -> dict[str, tuple[Path, Path]]:
    folder = source if source.is_dir() else source.parent
    files = sorted(folder.iterdir()) if source.is_dir() else [source]
    found = {}
    for path in files:
        match = IMAGES.fullmatch(path.name)
        if match:
            name = path.name.replace("images", "labels").replace("idx3", "idx1")
            found[match["part"]] = (path, path.with_name(name))
    return found
