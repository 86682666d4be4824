"""Images, with labels or without, from whatever they lie in: folders, zips, IDX files, .npz, tables of pixels.

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

CHANNEL_NAMES = {1: "grey", 3: "RGB", 4: "RGBA"}
"""What images of so many channels are."""


@dataclass(frozen=True)
class RawImages(ArrayDataset):
    """Images with as many channels as one of them has; how many are kept is learnt from training images.

    channels: of each image by itself, (n,); None if all have as many.
    """

    channels: Array | None = None

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return the images, divided, with the most channels that a training image has."""
        if self.channels is None:
            return self.build_dataset(indices)
        x = convert_channels(self.x.transpose(0, 2, 3, 1), int(self.channels[indices["train"]].max()))
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        schema = self.schema.model_copy(update={"shape": x.shape[1:]})
        dataset = replace(self, x=x, schema=schema).build_dataset(indices)
        return replace(dataset, checks=(*dataset.checks, *_check_channels(self.channels, x.shape[1])))


def _check_channels(channels: Array, n_channels: int) -> Iterator[CheckResult]:
    """Tell of images with more or fewer channels by themselves, (n,), than are kept."""
    others = [(int((channels == c).sum()), name) for c, name in CHANNEL_NAMES.items() if c != n_channels]
    if told := " and ".join(f"{n} {name}" for n, name in others if n):
        text = f"of {len(channels)} images {told} are made {CHANNEL_NAMES[n_channels]}, as training images are"
        yield CheckResult(rule="channels", level="note", message=f"{text}; `channels: 1` makes all of them grey")


def read_images(source: Path, params: Images) -> RawImages:
    """Read images and their labels: x (n, c, h, w) uint8, y (n,), or (n, 0) if the task is unsupervised.

    Raises:
        DataError: the source is none of the formats, or its parts do not fit each other.
    """
    labelled = params.task != "unsupervised"
    found = _read_source(source, params, labeled=labelled)
    x = _to_nchw(found.pixels, source, params)
    if found.labels.shape != (len(x),):
        raise DataError(
            f"{source}: y must hold one label an image, but x is {found.pixels.shape} and y is {found.labels.shape};"
            f" {_labels_remedy(found.labels, len(x))}"
        )
    labels = pd.Series(found.labels, name=found.target)
    y, classes = encode_target(labels, params.task, source)
    target = found.target if labelled else ""
    schema = Schema(
        kind="images",
        task=params.task,
        target=target,
        features=(),
        shape=x.shape[1:],
        classes=classes,
        values=(target,) if labelled and not classes else (),
    )
    keys = SplitKeys(y, classes, predefined=_predefined_split(found, source, params))
    channels = found.channels if params.channels == "auto" else None
    return RawImages(keys, schema, x, np.arange(len(x)), found.checks, channels=channels)


def _read_source(source: Path, params: Images, *, labeled: bool) -> LabeledImages:
    if source.suffix == ".sklearn":
        bunch, target = load_bundled(source)
        if not hasattr(bunch, "images"):
            raise DataError(f"{source} must name images, but names a table; set `kind: table`, or name digits")
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
        leave_out = params.checks.get("corrupt", "error") != "error"
        return read_image_folder(source, params.size, leave_out, labeled=labeled)
    raise DataError(
        "images must be a folder, a .zip, IDX files, .npz, .csv, .csv.gz, .parquet or .sklearn, but source is"
        f" {source}; convert it"
    )


def _predefined_split(images: LabeledImages, source: Path, params: Images) -> Array | None:
    """Return the part of each image if the split asks for it."""
    if images.predefined is None or params.split.by != "predefined":
        return None
    if images.predefined.shape != images.labels.shape:
        raise DataError(
            f"{source}: split must hold one word an image, but is {images.predefined.shape} and y is {images.labels.shape};"
            " mend the file"
        )
    return parse_predefined_split(pd.Series(images.predefined, name="split"), source)


def _read_pixel_table(source: Path, params: Images, targets: list[str]) -> LabeledImages:
    """Read one image a row: every column but the label, if there is one, is a pixel, row by row of the image."""
    frame = read_frame(source, params.format)
    special = params.split.column if params.split.by == "predefined" and params.split.column in frame else None
    require_columns(frame, dict.fromkeys(targets, "target"), source)
    pixels = frame.drop(columns=[*targets, *([special] if special else [])])
    height, across, channels = _infer_layout(pixels.shape[1], params, source)
    try:
        values = pixels.to_numpy(dtype=np.float64)
    except ValueError as error:
        raise DataError(
            f"{source}: pixels must be numbers, but are not: {one_line_message(error)}; mend the file"
        ) from None
    if not ((values >= 0) & (values <= 255) & (values == np.round(values))).all():
        row = int(np.flatnonzero(~((values >= 0) & (values <= 255) & (values == np.round(values))).all(axis=1))[0])
        raise DataError(
            f"{source}: pixels must be whole numbers from 0 to 255, but those of row {row + 1} are not; rescale them"
        )
    parts = None if special is None else frame[special].to_numpy()
    shape = (len(frame), height, across) if channels == 1 else (len(frame), height, across, channels)
    labels = target_column(frame, targets).to_numpy()
    return LabeledImages(values.astype(np.uint8).reshape(shape), labels, params.target, parts)


def _infer_layout(width: int, params: Images, source: Path) -> tuple[int, int, int]:
    """Return height, width and channels of the images that rows of so many pixels are.

    They are of the size that is said if they can be, with the channels that are said or grey; else squares, which are
    resized; else of the size that is said, in colour.
    """
    said = 1 if params.channels == "auto" else params.channels
    exact = [(*params.size, c) for c in (said, 1, 3, 4) if c * math.prod(params.size) == width] if params.size else []
    sides = [(math.isqrt(width // c), c) for c in (1, 3, 4)]
    squares = [(side, side, c) for side, c in sides if side and side * side * c == width]
    fitting = [*(layout for layout in exact if layout[2] in (said, 1)), *squares, *exact]
    if not fitting:
        raise DataError(
            f"{source}: pixel columns must make up a square image, but there are {width}; say `size: [height, width]`,"
            " or drop the columns that are no pixels"
        )
    return fitting[0]


def _uint8_remedy(pixels: Array) -> str:
    """Return how pixels of another type become bytes."""
    shares = pixels.dtype.kind == "f" and pixels.size > 0 and pixels.min() >= 0 and pixels.max() <= 1
    return "multiply x by 255 and convert it with astype" if shares else "convert x with astype"


def _labels_remedy(labels: Array, n: int) -> str:
    """Return how labels of another shape become one an image."""
    if labels.ndim != 2 or len(labels) != n or labels.dtype.kind not in "biuf" or labels.shape[1] < 2:
        return "mend the file"
    one_hot = ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()
    return "save y.argmax(axis=1), which one 1 a row tells" if one_hot else "mend the file"


def _to_nchw(pixels: Array, source: Path, params: Images) -> Array:
    """Return (n, c, h, w)."""
    if pixels.dtype != np.uint8:
        raise DataError(f"{source}: pixels must be uint8, 0 to 255, but are {pixels.dtype}; {_uint8_remedy(pixels)}")
    if pixels.size == 0:
        raise DataError(f"{source}: x must hold an image and a pixel or more, but is {pixels.shape}; save it again")
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
        what = f"{source}: {len(pixels)} images of {params.size[0]}x{params.size[1]}"
        require_memory(size, what, "set a smaller `size`")
        pixels = resize_images(pixels, params.size)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
