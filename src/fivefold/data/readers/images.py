"""Read images, with or without labels, from folders, zip archives, IDX files, .npz and tables of pixels.

Shapes: n images, c channels, h x w pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...config.datasets import Images
from ...errors import DataError, one_line_message
from ..columns.roles import parse_predefined_split
from ..dataset import Array, ArrayDataset, Dataset, SplitIndices, SplitKeys
from ..schema import CheckResult, Schema
from ..targets import encode_target, target_column
from . import idx
from .csv import load_bundled, read_frame, require_columns
from .image_folder import LabeledImages, read_image_folder
from .npz import read_npz
from .pixels import convert_channels, require_memory, resize_images

PIXEL_TABLE_SUFFIXES = (".csv", ".csv.gz", ".parquet")

CHANNEL_NAMES = {1: "grayscale", 3: "RGB", 4: "RGBA"}
"""Color mode by number of channels."""


@dataclass(frozen=True)
class RawImages(ArrayDataset):
    """Images padded to the largest number of channels; the final number depends on training images.

    Attributes:
        channels: number of channels of each image in its file, (n,); None if all images have the same number.
    """

    channels: Array | None = None

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return the images, split, with the largest number of channels of a training image."""
        if self.channels is None:
            return self.build_dataset(indices)
        x = convert_channels(self.x.transpose(0, 2, 3, 1), int(self.channels[indices["train"]].max()))
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        schema = self.schema.model_copy(update={"shape": x.shape[1:]})
        dataset = replace(self, x=x, schema=schema).build_dataset(indices)
        return replace(dataset, checks=(*dataset.checks, *_check_channels(self.channels, x.shape[1])))


def _check_channels(channels: Array, n_channels: int) -> Iterator[CheckResult]:
    """Yield a note on images whose number of channels, (n,), differs from `n_channels`."""
    counts = [(int((channels == c).sum()), name) for c, name in CHANNEL_NAMES.items() if c != n_channels]
    if converted := " and ".join(f"{n} {name}" for n, name in counts if n):
        mode = CHANNEL_NAMES[n_channels]
        text = f"{converted} of {len(channels)} images are converted to {mode}, the color mode of training images"
        yield CheckResult(rule="channels", level="note", message=f"{text}; `channels: 1` converts all to grayscale")


def read_images(source: Path, params: Images) -> RawImages:
    """Return images and their labels: x (n, c, h, w) uint8, y (n,), or (n, 0) if the task is unsupervised.

    Raises:
        DataError: the source has none of the formats, or its arrays do not match.
    """
    labeled = params.task != "unsupervised"
    images = _read_source(source, params, labeled=labeled)
    x = _to_nchw(images.pixels, source, params)
    if images.labels.shape != (len(x),):
        raise DataError(
            f"{source}: y must contain one label per image, but x is {images.pixels.shape} and y is"
            f" {images.labels.shape}; {_labels_remedy(images.labels, len(x))}"
        )
    labels = pd.Series(images.labels, name=images.target)
    y, classes = encode_target(labels, params.task, source)
    target = images.target if labeled else ""
    schema = Schema(
        kind="images",
        task=params.task,
        target=target,
        features=(),
        shape=x.shape[1:],
        classes=classes,
        values=(target,) if labeled and not classes else (),
    )
    keys = SplitKeys(y, classes, predefined=_predefined_split(images, source, params))
    channels = images.channels if params.channels == "auto" else None
    return RawImages(keys, schema, x, np.arange(len(x)), images.checks, channels=channels)


def _read_source(source: Path, params: Images, *, labeled: bool) -> LabeledImages:
    if source.suffix == ".sklearn":
        bunch, target = load_bundled(source)
        if not hasattr(bunch, "images"):
            raise DataError(f"{source} must name images, but names a table; set `kind: table`, or use digits")
        return LabeledImages(bunch.images.astype(np.uint8), bunch.target, target)
    if source.suffix == ".npz":
        arrays = read_npz(source, labeled=labeled)
        labels = arrays["y"] if labeled else np.zeros(arrays["x"].shape[:1])
        return LabeledImages(arrays["x"], labels, "label", arrays.get("split"))
    if source.name.endswith(PIXEL_TABLE_SUFFIXES):
        return _read_pixel_table(source, params, [params.target] if labeled else [])
    if idx.is_idx(source):
        return idx.read_idx(source, labeled=labeled)
    if source.is_dir() or source.suffix == ".zip":
        skip_corrupt = params.checks.get("corrupt", "error") != "error"
        return read_image_folder(source, params.size, skip_corrupt, labeled=labeled)
    raise DataError(
        "images must be a folder, a .zip, IDX files, .npz, .csv, .csv.gz, .parquet or .sklearn, but source is"
        f" {source}; convert it"
    )


def _predefined_split(images: LabeledImages, source: Path, params: Images) -> Array | None:
    """Return the predefined split of each image if `split.by` is predefined."""
    if images.predefined is None or params.split.by != "predefined":
        return None
    if images.predefined.shape != images.labels.shape:
        raise DataError(
            f"{source}: split must contain one word per image, but is {images.predefined.shape} and y is"
            f" {images.labels.shape}; fix the file"
        )
    return parse_predefined_split(pd.Series(images.predefined, name="split"), source)


def _read_pixel_table(source: Path, params: Images, targets: list[str]) -> LabeledImages:
    """Return one image per row: every column except label and split is a pixel, in row-major order."""
    frame = read_frame(source, params.format)
    split_column = params.split.column if params.split.by == "predefined" and params.split.column in frame else None
    require_columns(frame, dict.fromkeys(targets, "target"), source)
    pixels = frame.drop(columns=[*targets, *([split_column] if split_column else [])])
    height, width, channels = _infer_layout(pixels.shape[1], params, source)
    try:
        values = pixels.to_numpy(dtype=np.float64)
    except ValueError as error:
        raise DataError(
            f"{source}: pixels must be numbers, but are not: {one_line_message(error)}; fix the file"
        ) from None
    if not ((values >= 0) & (values <= 255) & (values == np.round(values))).all():
        row = int(np.flatnonzero(~((values >= 0) & (values <= 255) & (values == np.round(values))).all(axis=1))[0])
        raise DataError(
            f"{source}: pixels must be integers from 0 to 255, but those of row {row + 1} are not; rescale them"
        )
    predefined = None if split_column is None else frame[split_column].to_numpy()
    shape = (len(frame), height, width) if channels == 1 else (len(frame), height, width, channels)
    labels = target_column(frame, targets).to_numpy()
    return LabeledImages(values.astype(np.uint8).reshape(shape), labels, params.target, predefined)


def _infer_layout(n_pixels: int, params: Images, source: Path) -> tuple[int, int, int]:
    """Return height, width and channels of the images in rows of `n_pixels` columns.

    The configured size if it matches with the configured channels or as grayscale; else a square image, which is
    resized; else the configured size in color.
    """
    configured = 1 if params.channels == "auto" else params.channels
    exact = (
        [(*params.size, c) for c in (configured, 1, 3, 4) if c * math.prod(params.size) == n_pixels]
        if params.size
        else []
    )
    sides = [(math.isqrt(n_pixels // c), c) for c in (1, 3, 4)]
    squares = [(side, side, c) for side, c in sides if side and side * side * c == n_pixels]
    layouts = [*(layout for layout in exact if layout[2] in (configured, 1)), *squares, *exact]
    if not layouts:
        raise DataError(
            f"{source}: pixel columns must form a square image, but there are {n_pixels}; set `size: [height, width]`,"
            " or remove the columns that are not pixels"
        )
    return layouts[0]


def _uint8_remedy(pixels: Array) -> str:
    """Return how to convert pixels of another type to uint8."""
    is_fraction = pixels.dtype.kind == "f" and pixels.size > 0 and pixels.min() >= 0 and pixels.max() <= 1
    return "multiply x by 255 and convert it with astype" if is_fraction else "convert x with astype"


def _labels_remedy(labels: Array, n: int) -> str:
    """Return how to convert labels of another shape to one label per image."""
    if labels.ndim != 2 or len(labels) != n or labels.dtype.kind not in "biuf" or labels.shape[1] < 2:
        return "fix the file"
    one_hot = ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()
    return "save y.argmax(axis=1) instead of one-hot labels" if one_hot else "fix the file"


def _to_nchw(pixels: Array, source: Path, params: Images) -> Array:
    """Return pixels as (n, c, h, w) with the configured channels and size."""
    if pixels.dtype != np.uint8:
        raise DataError(f"{source}: pixels must be uint8, 0 to 255, but are {pixels.dtype}; {_uint8_remedy(pixels)}")
    if pixels.size == 0:
        raise DataError(
            f"{source}: x must contain at least one image and one pixel, but is {pixels.shape}; save it again"
        )
    if pixels.ndim == 3:
        pixels = pixels[:, :, :, None]
    if pixels.ndim != 4 or pixels.shape[-1] not in (1, 3, 4):
        raise DataError(
            f"{source}: x must be (n, height, width) or (n, height, width, 1, 3 or 4), but is {pixels.shape};"
            " reshape it"
        )
    pixels = convert_channels(pixels, params.channels)
    if params.size and pixels.shape[1:3] != params.size:
        size = len(pixels) * math.prod(params.size) * pixels.shape[-1]
        description = f"{source}: {len(pixels)} images of {params.size[0]}x{params.size[1]}"
        require_memory(size, description, "set a smaller `size`")
        pixels = resize_images(pixels, params.size)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
