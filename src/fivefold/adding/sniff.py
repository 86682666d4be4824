"""How a CSV is written, told from its beginning."""

import csv
import gzip
import re
import zlib
from pathlib import Path

from ..data.encoding import guess_encoding
from ..data.frame import separator_of
from ..params.datasets import Format

BEGINNING = 2**16
"""Bytes that are looked at."""

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
COMMA = re.compile(r"[-+]?\d+,\d+")


def sniff(source: Path) -> Format:
    """Return the separator, the decimal mark and whether there is a header; what cannot be told is as usual."""
    encoding = guess_encoding(source)
    try:
        with gzip.open(source) if source.name.lower().endswith(".gz") else source.open("rb") as file:
            text = file.read(BEGINNING).decode(encoding, errors="ignore").lstrip("\ufeff")
    except (OSError, EOFError, zlib.error):
        return Format()  # reading it says what is wrong
    lines = text.splitlines()[: None if len(text) < BEGINNING else -1]
    if not lines:
        return Format()
    counts = {mark: _outside_quotes(lines[0], mark) for mark in (",", ";", "\t", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    separator = best if counts[best] else ","
    form = Format(separator=separator)  # type: ignore[arg-type]
    rows = list(csv.reader(lines[:200], delimiter=separator_of(source, form)))
    cells = [cell.strip() for row in rows[1:] for cell in row]
    commas = sum(bool(COMMA.fullmatch(cell)) for cell in cells)
    points = sum("." in cell and bool(NUMBER.fullmatch(cell)) for cell in cells)
    comma = separator != "," and commas > points
    header = not all(NUMBER.fullmatch(cell.strip()) for cell in rows[0])
    return form.model_copy(update={"decimal": "," if comma else ".", "header": header})


def _outside_quotes(line: str, mark: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(mark)
