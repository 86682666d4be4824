"""Read IDX files, the format of MNIST: pairs of images and labels, or images only, gzipped or not, in one folder.

Source: LeCun's description of the format: two zero bytes, data type, number of dimensions, their sizes, big-endian.
"""

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np

from ...errors import DataError, one_line_message
from ..dataset import Array
from .image_folder import LabeledImages

IMAGE_FILE = re.compile(r"(?P<prefix>.+?)[-_.]?images[-_.]?idx3[-_.]?ubyte(\.gz)?")
SPLIT_BY_PREFIX = {"train": "train", "t10k": "test", "test": "test", "val": "validation", "validation": "validation"}
UBYTE = 8
CHUNK_BYTES = 2**20
"""Number of bytes decompressed at a time."""


def is_idx(source: Path) -> bool:
    """Return whether `source` is a folder of IDX files, or one IDX file of images."""
    return bool(list_splits(source))


def list_splits(source: Path) -> list[str]:
    """Return the name prefixes of the image files in `source`: train, t10k, ..."""
    return list(_find_pairs(source))


def has_labels(source: Path) -> bool:
    """Return whether each image file of `source` has a label file next to it."""
    return all(names.exists() for _, names in _find_pairs(source).values())


def read_idx(source: Path, *, labeled: bool) -> LabeledImages:
    """Return the images of all pairs: train-images-idx3-ubyte and train-labels-idx1-ubyte, t10k-..., optionally .gz.

    Args:
        labeled: whether to read labels; otherwise images only.

    Raises:
        DataError: a file is not an IDX file or is truncated, or images and labels do not match.
    """
    pixels, labels, predefined = [], [], []
    for prefix, (image_file, label_file) in sorted(_find_pairs(source).items(), key=lambda pair: pair[0] != "train"):
        if labeled and not label_file.exists():
            raise DataError(
                f"{image_file} must have its labels next to it, but {label_file.name} does not exist; add it, or set"
                " `task: unsupervised`"
            )
        x = load_idx_file(image_file, 3)
        y = load_idx_file(label_file, 1) if labeled else np.zeros(len(x))
        if len(x) != len(y):
            raise DataError(
                f"{image_file} must have as many labels as images, but has {len(y)} labels for {len(x)} images;"
                " download both again"
            )
        pixels.append(x)
        labels.append(y)
        name = re.split("[-_.]", prefix)[-1]  # "train" of emnist-letters-train
        predefined.append(np.full(len(x), SPLIT_BY_PREFIX.get(name, name)))
    if len({x.shape[1:] for x in pixels}) > 1:
        sizes = " and ".join(f"{height}x{width}" for _, height, width in (x.shape for x in pixels))
        raise DataError(
            f"{source}: images of all files must have the same size, but have {sizes}; use the files of one dataset"
        )
    all_pixels = pixels[0] if len(pixels) == 1 else np.concatenate(pixels)
    return LabeledImages(all_pixels, np.concatenate(labels), "label", np.concatenate(predefined))


def load_idx_file(path: Path, ndim: int) -> Array:
    """Return the array of one IDX file, uint8; never decompresses more than its header announces."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * ndim)
            if len(header) < 4 + 4 * ndim or header[:4] != bytes((0, 0, UBYTE, ndim)):
                raise DataError(
                    f"{path} must be an IDX file with {ndim} dimensions of bytes, but begins with"
                    f" {header[:4].hex() or 'nothing'}; download it again"
                )
            shape = tuple(int(size) for size in np.frombuffer(header, ">u4", ndim, 4))
            size, data = math.prod(shape), bytearray()
            while len(data) <= size and (chunk := file.read(CHUNK_BYTES)):
                data += chunk
    except (OSError, EOFError, zlib.error) as error:
        kind = "gzip file" if path.suffix == ".gz" else "file"
        raise DataError(
            f"{path} must be a complete {kind}, but is not: {one_line_message(error)}; download it again"
        ) from None
    if len(data) != size:
        actual = "more" if len(data) > size else f"{len(data)}"
        raise DataError(f"{path} must contain {shape} bytes after its header, but contains {actual}; download it again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _find_pairs(source: Path) -> dict[str, tuple[Path, Path]]:
    folder = source if source.is_dir() else source.parent
    files = sorted(folder.iterdir()) if source.is_dir() else [source]
    pairs = {}
    for path in files:
        match = IMAGE_FILE.fullmatch(path.name)
        if match:
            name = path.name.replace("images", "labels").replace("idx3", "idx1")
            pairs[match["prefix"]] = (path, path.with_name(name))
    return pairs
