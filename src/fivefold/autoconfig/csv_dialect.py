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

from ..config.datasets import FileFormat
from ..data.columns.dates import LOCALIZED_DATE
from ..data.columns.numbers import MIN_DATE_SHARE, NUMBER_PREFIX, NUMBER_SUFFIX, NUMERIC_DATE, number_pattern
from ..data.columns.types import NA_VALUES
from ..data.readers.csv import resolve_separator
from ..data.readers.encoding import detect_encoding
from ..errors import DataError, format_value

DECIMAL_COMMA_PATTERN = re.compile(r"[-+]?(\d*,\d+|\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,})")
"""What only a file with a decimal comma holds: 1,5 or 1.234,5 or 1.234.567."""

DECIMAL_POINT_PATTERN = re.compile(r"[-+]?((\d*\.\d+|\d+\.)([eE][-+]?\d+)?|\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,})")
"""What only a file with a decimal point holds."""

AMBIGUOUS_PATTERN = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")
"""A thousand and more, or a few and a fraction."""

INTEGER_PATTERN = re.compile(r"[-+]?\d+")

DECORATED_PATTERN = re.compile(rf"{NUMBER_PREFIX}(\d(?:[\d.,' ]*\d)?){NUMBER_SUFFIX}")

MIN_AMBIGUOUS_CELLS = 10
"""Cells of a column from which three digits behind each mark are no chance."""


def infer_number_format(rows: Sequence[Sequence[str]], separator: str) -> tuple[str, str, str]:
    """Return the decimal mark, the mark between thousands (empty for none), and what is doubtful of it.

    rows: the first line, which may be a header, then cells as they stand there.
    A mark stands between thousands only where all numbers of a column have groups of exactly three digits.
    """
    names = [cell.strip() for cell in rows[0]]
    columns = [[_strip_decoration(cell.strip()) for cell in column] for column in zip_longest(*rows[1:], fillvalue="")]
    columns = [[cell for cell in column if cell.lower() not in NA_VALUES] for column in columns]
    cells = [cell for column in columns for cell in column]
    doubtful = [cell for cell in cells if AMBIGUOUS_PATTERN.fullmatch(cell)]
    clear = [cell for cell in cells if not AMBIGUOUS_PATTERN.fullmatch(cell)]
    commas = sum(bool(DECIMAL_COMMA_PATTERN.fullmatch(cell)) for cell in clear)
    points = sum(bool(DECIMAL_POINT_PATTERN.fullmatch(cell)) for cell in clear)
    sure = commas != points
    if separator == ",":
        decimal = "," if commas and not points else "."  # in quotes
    elif sure:
        decimal = "," if commas > points else "."
    else:
        decimal = "," if any("," in cell for cell in doubtful) else "."
    named = list(zip(names, columns, strict=False))
    other = "," if decimal == "." else "."
    thousands = next(
        (m for m in (other, " ", "'") if any(_has_thousands(column, decimal, m) for _, column in named)), ""
    )
    if separator == decimal == ",":
        name, cell = next(
            (n, c) for n, column in named for c in column if c not in doubtful and DECIMAL_COMMA_PATTERN.fullmatch(c)
        )
        return decimal, thousands, f"{name}: {cell} in quotes is a number with a decimal comma; if not, mend `format`"
    return decimal, thousands, "" if sure else _describe_ambiguity(named, decimal, separator)


def _strip_decoration(cell: str) -> str:
    """Return a number without the signs around it."""
    found = DECORATED_PATTERN.fullmatch(cell)
    return found[1] if found else cell


def _has_thousands(column: Sequence[str], decimal: str, thousands: str) -> bool:
    """Say whether all cells are numbers, and some of them have groups."""
    begins = re.compile(rf"[-+]?[1-9]\d{{0,2}}[{thousands}]\d{{3}}(?!\d)")
    number = re.compile(number_pattern(decimal, thousands))
    return any(begins.match(cell) for cell in column) and all(number.fullmatch(cell) for cell in column)


def _describe_ambiguity(columns: Sequence[tuple[str, Sequence[str]]], decimal: str, separator: str) -> str:
    """Return what to say of the first column whose mark may be either, where no other number of the file tells."""
    for name, column in columns:
        either = [cell for cell in column if AMBIGUOUS_PATTERN.fullmatch(cell)]
        rest = [cell for cell in column if not AMBIGUOUS_PATTERN.fullmatch(cell)]
        if len(column) < MIN_AMBIGUOUS_CELLS or not either or not all(INTEGER_PATTERN.fullmatch(cell) for cell in rest):
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


SAMPLE_BYTES = 2**20
"""Bytes that are looked at."""

NUMBER_PATTERN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


MIN_LEADING_ZERO_SHARE = 0.02
"""Share of cells with a leading zero from which whole numbers are codes."""


@dataclass(frozen=True)
class CSVDialect:
    """The separator, the marks of numbers and whether there is a header; what cannot be told is as usual.

    doubt: what is doubtful of the marks; empty for nothing.
    codes: columns of digits that begin with zeros, which are lost in numbers, and the first such cell.
    """

    csv_format: FileFormat = field(default_factory=FileFormat)
    ambiguity: str = ""
    code_columns: Mapping[str, str] = field(default_factory=dict)


def sniff_csv(source: Path) -> CSVDialect:
    """Return how a CSV is written."""
    encoding = detect_encoding(source).encoding
    try:
        with gzip.open(source) if source.name.lower().endswith(".gz") else source.open("rb") as file:
            text = file.read(SAMPLE_BYTES).decode(encoding, errors="ignore").lstrip("\ufeff")
    except (OSError, EOFError, zlib.error):
        return CSVDialect()  # reading it says what is wrong
    lines = text.splitlines()[: None if len(text) < SAMPLE_BYTES else -1]
    if not lines:
        return CSVDialect()
    counts = {mark: _count_unquoted(lines[0], mark) for mark in (",", ";", "\t", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    separator = best if counts[best] else ","
    form = FileFormat(separator=separator)  # type: ignore[arg-type]
    rows = list(csv.reader(lines, delimiter=resolve_separator(source, form)))
    decimal, thousands, doubt = infer_number_format(rows, separator)
    header = not all(NUMBER_PATTERN.fullmatch(cell.strip()) for cell in rows[0])
    found = form.model_copy(update={"decimal": decimal, "thousands": thousands, "header": header})
    return CSVDialect(found, doubt, dict(_leading_zero_columns(rows)))


def _leading_zero_columns(rows: list[list[str]]) -> Iterator[tuple[str, str]]:
    """Yield columns of digits that begin with zeros."""
    for name, *cells in zip_longest(*rows, fillvalue=""):
        digits = [cell.strip() for cell in cells if cell.strip()]
        zeros = [cell for cell in digits if re.fullmatch(r"0\d+", cell)]
        if len(zeros) > max(1, MIN_LEADING_ZERO_SHARE * len(digits)) and all(cell.isdigit() for cell in digits):
            yield name, zeros[0]


def _count_unquoted(line: str, separator: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(separator)


DATE_FORMATS = ("iso", "dayfirst", "monthfirst")


def infer_date_format(frame: pd.DataFrame, date_format: str, source: Path) -> str:
    """Return how dates are written, for `format.dates`.

    said: what a person says of it; empty tells it. Points mean that the day comes first.

    Raises:
        DataError: no day is above 12, two columns differ, or `said` is none of the ways.
    """
    if date_format and date_format not in DATE_FORMATS:
        raise DataError(f"--dates must be one of {', '.join(DATE_FORMATS)}, but is {date_format!r}; choose one of them")
    if date_format:
        return date_format
    found: dict[str, str] = {}
    for name in frame.select_dtypes(["str", "object"]):
        cells = frame[name].dropna().astype("str").str.strip()
        dates = cells[cells.str.fullmatch(LOCALIZED_DATE)]
        if len(dates) < MIN_DATE_SHARE * max(len(cells), 1) or not len(dates):
            continue
        way = _infer_day_or_month_first(dates)
        if not way:
            raise DataError(
                f"{source}: it must be told whether the day or the month comes first, but in column {name!r} no number"
                f" tells ({format_value(dates.iloc[0])} in row {dates.index[0] + 1}); say --dates day_first or month_first"
            )
        found[str(name)] = way
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} {way}" for name, way in found.items())
        raise DataError(f"{source}: dates must be written in one way, but are {listed}; mend the file")
    return next(iter(found.values()), "iso")


def _infer_day_or_month_first(dates: pd.Series) -> str:
    parts = dates.str.extract(NUMERIC_DATE)
    first, second = (pd.to_numeric(parts[i]) for i in (0, 2))
    days, months = int((first > 12).sum()), int((second > 12).sum())
    if days != months:
        return "dayfirst" if days > months else "monthfirst"
    return "dayfirst" if (parts[1] == ".").all() else ""
