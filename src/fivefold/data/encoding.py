"""In which encoding a file of text is written."""

import codecs
import gzip
import zlib
from pathlib import Path

from ..params.datasets import Format


def encoding_of(source: Path, form: Format) -> str:
    """Return what a dataset's `format` says, or what the file looks like."""
    return guess_encoding(source) if form.encoding == "auto" else form.encoding


def guess_encoding(source: Path) -> str:
    """Return utf-16 where its mark stands first, latin-1 for another text that is not UTF-8, else utf-8.

    What holds zero bytes without that mark is no text.
    """
    if source.suffix in (".parquet", ".sklearn"):
        return "utf-8"
    piece = b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with gzip.open(source) if source.suffix == ".gz" else source.open("rb") as file:
            piece = file.read(2**20)
            if piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            while piece:
                decoder.decode(piece)
                piece = file.read(2**20)
    except UnicodeDecodeError:
        return "utf-8" if b"\0" in piece else "latin-1"
    except (OSError, EOFError, zlib.error):
        pass  # a torn file: reading it says so, as of one that ends within a character
    return "utf-8"
