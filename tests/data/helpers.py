"""Sources of images and sequences, and checks of the errors that they raise."""

import io
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fivefold.config.datasets import Sequences
from fivefold.config.splits import RandomSplit
from fivefold.data.prepare import prepare
from fivefold.errors import DataError

from ..conftest import images_block

Pixels = NDArray[np.uint8]
PREDEFINED = {"by": "predefined"}
RANDOM_SPLIT = RandomSplit(validation=0.2, test=0.2, by="random")
RANDOM = np.random.default_rng(0)


def random_pixels(*shape: int) -> Pixels:
    """Return random pixels."""
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def encode_image(image: NDArray[Any] | Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of an image file."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def write_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write files by their relative path to a folder, and return it."""
    for name, content in files.items():
        (root / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "set" / name).write_bytes(content)
    return root / "set"


def write_zip(root: Path, files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write files by their relative path to a .zip, and return its path."""
    with zipfile.ZipFile(root / "set.zip", "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name) if "\\" in name else name, content)
    return root / "set.zip"


def idx_bytes(array: Pixels) -> bytes:
    """Return an array in IDX format."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def assert_images_refused(source: Path, line: str, **changes: Any) -> None:
    """Check that preparing `source` raises an error of one line that contains `line`, and writes no files."""
    before = sorted(source.parent.rglob("*"))
    with pytest.raises(DataError, match=rf"\A[^\n]*{re.escape(line)}[^\n]*\Z"):
        prepare(images_block(source, **changes), 0)
    assert sorted(source.parent.rglob("*")) == before


def sequences_block(source: object, **changes: Any) -> Sequences:
    """Return a `datasets` block of sequences."""
    options = {"task": "classification", "split": RANDOM_SPLIT, "normalize": "standard", **changes}
    return Sequences(kind="sequences", source=str(source), **options)


def assert_sequences_refused(folder: Path, params: Sequences, line: str) -> None:
    """Check that preparing `params` raises an error of one line that contains `line`, and writes no files."""
    before = sorted(folder.iterdir())
    with pytest.raises(DataError, match=rf"\A[^\n]*{re.escape(line)}[^\n]*\Z"):
        prepare(params, 0)
    assert sorted(folder.iterdir()) == before
