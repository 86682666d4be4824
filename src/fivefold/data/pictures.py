"""Image files, a folder for each class, in a folder or a .zip; nothing is unpacked to disk.

root/cat/1.png          or, with parts given:    root/train/cat/1.png
root/dog/7.jpg                                   root/test/dog/9.png
"""

import io
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import DataError, one_line
from .findings import Finding
from .records import Array

SUFFIXES = frozenset((".png", ".jpg", ".jpeg"))
FORMATS = ("PNG", "JPEG")
LARGEST = 64_000_000
"""Pixels of one image: a larger one is a mistake or an attack."""
LARGEST_FILE = 256 * 2**20
"""Bytes of one file in a .zip, unpacked."""
PARTS = frozenset(("train", "training", "validation", "val", "valid", "test"))
CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}


@dataclass(frozen=True)
class Labelled:
    """Images (n, h, w) or (n, h, w, c), a label each, and in which part they came if the source has parts."""

    pixels: Array
    labels: Array
    target: str
    parts: Array | None = None
    findings: tuple[Finding, ...] = ()


def read_folder(source: Path, size: tuple[int, int] | None, leave_out: bool) -> Labelled:
    """Read every image below `source`; the folder that it lies in is its label.

    size: (h, w) to resize to; None refuses images of several sizes.
    leave_out: whether an image that cannot be read is left out, with a finding that names it.

    Raises:
        DataError: there are no images, one cannot be read, their sizes differ, or a zip climbs out of its folder.
    """
    images, labels, parts, corrupt = [], [], [], []
    for name, file in _files(source):
        try:
            images.append(_decoded(file, size))
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            corrupt.append((name, one_line(error)))
            continue
        folders = name.parts[:-1]
        labels.append(folders[-1])
        parts.append(folders[0].lower() if len(folders) > 1 and folders[0].lower() in PARTS else "")
    if corrupt and not leave_out:
        name, reason = corrupt[0]
        more = f" ({len(corrupt)} such files)" if len(corrupt) > 1 else ""
        raise DataError(
            f"{source}: every image must be a PNG or JPEG that can be read, but {name} is not: {reason}{more}; remove"
            " it, or set `checks: {corrupt: warning}`"
        )
    if not images:
        raise DataError(
            f"{source} must hold PNG or JPEG files in a folder for each class, but holds none; mend `source`"
        )
    named = ", ".join(str(name) for name, _ in corrupt[:5])
    findings = (
        [Finding(rule="corrupt", level="warning", text=f"{len(corrupt)} images left out: {named}")] if corrupt else []
    )
    given = np.array(parts) if all(parts) else None
    return Labelled(_stacked(images, source), np.array(labels), "label", given, tuple(findings))


def _files(source: Path) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """Yield each image below `source` with its path there, in the order of their names."""
    if source.is_dir():
        found = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        for path in found:
            name = PurePosixPath(path.relative_to(source).as_posix())
            with path.open("rb") as file:
                yield _with_folder(name, source), file
        return
    try:
        with zipfile.ZipFile(source) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.filename)
            for info in infos:
                name = PurePosixPath(info.filename)
                if info.is_dir() or name.suffix.lower() not in SUFFIXES or "__MACOSX" in name.parts:
                    continue
                if name.is_absolute() or ".." in name.parts:
                    raise DataError(
                        f"{source}: a file must stay in its folder, but {name} climbs out; do not trust this zip"
                    )
                if info.file_size > LARGEST_FILE:
                    raise DataError(
                        f"{source}: an image must be smaller than {LARGEST_FILE >> 20} MiB, but {name} unpacks to"
                        f" {info.file_size >> 20} MiB; remove it"
                    )
                yield _with_folder(_below_root(name, infos), source), io.BytesIO(archive.read(info))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise DataError(f"{source} must be a whole .zip, but is not: {one_line(error)}; pack it again") from None


def _below_root(name: PurePosixPath, infos: list[zipfile.ZipInfo]) -> PurePosixPath:
    """Drop the one folder that a zip often has around everything."""
    tops = {PurePosixPath(info.filename).parts[0] for info in infos if "__MACOSX" not in info.filename}
    return PurePosixPath(*name.parts[1:]) if len(tops) == 1 and len(name.parts) > 2 else name


def _with_folder(name: PurePosixPath, source: Path) -> PurePosixPath:
    if len(name.parts) < 2:
        raise DataError(f"{source}: every image must lie in the folder of its class, but {name} does not; move it")
    return name


def _decoded(file: IO[bytes], size: tuple[int, int] | None) -> Array:
    """Return one image (h, w, c) uint8."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata; what cannot be decoded raises
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise ValueError(f"it claims {image.width} x {image.height} pixels, more than {LARGEST:,}")
            alpha = "A" in image.getbands() or "transparency" in image.info
            grey = image.mode in ("1", "L", "LA", "I", "I;16", "F") and not alpha
            plain = image.convert("L" if grey else "RGBA" if alpha else "RGB")
            if size and plain.size != (size[1], size[0]):
                plain = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(plain)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _stacked(images: list[Array], source: Path) -> Array:
    """Return (n, h, w, c); c is the most that an image has: grey becomes RGB, RGB opaque RGBA."""
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        small, large = min(sizes), max(sizes)
        raise DataError(
            f"{source}: images must have one size, but have {len(sizes)}, from {small[0]}x{small[1]} to"
            f" {large[0]}x{large[1]}; set `size: [height, width]` to resize them"
        )
    channels = max(image.shape[2] for image in images)
    height, width = sizes.pop()
    out = np.full((len(images), height, width, channels), 255, np.uint8)
    for place, image in zip(out, images, strict=True):
        place[:, :, : min(channels, max(3, image.shape[2])) if channels > 1 else 1] = image
    return out
