"""What a person says of a source on the command line, and what that implies.

The size to which images are resized, where a person or the images call for it.
"""

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
"""Pixels of the longer side of an image, beyond which training on a CPU takes hours."""

EXIF_ORIENTATION, FIRST_ROTATED_ORIENTATION = 0x0112, 5
"""EXIF tag, and the value from which height and width change places."""


def parse_size(text: str) -> ImageSize | None:
    """Return what `--size` says, None if it is empty.

    Raises:
        DataError: it is no height and width.
    """
    if not text:
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})[x×*,]([1-9]\d{0,4})", text.strip().lower())
    if not found:
        raise DataError(f"--size must be HEIGHTxWIDTH in pixels, but is {text!r}; write for example --size 32x48")
    return int(found[1]), int(found[2])


def infer_image_size(source: Path) -> tuple[ImageSize | None, str]:
    """Return the size to which images in a folder or zip should be brought, and why; None if they can stay.

    Images of several sizes take the median height and width, rounded to 4; large ones are made smaller.
    """
    sizes = np.array(list(_read_sizes(source)))
    if not len(sizes):
        return None, ""  # reading it says what is wrong
    heights, widths = sizes.T
    height, width = np.median(heights), np.median(widths)
    differ = len(np.unique(sizes, axis=0)) > 1
    shrink = min(1.0, MAX_IMAGE_SIDE / max(height, width))
    if not differ and shrink == 1.0:
        return None, ""
    to = (_round_side(height * shrink), _round_side(width * shrink))
    span = f"sizes differ (heights {heights.min()} to {heights.max()}, widths {widths.min()} to {widths.max()})"
    if not differ:
        span = f"images are large ({heights[0]}x{widths[0]})"
    return to, f"{span}: resized to {to[0]}x{to[1]}; --size changes it"


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
        return  # reading it says what is wrong


def _read_size(file: IO[bytes]) -> Iterator[ImageSize]:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=PILLOW_FORMATS) as image:
            width, height = image.size
            sideways = image.getexif().get(EXIF_ORIENTATION, 1) >= FIRST_ROTATED_ORIENTATION
    except READ_ERRORS:
        return  # reading it says which it is
    yield (width, height) if sideways else (height, width)


def is_image(name: PurePosixPath) -> bool:
    """Say whether a file is read as an image, by its name."""
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.parts)
    return name.suffix.lower() in IMAGE_SUFFIXES and not hidden


KINDS = ("table", "images", "sequences", "series", "text")
UNSUPERVISED = "unsupervised"
TASKS = ("classification", "regression", "forecasting", UNSUPERVISED)
UNSUPERVISED_KINDS = ("table", "images", "sequences")
"""Kinds of which nothing may have to be predicted."""


@dataclass(frozen=True)
class AddOptions:
    """Options of `fivefold add`; what is empty or None is inferred.

    size: height and width of images, to which they are resized.
    dates: what comes first in dates, as `format.dates` says it.
    header: whether the first line of a CSV names the columns.
    series, step: columns of sequences.
    time: column of a series, several with commas between, or by which rows of a table are divided.
    accept: rows of a table without a target are left out.
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
        """Return the same with the kind that other options imply.

        Raises:
            DataError: two options exclude each other, or one is none of what it can be.
        """
        if self.kind and self.kind not in KINDS:
            raise DataError(f"--kind must be one of {', '.join(KINDS)}, but is {self.kind!r}; choose one of them")
        if self.task and self.task not in TASKS:
            raise DataError(f"--task must be one of {', '.join(TASKS)}, but is {self.task!r}; choose one of them")
        if self.task == UNSUPERVISED and self.kind not in ("", *UNSUPERVISED_KINDS):
            raise DataError(
                f"--task {UNSUPERVISED} is of {', '.join(UNSUPERVISED_KINDS)}, but --kind is {self.kind}; leave out one of them"
            )
        if self.kind == "series" and self.task not in ("", "forecasting"):
            raise DataError(
                f"a series is told ahead, so --task must be forecasting, but is {self.task!r}; leave it out"
            )
        if self.task == UNSUPERVISED and self.target:
            raise DataError(
                f"--task {UNSUPERVISED} has no target, but --target names {self.target!r}; leave out one of them"
            )
        kind, origin = self.kind, f"--kind {self.kind}"
        ahead = ("series",) if self.task in ("", "forecasting") else ()
        for option, value, kinds in (
            ("--task forecasting", self.task == "forecasting", ("series",)),
            ("--series", self.sequence_id, ("sequences",)),
            ("--step", self.time_step, ("sequences",)),
            ("--time", self.time, (*ahead, "table", "text")),
        ):
            if value and kind and kind not in kinds:
                raise DataError(f"{option} is for {' or '.join(kinds)}, but {origin} is said; leave out one of them")
            if value and not kind and kinds[0] != "table":
                kind, origin = kinds[0], option
        return replace(self, kind=kind)

    @property
    def time_columns(self) -> tuple[str, ...]:
        """Columns of `time`: several, with commas between, are one time together."""
        return tuple(name.strip() for name in self.time.split(",")) if self.time else ()

    def column_options(self) -> list[tuple[str, str]]:
        """Return the options that name a column, and what they name."""
        named = [("--target", self.target), ("--series", self.sequence_id), ("--step", self.time_step)]
        return [*((option, name) for option, name in named if name), *(("--time", name) for name in self.time_columns)]
