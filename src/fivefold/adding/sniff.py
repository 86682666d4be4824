"""How a CSV is written, told from its beginning."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from ..data.encoding import guess
from ..data.frame import separator_of
from ..params.datasets import Format
from .marks import marks

BEGINNING = 2**20
"""Bytes that are looked at."""

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


ZEROS = 0.02
"""Share of cells with a leading zero from which whole numbers are codes."""


def sniff(source: Path) -> tuple[Format, tuple[str, ...]]:
    """Return the separator, the marks of numbers and whether there is a header, and what is doubtful of the marks.

    What cannot be told is as usual.
    """
    encoding = guess(source).encoding
    try:
        with gzip.open(source) if source.name.lower().endswith(".gz") else source.open("rb") as file:
            text = file.read(BEGINNING).decode(encoding, errors="ignore").lstrip("\ufeff")
    except (OSError, EOFError, zlib.error):
        return Format(), ()  # reading it says what is wrong
    lines = text.splitlines()[: None if len(text) < BEGINNING else -1]
    if not lines:
        return Format(), ()
    counts = {mark: _outside_quotes(lines[0], mark) for mark in (",", ";", "\t", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    separator = best if counts[best] else ","
    form = Format(separator=separator)  # type: ignore[arg-type]
    rows = list(csv.reader(lines, delimiter=separator_of(source, form)))
    decimal, thousands, doubt = marks(rows, separator)
    header = not all(NUMBER.fullmatch(cell.strip()) for cell in rows[0])
    return form.model_copy(update={"decimal": decimal, "thousands": thousands, "header": header}), tuple(
        filter(None, (doubt, *_codes(rows)))
    )


def _codes(rows: list[list[str]]) -> Iterator[str]:
    """Yield what to say of columns of digits that begin with zeros, which are lost in numbers."""
    for name, *cells in zip_longest(*rows, fillvalue=""):
        digits = [cell.strip() for cell in cells if cell.strip()]
        zeros = [cell for cell in digits if re.fullmatch(r"0\d+", cell)]
        if len(zeros) > max(1, ZEROS * len(digits)) and all(cell.isdigit() for cell in digits):
            remedy = f"set `columns: {{{name}: {{type: categorical}}}}`"
            yield f"{name}: {zeros[0]} is read as a number; if it is a code, {remedy}"


def _outside_quotes(line: str, mark: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(mark)
