"""Image files, a folder for each class or however they lie, in a folder or a .zip; nothing is unpacked to disk.

root/cat/1.png          or, with parts given:    root/train/cat/1.png
root/dog/more/7.jpg                              root/test/dog/9.png

What the folders above an image say: its class, and its part of the split if there are parts.

Folders that all images share say nothing. Of the others the outermost is the class, or the part if all of them are
named train, test and the like, with the class below it. Folders within that of a class say nothing: cat/batch1/1.png.
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
    """Return the class of each image, and the part of each; None if there are no parts.

    Raises:
        DataError: an image lies outside the folder of a class or a part, or a class has no name that can be shown.
    """
    above, parts = _strip_shared_folders([name.parent.parts for name in names]), infer_splits(names)
    inside = [bool(folders) and folders[0].lower() in SPLIT_ALIASES for folders in above]
    if parts:
        above = _strip_shared_folders([folders[1:] for folders in above])
        if not any(above):
            raise DataError(
                f"{source}: every image must lie in the folder of its class, but {printable_path(names[0])} lies in a part of"
                " the split; make a folder for each class there, or set `task: unsupervised`"
            )
    elif any(here and len(folders) > 1 for here, folders in zip(inside, above, strict=True)):
        beside = printable_path(names[inside.index(False)])
        raise DataError(
            f"{source}: every image must lie in a part of the split where one does, but {beside} does not; move it"
        )
    for name, folders in zip(names, above, strict=True):
        if not folders:
            raise DataError(
                f"{source}: every image must lie in the folder of its class, but {printable_path(name)} does not; move it, or"
                " set `task: unsupervised`"
            )
        if not folders[0].isprintable():
            raise DataError(
                f"{source}: a class must have a name that can be shown, but {printable_path(name)} has none; rename"
            )
    return [folders[0] for folders in above], parts


def infer_splits(names: Sequence[PurePosixPath]) -> list[str] | None:
    """Return the part of each image, train, test and the like; None unless all lie in the folder of one."""
    tops = [
        folders[0].lower() if folders else ""
        for folders in _strip_shared_folders([name.parent.parts for name in names])
    ]
    return tops if tops and set(tops) <= set(SPLIT_ALIASES) else None


def _strip_shared_folders(parents: list[FolderNames]) -> list[FolderNames]:
    """Return the folders of each image without those that all of them share, but for names of parts."""
    firsts = {folders[:1] for folders in parents}
    shared = len(firsts) == 1 and any(len(folders) > 1 for folders in parents)
    if shared and parents[0][0].lower() not in SPLIT_ALIASES:
        return _strip_shared_folders([folders[1:] for folders in parents])
    return parents


def printable_path(name: PurePosixPath) -> str:
    """Return a path as a message in one line shows it."""
    return str(name) if str(name).isprintable() else ascii(str(name))


MAX_LISTED = 5
"""Files that a message names at most."""

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg"))
PILLOW_FORMATS = ("PNG", "JPEG")
UNSUPPORTED_SUFFIXES = frozenset((".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".heic", ".jp2", ".jfif"))
"""Suffixes of images that are not read: each format is one more decoder that strangers' bytes would reach."""
MAX_PIXELS = 64_000_000
"""Pixels of one image: a larger one is a mistake or an attack."""
MAX_FILE_BYTES = 256 * 2**20
"""Bytes of one file in a .zip, unpacked."""
MAX_EXPANSION = 100
"""Times that a file of a mebibyte or more in a .zip may grow: PNG and JPEG are packed already and hardly shrink."""
ZIP_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of others zipfile cannot unpack a part: it would have to trust what the .zip claims."""

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
"""What Pillow and zipfile raise at bytes that are no image."""

ImageEntry = tuple[PurePosixPath, Callable[[], IO[bytes]]]
"""The path of an image below its source, and what opens it."""

FileListing = tuple[list[ImageEntry], list[PurePosixPath], list[PurePosixPath]]
"""Images, images of other formats, and folders."""


@dataclass(frozen=True)
class LabeledImages:
    """Images (n, h, w) or (n, h, w, c), a label each, and in which part they came if the source has parts.

    labels: (n,); where none are asked for, zeros.
    channels: that each image had by itself, (n,), before all got as many.
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
    """Read every image below `source`, in the order of their paths; the folder that it lies in is its label.

    size: (h, w) to resize to; None refuses images of several sizes.
    leave_out: whether an image that cannot be read is left out, with a finding that names it.
    labelled: else images may lie anywhere below `source`.

    Raises:
        DataError: there are no images, one cannot be read or has no class, their sizes differ, or a path climbs out.
    """
    images, read, corrupt = list[Array](), list[int](), []
    with _open_source(source) as (files, others, folders):
        names = [name for name, _ in files]
        classes, parts = infer_classes(names, source) if labeled else (np.zeros(len(names)), infer_splits(names))
        for place, (name, opened) in enumerate(files):
            if len(images) == 1:
                sides = "x".join(map(str, images[0].shape[:2]))
                require_memory(
                    images[0].nbytes * len(files), f"{source}: {len(files)} images of {sides}", "set a smaller `size`"
                )
            try:
                with opened() as file:
                    images.append(_decode_image(file, size))
                read.append(place)
            except READ_ERRORS as error:
                corrupt.append((name, _explain_error(error)))
    if corrupt and not skip_corrupt:
        name, reason = corrupt[0]
        rule = (
            f"{source}: every image must be a PNG or JPEG that can be read, but {printable_path(name)} is not: {reason}"
        )
        all_of_them = f" ({len(corrupt)} such files: {_format_skipped(corrupt)}); remove them"
        raise CheckError([rule + (all_of_them if len(corrupt) > 1 else "; remove it")], ["corrupt"])
    if not images:
        remedy = f"convert {printable_path(others[0])} ({len(others)} such files)" if others else "mend `source`"
        where = " in a folder for each class" if labeled else ""
        raise DataError(f"{source} must hold PNG or JPEG files{where}, but holds none; {remedy}")
    pixels, scaled = to_uint8(images)
    below = {*folders, *(name.parent for name in others)} if labeled else set()
    empty = _find_empty_folders(below, [names[place] for place in read])
    return LabeledImages(
        stack_images(pixels, source),
        np.array(classes)[read],
        "label",
        None if parts is None else np.array(parts)[read],
        np.array([image.shape[2] for image in images]),
        (*_check_skipped(corrupt, others), *_check_empty_folders(empty), *scaled),
    )


def _find_empty_folders(folders: set[PurePosixPath], loaded: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """Return innermost folders without an image that is read, unless one lies in the folder of the class above them.

    cat/batch2 is none where cat/1.png is read; bird and train/bird are.
    """
    full = {folder for name in loaded for folder in name.parents}
    inner = {folder for folder in folders if not any(folder in other.parents for other in folders)}
    depth = min(len(name.parts) for name in loaded) - 1
    return sorted(folder for folder in inner if PurePosixPath(*folder.parts[:depth]) not in full)


def _check_empty_folders(empty: Sequence[PurePosixPath]) -> Iterator[CheckResult]:
    if empty:
        text = f"folders hold no image that can be read, and are no class: {', '.join(map(printable_path, empty[:MAX_LISTED]))}"
        more = f" (and {len(empty) - MAX_LISTED} more)" if len(empty) > MAX_LISTED else ""
        yield CheckResult(rule="absent_class", level="warning", message=f"{text}{more}; bring images, or remove them")


def _check_skipped(
    corrupt: Sequence[tuple[PurePosixPath, str]], unsupported: Sequence[PurePosixPath]
) -> Iterator[CheckResult]:
    if corrupt:
        text = f"{len(corrupt)} files are no images that can be read and were left out: {_format_skipped(corrupt)}"
        yield CheckResult(rule="corrupt", level="warning", message=text)
    if unsupported:
        text = f"{len(unsupported)} images are neither PNG nor JPEG and were left out, the first {printable_path(unsupported[0])}"
        yield CheckResult(rule="corrupt", level="warning", message=f"{text}; convert them")


def _format_skipped(corrupt: Sequence[tuple[PurePosixPath, str]]) -> str:
    """Return the names of the first files that cannot be read."""
    return ", ".join(printable_path(name) for name, _ in corrupt[:MAX_LISTED]) + (
        ", ..." if len(corrupt) > MAX_LISTED else ""
    )


@contextmanager
def _open_source(source: Path) -> Iterator[FileListing]:
    """Yield what lies below `source`; its images can be opened within the context."""
    if source.is_dir():
        yield _list_folder(source)
        return
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error, OSError) as error:
        raise DataError(
            f"{source} must be a whole .zip, but is not: {one_line_message(error)}; pack it again"
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
                f"{source}: a file must stay in its folder, but the link {printable_path(name)} leads out or nowhere; copy what"
                " it names there"
            )
        if path.is_symlink() and path.is_dir():
            raise DataError(
                f"{source}: a link must name a file, but {printable_path(name)} names the folder {path.readlink()}; copy what"
                " is in it there, or remove the link"
            )
        if image and path.is_file():
            found.append((name, partial(_open_file, path)))
    return found, others, folders


def _open_file(path: Path) -> IO[bytes]:
    return path.open("rb")


def _is_inside(link: Path, folder: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to nothing, or to itself
        return False


def _list_zip(archive: zipfile.ZipFile, source: Path) -> FileListing:
    found: list[ImageEntry] = []
    others, folders = [], []
    for info in archive.infolist():
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or "".join(name.parts[:1]).endswith(":"):
            raise DataError(
                f"{source}: a file must stay in its folder, but {printable_path(name)} climbs out; do not trust this zip"
            )
        if not info.filename.endswith("/") and _is_unsupported(name):
            others.append(name)
        if info.filename.endswith("/") and not _is_hidden(name):
            folders.append(name)
        if info.filename.endswith("/") or name.suffix.lower() not in IMAGE_SUFFIXES or _is_hidden(name):
            continue
        if info.flag_bits & 1 or info.compress_type not in ZIP_COMPRESSIONS:
            how = "encrypted" if info.flag_bits & 1 else f"packed by method {info.compress_type}"
            raise DataError(
                f"{source}: files must be stored or deflated, but {printable_path(name)} is {how}; pack it again"
            )
        if info.file_size > min(MAX_FILE_BYTES, max(2**20, MAX_EXPANSION * info.compress_size)):
            raise DataError(
                f"{source}: an image must unpack to at most {MAX_FILE_BYTES >> 20} MiB and {MAX_EXPANSION} times its size, but"
                f" {printable_path(name)} makes {info.file_size:,} bytes of {info.compress_size:,}; do not trust this zip"
            )
        found.append((name, partial(_open_zip_member, archive, info)))
    return sorted(found, key=lambda file: file[0].parts), sorted(others), folders


def _open_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    with archive.open(info) as file:
        return io.BytesIO(file.read(info.file_size))  # with no number it would unpack all, however much is claimed


def _is_hidden(name: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)


def _is_unsupported(name: PurePosixPath) -> bool:
    return name.suffix.lower() in UNSUPPORTED_SUFFIXES and not _is_hidden(name)


def _explain_error(error: BaseException) -> str:
    return "it is neither" if isinstance(error, UnidentifiedImageError) else one_line_message(error).rstrip(".")


def _decode_image(file: IO[bytes], size: tuple[int, int] | None) -> Array:
    """Return one image (h, w, c), upright; uint8, or uint16 if it has 16 bits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata; what cannot be decoded raises
        with Image.open(file, formats=PILLOW_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"it claims {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
            image.load()
            with suppress(*READ_ERRORS):  # of metadata alone, and then the image is upright or says nothing
                ImageOps.exif_transpose(image, in_place=True)
            flat = to_standard_mode(image)
    pixels = np.asarray(flat.resize((size[1], size[0]), Image.Resampling.BILINEAR) if size else flat)
    pixels = pixels.astype(np.uint16) if flat.mode == "I" else pixels
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
