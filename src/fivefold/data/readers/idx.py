"""IDX files, the layout of MNIST: pairs of images and labels, or images alone, gzipped or not, in one folder.

Source: LeCun's description of the format: two zero bytes, the type, the number of dimensions, their sizes, big-endian.
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

IMAGE_FILE = re.compile(r"(?P<part>.+?)[-_.]?images[-_.]?idx3[-_.]?ubyte(\.gz)?")
SPLIT_BY_PREFIX = {"train": "train", "t10k": "test", "test": "test", "val": "validation", "validation": "validation"}
UBYTE = 8
CHUNK_BYTES = 2**20
"""Bytes that are unpacked at a time."""


def is_idx(source: Path) -> bool:
    """Say whether `source` is a folder of IDX files, or one such file of images."""
    return bool(list_splits(source))


def list_splits(source: Path) -> list[str]:
    """Return the parts of which `source` has images: train, t10k ..."""
    return list(_find_pairs(source))


def has_labels(source: Path) -> bool:
    """Say whether the images of every part of `source` have labels beside them."""
    return all(names.exists() for _, names in _find_pairs(source).values())


def read_idx(source: Path, *, labeled: bool) -> LabeledImages:
    """Read every pair: train-images-idx3-ubyte and train-labels-idx1-ubyte, t10k-..., with or without .gz.

    labelled: else images alone.

    Raises:
        DataError: a file is no IDX file, is torn, or a pair does not fit.
    """
    pixels, labels, given = [], [], []
    for part, (images, names) in sorted(_find_pairs(source).items(), key=lambda pair: pair[0] != "train"):
        if labeled and not names.exists():
            raise DataError(
                f"{images} must have its labels beside it, but {names.name} is not there; put it there, or set"
                " `task: unsupervised`"
            )
        x = load_idx_file(images, 3)
        y = load_idx_file(names, 1) if labeled else np.zeros(len(x))
        if len(x) != len(y):
            raise DataError(
                f"{images} must have as many labels as images, but has {len(y)} for {len(x)}; get both again"
            )
        pixels.append(x)
        labels.append(y)
        word = re.split("[-_.]", part)[-1]  # of emnist-letters-train
        given.append(np.full(len(x), SPLIT_BY_PREFIX.get(word, word)))
    if len({x.shape[1:] for x in pixels}) > 1:
        sizes = " and ".join(f"{height}x{width}" for _, height, width in (x.shape for x in pixels))
        raise DataError(f"{source}: images of all files must have one size, but have {sizes}; keep files of one set")
    together = pixels[0] if len(pixels) == 1 else np.concatenate(pixels)
    return LabeledImages(together, np.concatenate(labels), "label", np.concatenate(given))


def load_idx_file(path: Path, ndim: int) -> Array:
    """Return the array of one IDX file, uint8; no more is unpacked than its head says."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * ndim)
            if len(head) < 4 + 4 * ndim or head[:4] != bytes((0, 0, UBYTE, ndim)):
                raise DataError(
                    f"{path} must be an IDX file of {ndim} dimensions of bytes, but begins with"
                    f" {head[:4].hex() or 'nothing'}; get it again"
                )
            shape = tuple(int(size) for size in np.frombuffer(head, ">u4", ndim, 4))
            size, data = math.prod(shape), bytearray()
            while len(data) <= size and (piece := file.read(CHUNK_BYTES)):
                data += piece
    except (OSError, EOFError, zlib.error) as error:
        whole = "gzip file" if path.suffix == ".gz" else "file"
        raise DataError(
            f"{path} must be a whole {whole}, but is not: {one_line_message(error)}; get it again"
        ) from None
    if len(data) != size:
        holds = "more" if len(data) > size else f"{len(data)}"
        raise DataError(f"{path} must hold {shape} bytes after its head, but holds {holds}; get it again: it is torn")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _find_pairs(source: Path) -> dict[str, tuple[Path, Path]]:
    folder = source if source.is_dir() else source.parent
    files = sorted(folder.iterdir()) if source.is_dir() else [source]
    found = {}
    for path in files:
        match = IMAGE_FILE.fullmatch(path.name)
        if match:
            name = path.name.replace("images", "labels").replace("idx3", "idx1")
            found[match["part"]] = (path, path.with_name(name))
    return found
