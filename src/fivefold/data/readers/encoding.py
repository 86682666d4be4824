"""Detect the encoding of text files."""

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
"""Number of bytes read at a time."""

ALWAYS_ALLOWED_BYTES = 64 * 2**20
"""Size up to which a .gz may have any compression ratio, in bytes."""

CP1252_ONLY = re.compile(rb"[\x80-\x9f]")
"""Letters and signs in cp1252, such as the euro sign; control characters in latin-1."""

UNDEFINED_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
"""Bytes that are undefined in cp1252."""

MAX_EXPANSION = 100
"""Largest compression ratio of a larger .gz: tables of text compress to a tenth, of few values to a fiftieth."""


class DetectedEncoding(NamedTuple):
    """The encoding of a file, and the line of the first byte that shows it if it is not UTF-8."""

    encoding: str
    line: int = 0


def resolve_encoding(source: Path, file_format: FileFormat) -> str:
    """Return the encoding set in a dataset's `format`, or the detected one."""
    return detect_encoding(source).encoding if file_format.encoding == "auto" else file_format.encoding


def require_bounded_gzip(source: Path, file_format: FileFormat) -> None:
    """Raise a `DataError` if a .gz has a suspicious compression ratio: a few hundred kilobytes can exceed the memory.

    Detecting the encoding, which is cached, decompresses the whole file as well.
    """
    if file_format.encoding == "auto":
        detect_encoding(source)
    elif source.suffix.lower() == ".gz":
        with suppress(OSError, EOFError, zlib.error):  # reading a truncated file reports it
            deque(_iter_chunks(source), maxlen=0)


def check_encoding(source: Path, file_format: FileFormat) -> tuple[CheckResult, ...]:
    """Return a note if the encoding of a text was inferred from its bytes and may be wrong."""
    detected = detect_encoding(source) if file_format.encoding == "auto" else DetectedEncoding(file_format.encoding)
    if not detected.line:
        return ()
    text = (
        f"not UTF-8, as a byte in line {detected.line} shows: read as {detected.encoding}; if words look wrong, save"
        " the file as UTF-8"
    )
    return (CheckResult(rule="encoding", level="note", message=text),)


def detect_encoding(source: Path) -> DetectedEncoding:
    """Return utf-16 if the file begins with its byte order mark, cp1252 or latin-1 if it is not UTF-8, else utf-8.

    A file with zero bytes but without that mark is not text.

    Raises:
        DataError: most of the text is UTF-8, but a few bytes are not; names the line of the first. Or the compression
            ratio of a .gz is suspicious.
    """
    if not source.is_file() or not source.name.lower().endswith(TEXT_SUFFIXES):
        return DetectedEncoding("utf-8")
    stat = source.stat()
    return _detect_cached(source, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)  # there are several callers, and reading a large file takes seconds
def _detect_cached(source: Path, mtime_ns: int, size: int) -> DetectedEncoding:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, first = 1, True
    chunks = _iter_chunks(source)
    try:
        for chunk in chunks:
            if first and chunk.startswith(UTF16_BOMS):
                deque(chunks, maxlen=0)  # checks the size of the whole file
                return DetectedEncoding("utf-16")
            first = False
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                if b"\0" in chunk:
                    deque(chunks, maxlen=0)
                    break
                line += error.object[: error.start].count(b"\n")
                return _detect_single_byte(source, line, error.object[error.start])
            line += chunk.count(b"\n")
    except (OSError, EOFError, zlib.error):
        pass  # reading a truncated file reports it, as one that ends within a character
    return DetectedEncoding("utf-8")


def _detect_single_byte(source: Path, line: int, byte: int) -> DetectedEncoding:
    """Return latin-1, or cp1252 if a byte is a letter or sign only there.

    Raises:
        DataError: more characters are valid UTF-8 than bytes are invalid, which hardly happens by chance in latin-1.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    n_invalid = n_valid = 0
    has_cp1252, has_undefined = False, False
    for chunk in _iter_chunks(source):
        text = decoder.decode(chunk)
        has_cp1252 = has_cp1252 or CP1252_ONLY.search(chunk) is not None
        has_undefined = has_undefined or UNDEFINED_IN_CP1252.search(chunk) is not None
        invalid = text.count("\ufffd")
        n_invalid += invalid
        n_valid += len(text) - len(text.encode("ascii", "ignore")) - invalid
    if n_valid > n_invalid:
        raise DataError(
            f"{source} must be UTF-8, as most of it is, but line {line} contains the invalid byte 0x{byte:02x}"
            f" ({n_invalid} such bytes); fix it, or set `format: {{encoding: latin-1}}`"
        )
    return DetectedEncoding("cp1252" if has_cp1252 and not has_undefined else "latin-1", line)


def _iter_chunks(source: Path) -> Iterator[bytes]:
    is_gzip = source.suffix.lower() == ".gz"
    allowed = max(ALWAYS_ALLOWED_BYTES, MAX_EXPANSION * source.stat().st_size) if is_gzip else inf
    with gzip.open(source) if is_gzip else source.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            if file.tell() > allowed:
                raise DataError(
                    f"{source} must decompress to at most {ALWAYS_ALLOWED_BYTES >> 20} MiB or {MAX_EXPANSION} times its"
                    f" size, but has more than {allowed:,} bytes; decompress it yourself if you trust it"
                )
            yield chunk
