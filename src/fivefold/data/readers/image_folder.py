"""Read image files, in one folder per class or in any layout, from a folder or a .zip that is not unpacked to disk.

root/cat/1.png          or, with predefined splits:    root/train/cat/1.png
root/dog/more/7.jpg                                    root/test/dog/9.png

Folders that all images share are ignored. The outermost other folder is the class; if all of them are named train, test
and the like, it is the split, with the class below it. Folders within a class are ignored: cat/batch1/1.png.
"""

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ...errors import CheckError, DataError, one_line_message
from ..columns.roles import SPLIT_ALIASES
from ..dataset import Array
from ..schema import CheckResult
from .pixels import require_memory, stack_images, to_standard_mode, to_uint8

FolderNames = tuple[str, ...]


def infer_classes(names: Sequence[PurePosixPath], source: Path) -> tuple[list[str], list[str] | None]:
    """Return the class of each image, and its predefined split; None if there are no predefined splits.

    Raises:
        DataError: an image is outside the folder of a class or a split, or a class name is not printable.
    """
    folders = _strip_shared_folders([name.parent.parts for name in names])
    splits = infer_splits(names)
    in_split = [bool(parents) and parents[0].lower() in SPLIT_ALIASES for parents in folders]
    if splits:
        folders = _strip_shared_folders([parents[1:] for parents in folders])
        if not any(folders):
            raise DataError(
                f"{source}: every image must be in the folder of its class, but {printable_path(names[0])} is directly"
                " in the folder of a split; create a folder for each class there, or set `task: unsupervised`"
            )
    elif any(inside and len(parents) > 1 for inside, parents in zip(in_split, folders, strict=True)):
        outside = printable_path(names[in_split.index(False)])
        raise DataError(
            f"{source}: every image must be in the folder of a split if any is, but {outside} is not; move it"
        )
    for name, parents in zip(names, folders, strict=True):
        if not parents:
            raise DataError(
                f"{source}: every image must be in the folder of its class, but {printable_path(name)} is not; move it,"
                " or set `task: unsupervised`"
            )
        if not parents[0].isprintable():
            raise DataError(
                f"{source}: a class must have a printable name, but {printable_path(name)} does not; rename its folder"
            )
    return [parents[0] for parents in folders], splits


def infer_splits(names: Sequence[PurePosixPath]) -> list[str] | None:
    """Return the predefined split of each image, from folders such as train and test; None if one has none."""
    tops = [
        folders[0].lower() if folders else ""
        for folders in _strip_shared_folders([name.parent.parts for name in names])
    ]
    return tops if tops and set(tops) <= set(SPLIT_ALIASES) else None


def _strip_shared_folders(parents: list[FolderNames]) -> list[FolderNames]:
    """Return the parent folders of each image without those that all images share, except for names of splits."""
    firsts = {folders[:1] for folders in parents}
    shared = len(firsts) == 1 and any(len(folders) > 1 for folders in parents)
    if shared and parents[0][0].lower() not in SPLIT_ALIASES:
        return _strip_shared_folders([folders[1:] for folders in parents])
    return parents


def printable_path(name: PurePosixPath) -> str:
    """Return a path in printable form, for a one-line message."""
    return str(name) if str(name).isprintable() else ascii(str(name))


MAX_LISTED = 5
"""Largest number of files named in a message."""

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg"))
PILLOW_FORMATS = ("PNG", "JPEG")
UNSUPPORTED_SUFFIXES = frozenset((".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".heic", ".jp2", ".jfif"))
"""Suffixes of images that are not read: each format adds a decoder that processes untrusted bytes."""
MAX_PIXELS = 64_000_000
"""Largest number of pixels of one image: a larger one is a mistake or an attack."""
MAX_FILE_BYTES = 256 * 2**20
"""Largest uncompressed size of one file in a .zip, in bytes."""
MAX_EXPANSION = 100
"""Largest compression ratio of a file of at least 1 MiB in a .zip: PNG and JPEG are already compressed."""
ZIP_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Other methods cannot be decompressed in parts, so the size claimed by the .zip would have to be trusted."""

READ_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    Image.DecompressionBombError,
)
"""Exceptions of Pillow and zipfile for bytes that are not an image."""

ImageEntry = tuple[PurePosixPath, Callable[[], IO[bytes]]]
"""The path of an image relative to its source, and a function that opens it."""

FileListing = tuple[list[ImageEntry], list[PurePosixPath], list[PurePosixPath]]
"""Images, images of other formats, and folders."""


@dataclass(frozen=True)
class LabeledImages:
    """Images (n, h, w) or (n, h, w, c) with one label each.

    Attributes:
        labels: (n,); zeros if no labels are read.
        target: name of the label.
        predefined: predefined split of each image, (n,); None if the source has no splits.
        channels: number of channels of each image in its file, (n,), before all got the same number.
        checks: results of the checks made while reading.
    """

    pixels: Array
    labels: Array
    target: str
    predefined: Array | None = None
    channels: Array | None = None
    checks: tuple[CheckResult, ...] = ()


def read_image_folder(
    source: Path, size: tuple[int, int] | None, skip_corrupt: bool, *, labeled: bool
) -> LabeledImages:
    """Return every image in `source`, in the order of their paths; the label is the folder of an image.

    Args:
        size: (h, w) to resize to; None requires images of one size.
        skip_corrupt: whether to skip images that cannot be read and report them in a check result.
        labeled: whether to infer labels; otherwise images may be in any folder.

    Raises:
        DataError: there are no images, one cannot be read or has no class, sizes differ, or a path is outside `source`.
    """
    images, loaded, corrupt = list[Array](), list[int](), []
    with _open_source(source) as (files, others, folders):
        names = [name for name, _ in files]
        classes, splits = infer_classes(names, source) if labeled else (np.zeros(len(names)), infer_splits(names))
        for position, (name, open_image) in enumerate(files):
            if len(images) == 1:
                sides = "x".join(map(str, images[0].shape[:2]))
                require_memory(
                    images[0].nbytes * len(files), f"{source}: {len(files)} images of {sides}", "set a smaller `size`"
                )
            try:
                with open_image() as file:
                    images.append(_decode_image(file, size))
                loaded.append(position)
            except READ_ERRORS as error:
                corrupt.append((name, _explain_error(error)))
    if corrupt and not skip_corrupt:
        name, reason = corrupt[0]
        rule = f"{source}: every image must be a readable PNG or JPEG, but {printable_path(name)} is not: {reason}"
        remedy = (
            f" ({len(corrupt)} such files: {_format_skipped(corrupt)}); remove them"
            if len(corrupt) > 1
            else "; remove it"
        )
        raise CheckError([rule + remedy], ["corrupt"])
    if not images:
        remedy = f"convert {printable_path(others[0])} ({len(others)} such files)" if others else "fix `source`"
        layout = " in one folder per class" if labeled else ""
        raise DataError(f"{source} must contain PNG or JPEG files{layout}, but contains none; {remedy}")
    pixels, scaled = to_uint8(images)
    candidates = {*folders, *(name.parent for name in others)} if labeled else set()
    empty = _find_empty_folders(candidates, [names[position] for position in loaded])
    return LabeledImages(
        stack_images(pixels, source),
        np.array(classes)[loaded],
        "label",
        None if splits is None else np.array(splits)[loaded],
        np.array([image.shape[2] for image in images]),
        (*_check_skipped(corrupt, others), *_check_empty_folders(empty), *scaled),
    )


def _find_empty_folders(folders: set[PurePosixPath], loaded: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """Return the innermost folders without a loaded image, unless the folder of their class contains one.

    cat/batch2 is not returned if cat/1.png is loaded; bird and train/bird are.
    """
    nonempty = {folder for name in loaded for folder in name.parents}
    inner = {folder for folder in folders if not any(folder in other.parents for other in folders)}
    depth = min(len(name.parts) for name in loaded) - 1
    return sorted(folder for folder in inner if PurePosixPath(*folder.parts[:depth]) not in nonempty)


def _check_empty_folders(empty: Sequence[PurePosixPath]) -> Iterator[CheckResult]:
    if empty:
        listed = ", ".join(map(printable_path, empty[:MAX_LISTED]))
        more = f" (and {len(empty) - MAX_LISTED} more)" if len(empty) > MAX_LISTED else ""
        text = f"folders without a readable image, which are not used as classes: {listed}{more}"
        yield CheckResult(rule="absent_class", level="warning", message=f"{text}; add images, or remove them")


def _check_skipped(
    corrupt: Sequence[tuple[PurePosixPath, str]], unsupported: Sequence[PurePosixPath]
) -> Iterator[CheckResult]:
    if corrupt:
        text = f"{len(corrupt)} files are not readable images and were skipped: {_format_skipped(corrupt)}"
        yield CheckResult(rule="corrupt", level="warning", message=text)
    if unsupported:
        text = (
            f"{len(unsupported)} images are neither PNG nor JPEG and were skipped, the first"
            f" {printable_path(unsupported[0])}"
        )
        yield CheckResult(rule="corrupt", level="warning", message=f"{text}; convert them")


def _format_skipped(corrupt: Sequence[tuple[PurePosixPath, str]]) -> str:
    """Return the names of the first skipped files."""
    return ", ".join(printable_path(name) for name, _ in corrupt[:MAX_LISTED]) + (
        ", ..." if len(corrupt) > MAX_LISTED else ""
    )


@contextmanager
def _open_source(source: Path) -> Iterator[FileListing]:
    """Yield the files of `source`; its images can be opened within the context."""
    if source.is_dir():
        yield _list_folder(source)
        return
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error, OSError) as error:
        raise DataError(
            f"{source} must be a complete .zip, but is not: {one_line_message(error)}; create it again"
        ) from None
    with archive:
        yield _list_zip(archive, source)


def _list_folder(source: Path) -> FileListing:
    found: list[ImageEntry] = []
    others, folders = [], []
    for path in sorted(source.rglob("*")):
        name = PurePosixPath(path.relative_to(source).as_posix())
        image = path.suffix.lower() in IMAGE_SUFFIXES
        if _is_unsupported(name) and path.is_file():
            others.append(name)
        if path.is_dir() and not _is_hidden(name):
            folders.append(name)
        if _is_hidden(name) or not (image or path.is_symlink()):
            continue
        if path.is_symlink() and not _is_inside(path, source):
            raise DataError(
                f"{source}: a file must be inside the source folder, but the link {printable_path(name)} points outside"
                " or to nothing; replace it by a copy of its target"
            )
        if path.is_symlink() and path.is_dir():
            raise DataError(
                f"{source}: a link must point to a file, but {printable_path(name)} points to the folder"
                f" {path.readlink()}; replace it by a copy of the folder, or remove the link"
            )
        if image and path.is_file():
            found.append((name, partial(_open_file, path)))
    return found, others, folders


def _open_file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _is_inside(link: Path, folder: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a broken or circular link
        return False


def _list_zip(archive: zipfile.ZipFile, source: Path) -> FileListing:
    found: list[ImageEntry] = []
    others, folders = [], []
    for info in archive.infolist():
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or "".join(name.parts[:1]).endswith(":"):
            raise DataError(
                f"{source}: a file must be inside the source folder, but {printable_path(name)} is outside; do not"
                " trust this .zip"
            )
        if not info.filename.endswith("/") and _is_unsupported(name):
            others.append(name)
        if info.filename.endswith("/") and not _is_hidden(name):
            folders.append(name)
        if info.filename.endswith("/") or name.suffix.lower() not in IMAGE_SUFFIXES or _is_hidden(name):
            continue
        if info.flag_bits & 1 or info.compress_type not in ZIP_COMPRESSIONS:
            method = "encrypted" if info.flag_bits & 1 else f"compressed by method {info.compress_type}"
            raise DataError(
                f"{source}: files must be stored or deflated, but {printable_path(name)} is {method}; create the .zip"
                " again"
            )
        if info.file_size > min(MAX_FILE_BYTES, max(2**20, MAX_EXPANSION * info.compress_size)):
            raise DataError(
                f"{source}: an image must decompress to at most {MAX_FILE_BYTES >> 20} MiB and {MAX_EXPANSION} times"
                f" its size, but {printable_path(name)} has {info.file_size:,} bytes from {info.compress_size:,}; do"
                " not trust this .zip"
            )
        found.append((name, partial(_open_zip_member, archive, info)))
    return sorted(found, key=lambda file: file[0].parts), sorted(others), folders


def _open_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    with archive.open(info) as file:
        return io.BytesIO(file.read(info.file_size))  # without a limit it would decompress more than the claimed size


def _is_hidden(name: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)


def _is_unsupported(name: PurePosixPath) -> bool:
    return name.suffix.lower() in UNSUPPORTED_SUFFIXES and not _is_hidden(name)


def _explain_error(error: BaseException) -> str:
    return "it is neither" if isinstance(error, UnidentifiedImageError) else one_line_message(error).rstrip(".")


def _decode_image(file: IO[bytes], size: tuple[int, int] | None) -> Array:
    """Return one image (h, w, c), rotated according to its EXIF orientation; uint8, or uint16 if it has 16 bits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unusual metadata; bytes that cannot be decoded raise
        with Image.open(file, formats=PILLOW_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"it claims {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
            image.load()
            with suppress(*READ_ERRORS):  # invalid metadata: the image is used as it is
                ImageOps.exif_transpose(image, in_place=True)
            standard = to_standard_mode(image)
    pixels = np.asarray(standard.resize((size[1], size[0]), Image.Resampling.BILINEAR) if size else standard)
    pixels = pixels.astype(np.uint16) if standard.mode == "I" else pixels
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
