"""Images of one size: .npz files, and images bundled with scikit-learn."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError, one_line
from ..params.datasets import Images
from .bundled import load_bundled
from .records import Array, Records
from .schema import Schema
from .target import encode_target


def read_images(source: Path, params: Images) -> tuple[Schema, Records]:
    """Read images and their labels.

    Returns x (n, channels, height, width) uint8, y (n,).

    Raises:
        DataError: the file is no image archive, or its arrays do not fit each other.
    """
    pixels, labels, target = _arrays(source)
    x = _channels_first(pixels, source)
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", errors="replace")
    if labels.shape != (len(x),):
        raise DataError(
            f"{source}: y must hold one label an image, but x is {pixels.shape} and y is {labels.shape}; mend the file"
        )
    y, classes = encode_target(pd.Series(labels, name=target), params.task, source)
    schema = Schema(kind="images", task=params.task, target=target, features=(), shape=x.shape[1:], classes=classes)
    return schema, Records(x, y, np.arange(len(x)))


def _arrays(source: Path) -> tuple[Array, Array, str]:
    if source.suffix == ".sklearn":
        bunch, target = load_bundled(source)
        if not hasattr(bunch, "images"):
            raise DataError(f"{source} must name images, but names a table; set `kind: table`, or name digits")
        return bunch.images.astype(np.uint8), bunch.target, target
    if source.suffix != ".npz":
        raise DataError(
            f"images must be .npz or .sklearn, but source is {source}; save arrays x and y with numpy.savez"
        )
    try:
        # numpy looks at the content, not at the name: a single array is no archive
        with zipfile.ZipFile(source), np.load(source, allow_pickle=False) as arrays:
            return arrays["x"], arrays["y"], "label"
    except KeyError:
        raise DataError(
            f"{source} must hold arrays x and y, but lacks one of them; save both with numpy.savez"
        ) from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(
            f"{source} must be an .npz of plain arrays, but is not: {one_line(error)}; save it again"
        ) from None


def _channels_first(pixels: Array, source: Path) -> Array:
    if pixels.dtype != np.uint8:
        raise DataError(f"{source}: pixels must be uint8, 0 to 255, but are {pixels.dtype}; convert x with astype")
    if pixels.size == 0:
        raise DataError(f"{source}: x must hold an image and a pixel or more, but is {pixels.shape}; save it again")
    if pixels.ndim == 3:
        return pixels[:, None]  # (n, h, w) -> (n, 1, h, w)
    if pixels.ndim == 4 and pixels.shape[-1] in (1, 3):
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))  # (n, h, w, c) -> (n, c, h, w)
    raise DataError(
        f"{source}: x must be (n, height, width) or (n, height, width, 1 or 3), but is {pixels.shape}; reshape it"
    )
