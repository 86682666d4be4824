"""How a CSV is written, told from its beginning.

Whether the day or the month comes first in dates that are not ISO ones, told from days above 12.

Which mark stands before the fraction of numbers and which between their thousands, told from their cells.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import pandas as pd

from ..config.datasets import Format
from ..data.columns.dates import OTHER_DATE
from ..data.columns.numbers import AFTER, BEFORE, DAY_OR_MONTH, SHARE, number_pattern
from ..data.columns.types import GAPS
from ..data.readers.csv import separator_of
from ..data.readers.encoding import guess
from ..errors import DataError, shown

COMMAS = re.compile(r"[-+]?(\d*,\d+|\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,})")
"""What only a file with a decimal comma holds: 1,5 or 1.234,5 or 1.234.567."""

POINTS = re.compile(r"[-+]?((\d*\.\d+|\d+\.)([eE][-+]?\d+)?|\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,})")
"""What only a file with a decimal point holds."""

EITHER = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")
"""A thousand and more, or a few and a fraction."""

WHOLE = re.compile(r"[-+]?\d+")

DECORATED = re.compile(rf"{BEFORE}(\d(?:[\d.,' ]*\d)?){AFTER}")

LEAST = 10
"""Cells of a column from which three digits behind each mark are no chance."""


def marks(rows: Sequence[Sequence[str]], separator: str) -> tuple[str, str, str]:
    """Return the decimal mark, the mark between thousands (empty for none), and what is doubtful of it.

    rows: the first line, which may be a header, then cells as they stand there.
    A mark stands between thousands only where all numbers of a column have groups of exactly three digits.
    """
    names = [cell.strip() for cell in rows[0]]
    columns = [[_digits(cell.strip()) for cell in column] for column in zip_longest(*rows[1:], fillvalue="")]
    columns = [[cell for cell in column if cell.lower() not in GAPS] for column in columns]
    cells = [cell for column in columns for cell in column]
    doubtful = [cell for cell in cells if EITHER.fullmatch(cell)]
    clear = [cell for cell in cells if not EITHER.fullmatch(cell)]
    commas = sum(bool(COMMAS.fullmatch(cell)) for cell in clear)
    points = sum(bool(POINTS.fullmatch(cell)) for cell in clear)
    sure = commas != points
    if separator == ",":
        decimal = "," if commas and not points else "."  # in quotes
    elif sure:
        decimal = "," if commas > points else "."
    else:
        decimal = "," if any("," in cell for cell in doubtful) else "."
    named = list(zip(names, columns, strict=False))
    other = "," if decimal == "." else "."
    thousands = next((m for m in (other, " ", "'") if any(_grouped(column, decimal, m) for _, column in named)), "")
    if separator == decimal == ",":
        name, cell = next((n, c) for n, column in named for c in column if c not in doubtful and COMMAS.fullmatch(c))
        return decimal, thousands, f"{name}: {cell} in quotes is a number with a decimal comma; if not, mend `format`"
    return decimal, thousands, "" if sure else _doubt(named, decimal, separator)


def _digits(cell: str) -> str:
    """Return a number without the signs around it."""
    found = DECORATED.fullmatch(cell)
    return found[1] if found else cell


def _grouped(column: Sequence[str], decimal: str, thousands: str) -> bool:
    """Say whether all cells are numbers, and some of them have groups."""
    begins = re.compile(rf"[-+]?[1-9]\d{{0,2}}[{thousands}]\d{{3}}(?!\d)")
    number = re.compile(number_pattern(decimal, thousands))
    return any(begins.match(cell) for cell in column) and all(number.fullmatch(cell) for cell in column)


def _doubt(named: Sequence[tuple[str, Sequence[str]]], decimal: str, separator: str) -> str:
    """Return what to say of the first column whose mark may be either, where no other number of the file tells."""
    for name, column in named:
        either = [cell for cell in column if EITHER.fullmatch(cell)]
        rest = [cell for cell in column if not EITHER.fullmatch(cell)]
        if len(column) < LEAST or not either or not all(WHOLE.fullmatch(cell) for cell in rest):
            continue
        mark = "," if "," in either[0] else "."
        if mark != decimal:
            return f"{name}: {either[0]} is read as {either[0].replace(mark, '')}; if not, mend `format`"
        if separator != ",":  # else a file with points before fractions, as most are
            other = "," if decimal == "." else "."
            remedy = f"set `format: {{decimal: '{other}', thousands: '{decimal}'}}`"
            fraction = either[0].replace(",", ".")
            return f"{name}: {either[0]} is read as {fraction}, not as a thousand; if it is one, {remedy}"
    return ""


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


DATES = ("iso", "day_first", "month_first")


def dates_of(frame: pd.DataFrame, said: str, source: Path) -> str:
    """Return how dates are written, for `format.dates`.

    said: what a person says of it; empty tells it. Points mean that the day comes first.

    Raises:
        DataError: no day is above 12, two columns differ, or `said` is none of the ways.
    """
    if said and said not in DATES:
        raise DataError(f"--dates must be one of {', '.join(DATES)}, but is {said!r}; choose one of them")
    if said:
        return said
    found: dict[str, str] = {}
    for name in frame.select_dtypes(["str", "object"]):
        cells = frame[name].dropna().astype("str").str.strip()
        dates = cells[cells.str.fullmatch(OTHER_DATE)]
        if len(dates) < SHARE * max(len(cells), 1) or not len(dates):
            continue
        way = _way(dates)
        if not way:
            raise DataError(
                f"{source}: it must be told whether the day or the month comes first, but in column {name!r} no number"
                f" tells ({shown(dates.iloc[0])} in row {dates.index[0] + 1}); say --dates day_first or month_first"
            )
        found[str(name)] = way
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} {way}" for name, way in found.items())
        raise DataError(f"{source}: dates must be written in one way, but are {listed}; mend the file")
    return next(iter(found.values()), "iso")


def _way(dates: pd.Series) -> str:
    parts = dates.str.extract(DAY_OR_MONTH)
    first, second = (pd.to_numeric(parts[i]) for i in (0, 2))
    days, months = int((first > 12).sum()), int((second > 12).sum())
    if days != months:
        return "day_first" if days > months else "month_first"
    return "day_first" if (parts[1] == ".").all() else ""
