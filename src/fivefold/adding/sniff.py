"""How a CSV is written, told from its beginning."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from ..config.datasets import Format
from ..data.readers.csv import separator_of
from ..data.readers.encoding import guess
from .marks import marks

BEGINNING = 2**20
"""Bytes that are looked at."""

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


ZEROS = 0.02
"""Share of cells with a leading zero from which whole numbers are codes."""


@dataclass(frozen=True)
class Sniffed:
    """The separator, the marks of numbers and whether there is a header; what cannot be told is as usual.

    doubt: what is doubtful of the marks; empty for nothing.
    codes: columns of digits that begin with zeros, which are lost in numbers, and the first such cell.
    """

    form: Format = field(default_factory=Format)
    doubt: str = ""
    codes: Mapping[str, str] = field(default_factory=dict)


def sniff(source: Path) -> Sniffed:
    """Return how a CSV is written."""
    encoding = guess(source).encoding
    try:
        with gzip.open(source) if source.name.lower().endswith(".gz") else source.open("rb") as file:
            text = file.read(BEGINNING).decode(encoding, errors="ignore").lstrip("\ufeff")
    except (OSError, EOFError, zlib.error):
        return Sniffed()  # reading it says what is wrong
    lines = text.splitlines()[: None if len(text) < BEGINNING else -1]
    if not lines:
        return Sniffed()
    counts = {mark: _outside_quotes(lines[0], mark) for mark in (",", ";", "\t", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    separator = best if counts[best] else ","
    form = Format(separator=separator)  # type: ignore[arg-type]
    rows = list(csv.reader(lines, delimiter=separator_of(source, form)))
    decimal, thousands, doubt = marks(rows, separator)
    header = not all(NUMBER.fullmatch(cell.strip()) for cell in rows[0])
    found = form.model_copy(update={"decimal": decimal, "thousands": thousands, "header": header})
    return Sniffed(found, doubt, dict(_codes(rows)))


def _codes(rows: list[list[str]]) -> Iterator[tuple[str, str]]:
    """Yield columns of digits that begin with zeros."""
    for name, *cells in zip_longest(*rows, fillvalue=""):
        digits = [cell.strip() for cell in cells if cell.strip()]
        zeros = [cell for cell in digits if re.fullmatch(r"0\d+", cell)]
        if len(zeros) > max(1, ZEROS * len(digits)) and all(cell.isdigit() for cell in digits):
            yield name, zeros[0]


def _outside_quotes(line: str, mark: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(mark)
