"""In which encoding a file of text is written."""

import codecs
import gzip
import re
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from math import inf
from pathlib import Path
from typing import NamedTuple

from ...config.datasets import FileFormat
from ...errors import DataError
from ..schema import CheckResult

TEXT_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")

UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

CHUNK_BYTES = 2**20
"""Bytes that are looked at at once."""

ALWAYS_ALLOWED_BYTES = 64 * 2**20
"""Bytes that any .gz may unpack to."""

CP1252_ONLY = re.compile(rb"[\x80-\x9f]")
"""What Windows writes letters and signs as, such as its euro; in latin-1 they are control characters."""

UNDEFINED_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
"""Bytes that stand for nothing in cp1252."""

MAX_EXPANSION = 100
"""Times that a larger one may grow: tables of text shrink to a tenth, of few values to a fiftieth."""


class DetectedEncoding(NamedTuple):
    """What a file looks like; for one that is not UTF-8 also the line of the first byte that shows it."""

    encoding: str
    line: int = 0


def resolve_encoding(source: Path, file_format: FileFormat) -> str:
    """Return what a dataset's `format` says, or what the file looks like."""
    return detect_encoding(source).encoding if file_format.encoding == "auto" else file_format.encoding


def require_bounded_gzip(source: Path, file_format: FileFormat) -> None:
    """Refuse a .gz that grows beyond what rows do: a few hundred kilobytes can hold more than memory does.

    Telling its encoding, which is done once, unpacks it to the end as well.
    """
    if file_format.encoding == "auto":
        detect_encoding(source)
    elif source.suffix.lower() == ".gz":
        with suppress(OSError, EOFError, zlib.error):  # of a torn file reading it tells
            deque(_iter_chunks(source), maxlen=0)


def check_encoding(source: Path, file_format: FileFormat) -> tuple[CheckResult, ...]:
    """Return what a person should know of a text whose encoding was told from its bytes."""
    found = detect_encoding(source) if file_format.encoding == "auto" else DetectedEncoding(file_format.encoding)
    if not found.line:
        return ()
    text = (
        f"not UTF-8, as a byte in line {found.line} shows: read as {found.encoding}; if words look odd, save the"
        " file as UTF-8"
    )
    return (CheckResult(rule="encoding", level="note", message=text),)


def detect_encoding(source: Path) -> DetectedEncoding:
    """Return utf-16 where its mark stands first, cp1252 or latin-1 for another text that is not UTF-8, else utf-8.

    What holds zero bytes without that mark is no text.

    Raises:
        DataError: most of the text is UTF-8, and few bytes are not; names the line of the first. Or a .gz grows beyond
            bounds.
    """
    if not source.is_file() or not source.name.lower().endswith(TEXT_SUFFIXES):
        return DetectedEncoding("utf-8")
    stat = source.stat()
    return _detect_cached(source, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)  # several ask, and each time a large file would be read for seconds
def _detect_cached(source: Path, mtime_ns: int, size: int) -> DetectedEncoding:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, first = 1, True
    pieces = _iter_chunks(source)
    try:
        for piece in pieces:
            if first and piece.startswith(UTF16_BOMS):
                deque(pieces, maxlen=0)  # so that all of it is bounded
                return DetectedEncoding("utf-16")
            first = False
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as error:
                if b"\0" in piece:
                    deque(pieces, maxlen=0)
                    break
                line += error.object[: error.start].count(b"\n")
                return _detect_single_byte(source, line, error.object[error.start])
            line += piece.count(b"\n")
    except (OSError, EOFError, zlib.error):
        pass  # a torn file: reading it says so, as of one that ends within a character
    return DetectedEncoding("utf-8")


def _detect_single_byte(source: Path, line: int, byte: int) -> DetectedEncoding:
    """Return latin-1, or cp1252 where only that has a letter for a byte.

    But not if more characters are UTF-8 than bytes are not: by chance latin-1 hardly looks like it.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    bad = good = 0
    windows, other = False, False
    for piece in _iter_chunks(source):
        text = decoder.decode(piece)
        windows = windows or CP1252_ONLY.search(piece) is not None
        other = other or UNDEFINED_IN_CP1252.search(piece) is not None
        wrong = text.count("\ufffd")
        bad += wrong
        good += len(text) - len(text.encode("ascii", "ignore")) - wrong
    if good > bad:
        raise DataError(
            f"{source} must be UTF-8, as most of it is, but line {line} holds byte 0x{byte:02x}, which is none ({bad}"
            " such bytes); mend it, or set `format: {encoding: latin-1}`"
        )
    return DetectedEncoding("cp1252" if windows and not other else "latin-1", line)


def _iter_chunks(source: Path) -> Iterator[bytes]:
    packed = source.suffix.lower() == ".gz"
    allowed = max(ALWAYS_ALLOWED_BYTES, MAX_EXPANSION * source.stat().st_size) if packed else inf
    with gzip.open(source) if packed else source.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            if file.tell() > allowed:
                raise DataError(
                    f"{source} must unpack to at most {ALWAYS_ALLOWED_BYTES >> 20} MiB or {MAX_EXPANSION} times its size, but makes more than"
                    f" {allowed:,} bytes; unpack it yourself if you trust it"
                )
            yield piece
