"""Options of `fivefold add`, their consistency, and the size of images."""

import re
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from PIL import Image

from ..data.readers.image_folder import IMAGE_SUFFIXES, PILLOW_FORMATS, READ_ERRORS, ZIP_COMPRESSIONS
from ..errors import DataError

ImageSize = tuple[int, int]
"""Height and width in pixels."""

MAX_IMAGE_SIDE = 128
"""Maximum longer side of an image in pixels; training on larger images takes hours on a CPU."""

EXIF_ORIENTATION, FIRST_ROTATED_ORIENTATION = 0x0112, 5
"""EXIF tag, and the smallest value with which height and width are swapped."""


def parse_size(text: str) -> ImageSize | None:
    """Return height and width from the value of `--size`; None if it is empty.

    Raises:
        DataError: the value is not HEIGHTxWIDTH.
    """
    if not text:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})[x×*,]([1-9]\d{0,4})", text.strip().lower())
    if not match:
        raise DataError(f"--size must be HEIGHTxWIDTH in pixels, but is {text!r}; write for example --size 32x48")
    return int(match[1]), int(match[2])


def infer_image_size(source: Path) -> tuple[ImageSize | None, str]:
    """Return the size to resize the images of a folder or zip to, and a note; None if resizing is not needed.

    Images of different sizes are resized to the median height and width, rounded to multiples of 4, within
    `MAX_IMAGE_SIDE`.
    """
    sizes = np.array(list(_read_sizes(source)))
    if not len(sizes):
        return None, ""  # the reader will report the error
    heights, widths = sizes.T
    height, width = np.median(heights), np.median(widths)
    differ = len(np.unique(sizes, axis=0)) > 1
    scale = min(1.0, MAX_IMAGE_SIDE / max(height, width))
    if not differ and scale == 1.0:
        return None, ""
    size = (_round_side(height * scale), _round_side(width * scale))
    reason = f"sizes differ (heights {heights.min()} to {heights.max()}, widths {widths.min()} to {widths.max()})"
    if not differ:
        reason = f"images are large ({heights[0]}x{widths[0]})"
    return size, f"{reason}: resized to {size[0]}x{size[1]}; override with --size"


def _round_side(side: float) -> int:
    return max(8, round(side / 4) * 4)


def _read_sizes(source: Path) -> Iterator[ImageSize]:
    """Yield the upright size of each image whose header can be read."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if is_image(PurePosixPath(path.relative_to(source).as_posix())) and path.is_file():
                with path.open("rb") as file:
                    yield from _read_size(file)
        return
    try:
        with zipfile.ZipFile(source) as archive:
            for info in archive.infolist():
                readable = not info.flag_bits & 1 and info.compress_type in ZIP_COMPRESSIONS
                if readable and is_image(PurePosixPath(info.filename)):
                    with archive.open(info) as packed:
                        yield from _read_size(packed)
    except READ_ERRORS:
        return  # the reader will report the error


def _read_size(file: IO[bytes]) -> Iterator[ImageSize]:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=PILLOW_FORMATS) as image:
            width, height = image.size
            is_rotated = image.getexif().get(EXIF_ORIENTATION, 1) >= FIRST_ROTATED_ORIENTATION
    except READ_ERRORS:
        return  # the reader will report the file
    yield (width, height) if is_rotated else (height, width)


def is_image(name: PurePosixPath) -> bool:
    """Return whether a file is an image, by its name."""
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.parts)
    return name.suffix.lower() in IMAGE_SUFFIXES and not hidden


KINDS = ("table", "images", "sequences", "series", "text")
UNSUPERVISED = "unsupervised"
TASKS = ("classification", "regression", "forecasting", UNSUPERVISED)
UNSUPERVISED_KINDS = ("table", "images", "sequences")
"""Kinds of data that can be used without a target."""


@dataclass(frozen=True)
class AddOptions:
    """Options of `fivefold add`; empty strings and None are inferred.

    target: column to predict.
    kind, task: one of `KINDS` and `TASKS`.
    size: height and width to resize images to.
    dates: date format, as in `format.dates`.
    header: whether the first line of a CSV contains the column names.
    sequence_id, time_step: columns of sequences in long form.
    time: time column of a series, or several separated by commas; for a table, the column to split by.
    skip_invalid: whether to drop rows of a table without a target.
    """

    target: str = ""
    kind: str = ""
    size: ImageSize | None = None
    dates: str = ""
    task: str = ""
    header: bool | None = None
    sequence_id: str = ""
    time_step: str = ""
    time: str = ""
    skip_invalid: bool = False

    def resolve_kind(self) -> "AddOptions":
        """Return the options with the kind that they imply.

        Raises:
            DataError: an option has an unknown value, or two options exclude each other.
        """
        if self.kind and self.kind not in KINDS:
            raise DataError(f"--kind must be one of {', '.join(KINDS)}, but is {self.kind!r}; choose one of them")
        if self.task and self.task not in TASKS:
            raise DataError(f"--task must be one of {', '.join(TASKS)}, but is {self.task!r}; choose one of them")
        if self.task == UNSUPERVISED and self.kind not in ("", *UNSUPERVISED_KINDS):
            raise DataError(
                f"--task {UNSUPERVISED} is for {', '.join(UNSUPERVISED_KINDS)}, but --kind is {self.kind};"
                " omit one of them"
            )
        if self.kind == "series" and self.task not in ("", "forecasting"):
            raise DataError(f"--task must be forecasting for --kind series, but is {self.task!r}; omit it")
        if self.task == UNSUPERVISED and self.target:
            raise DataError(f"--task {UNSUPERVISED} has no target, but --target is {self.target!r}; omit one of them")
        kind, origin = self.kind, f"--kind {self.kind}"
        forecast = ("series",) if self.task in ("", "forecasting") else ()
        for option, value, kinds in (
            ("--task forecasting", self.task == "forecasting", ("series",)),
            ("--sequence-id", self.sequence_id, ("sequences",)),
            ("--time-step", self.time_step, ("sequences",)),
            ("--time", self.time, (*forecast, "table", "text")),
        ):
            if value and kind and kind not in kinds:
                raise DataError(f"{option} is for {' or '.join(kinds)}, but {origin} is given; omit one of them")
            if value and not kind and kinds[0] != "table":
                kind, origin = kinds[0], option
        return replace(self, kind=kind)

    @property
    def time_columns(self) -> tuple[str, ...]:
        """Columns of `time`; several are combined into one time."""
        return tuple(name.strip() for name in self.time.split(",")) if self.time else ()

    def column_options(self) -> list[tuple[str, str]]:
        """Return the options whose value is a column, and their values."""
        named = [("--target", self.target), ("--sequence-id", self.sequence_id), ("--time-step", self.time_step)]
        return [*((option, name) for option, name in named if name), *(("--time", name) for name in self.time_columns)]
