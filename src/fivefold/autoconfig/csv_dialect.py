"""Infer the dialect of a CSV file: separator, header, decimal and thousands separators, and date format."""

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
"""Numbers that occur only with a decimal comma: 1,5 or 1.234,5 or 1.234.567."""

DECIMAL_POINT_PATTERN = re.compile(r"[-+]?((\d*\.\d+|\d+\.)([eE][-+]?\d+)?|\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,})")
"""Numbers that occur only with a decimal point."""

AMBIGUOUS_PATTERN = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")
"""Numbers such as 1.234, with either a thousands separator or a fraction."""

INTEGER_PATTERN = re.compile(r"[-+]?\d+")

DECORATED_PATTERN = re.compile(rf"{NUMBER_PREFIX}(\d(?:[\d.,' ]*\d)?){NUMBER_SUFFIX}")

MIN_AMBIGUOUS_CELLS = 10
"""Minimum number of cells of a column for which groups of three digits are not a coincidence."""


def infer_number_format(rows: Sequence[Sequence[str]], separator: str) -> tuple[str, str, str]:
    """Return the decimal separator, the thousands separator (empty for none), and a note if they are ambiguous.

    A thousands separator requires that all numbers of a column have groups of exactly three digits.

    rows: the first line, which may be a header, then raw cells.
    """
    names = [cell.strip() for cell in rows[0]]
    columns = [[_strip_decoration(cell.strip()) for cell in column] for column in zip_longest(*rows[1:], fillvalue="")]
    columns = [[cell for cell in column if cell.lower() not in NA_VALUES] for column in columns]
    cells = [cell for column in columns for cell in column]
    ambiguous = [cell for cell in cells if AMBIGUOUS_PATTERN.fullmatch(cell)]
    unambiguous = [cell for cell in cells if not AMBIGUOUS_PATTERN.fullmatch(cell)]
    commas = sum(bool(DECIMAL_COMMA_PATTERN.fullmatch(cell)) for cell in unambiguous)
    points = sum(bool(DECIMAL_POINT_PATTERN.fullmatch(cell)) for cell in unambiguous)
    is_clear = commas != points
    if separator == ",":
        decimal = "," if commas and not points else "."  # in quoted cells
    elif is_clear:
        decimal = "," if commas > points else "."
    else:
        decimal = "," if any("," in cell for cell in ambiguous) else "."
    named_columns = list(zip(names, columns, strict=False))
    other = "," if decimal == "." else "."
    thousands = next(
        (
            mark
            for mark in (other, " ", "'")
            if any(_has_thousands(column, decimal, mark) for _, column in named_columns)
        ),
        "",
    )
    if separator == decimal == ",":
        name, cell = next(
            (name, cell)
            for name, column in named_columns
            for cell in column
            if cell not in ambiguous and DECIMAL_COMMA_PATTERN.fullmatch(cell)
        )
        return (
            decimal,
            thousands,
            f"{name}: {cell} in quotes is parsed with a decimal comma; if that is wrong, fix `format`",
        )
    return decimal, thousands, "" if is_clear else _describe_ambiguity(named_columns, decimal, separator)


def _strip_decoration(cell: str) -> str:
    """Return a number without the symbols around it."""
    match = DECORATED_PATTERN.fullmatch(cell)
    return match[1] if match else cell


def _has_thousands(column: Sequence[str], decimal: str, thousands: str) -> bool:
    """Return whether all cells are numbers and some have thousands separators."""
    begins = re.compile(rf"[-+]?[1-9]\d{{0,2}}[{thousands}]\d{{3}}(?!\d)")
    number = re.compile(number_pattern(decimal, thousands))
    return any(begins.match(cell) for cell in column) and all(number.fullmatch(cell) for cell in column)


def _describe_ambiguity(columns: Sequence[tuple[str, Sequence[str]]], decimal: str, separator: str) -> str:
    """Return a note on the first column with ambiguous separators; empty if there is none."""
    for name, column in columns:
        ambiguous = [cell for cell in column if AMBIGUOUS_PATTERN.fullmatch(cell)]
        rest = [cell for cell in column if not AMBIGUOUS_PATTERN.fullmatch(cell)]
        all_integers = all(INTEGER_PATTERN.fullmatch(cell) for cell in rest)
        if len(column) < MIN_AMBIGUOUS_CELLS or not ambiguous or not all_integers:
            continue
        cell = ambiguous[0]
        mark = "," if "," in cell else "."
        if mark != decimal:
            return f"{name}: {cell} is parsed as {cell.replace(mark, '')}; if that is wrong, fix `format`"
        if separator != ",":  # comma-separated files usually have decimal points
            other = "," if decimal == "." else "."
            remedy = f"set `format: {{decimal: '{other}', thousands: '{decimal}'}}`"
            fraction = cell.replace(",", ".")
            return f"{name}: {cell} is parsed as {fraction}; if {mark!r} separates thousands, {remedy}"
    return ""


SAMPLE_BYTES = 2**20
"""Number of bytes inspected."""

NUMBER_PATTERN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


MIN_LEADING_ZERO_SHARE = 0.02
"""Minimum fraction of cells with a leading zero in a column of codes."""


@dataclass(frozen=True)
class CSVDialect:
    """The inferred format of a CSV file; defaults where it cannot be inferred.

    csv_format: separator, decimal and thousands separators, and whether there is a header.
    ambiguity: a note on ambiguous separators; empty if there are none.
    code_columns: columns of digits with leading zeros, which numbers would lose, and their first such cell.
    """

    csv_format: FileFormat = field(default_factory=FileFormat)
    ambiguity: str = ""
    code_columns: Mapping[str, str] = field(default_factory=dict)


def sniff_csv(source: Path) -> CSVDialect:
    """Return the dialect of a CSV file, inferred from its first `SAMPLE_BYTES` bytes."""
    encoding = detect_encoding(source).encoding
    try:
        with gzip.open(source) if source.name.lower().endswith(".gz") else source.open("rb") as file:
            text = file.read(SAMPLE_BYTES).decode(encoding, errors="ignore").lstrip("\ufeff")
    except (OSError, EOFError, zlib.error):
        return CSVDialect()  # the reader will report the error
    lines = text.splitlines()[: None if len(text) < SAMPLE_BYTES else -1]
    if not lines:
        return CSVDialect()
    counts = {mark: _count_unquoted(lines[0], mark) for mark in (",", ";", "\t", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    separator = best if counts[best] else ","
    file_format = FileFormat(separator=separator)  # type: ignore[arg-type]
    rows = list(csv.reader(lines, delimiter=resolve_separator(source, file_format)))
    decimal, thousands, ambiguity = infer_number_format(rows, separator)
    header = not all(NUMBER_PATTERN.fullmatch(cell.strip()) for cell in rows[0])
    csv_format = file_format.model_copy(update={"decimal": decimal, "thousands": thousands, "header": header})
    return CSVDialect(csv_format, ambiguity, dict(_leading_zero_columns(rows)))


def _leading_zero_columns(rows: list[list[str]]) -> Iterator[tuple[str, str]]:
    """Yield columns of digits with leading zeros, and their first such cell."""
    for name, *cells in zip_longest(*rows, fillvalue=""):
        digits = [cell.strip() for cell in cells if cell.strip()]
        zeros = [cell for cell in digits if re.fullmatch(r"0\d+", cell)]
        if len(zeros) > max(1, MIN_LEADING_ZERO_SHARE * len(digits)) and all(cell.isdigit() for cell in digits):
            yield name, zeros[0]


def _count_unquoted(line: str, separator: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(separator)


DATE_FORMATS = ("iso", "dayfirst", "monthfirst")


def infer_date_format(frame: pd.DataFrame, date_format: str, source: Path) -> str:
    """Return the date format, for `format.dates`.

    It is inferred from days above 12; dates separated by points have the day first.

    date_format: as specified by the user; empty infers it.

    Raises:
        DataError: the format is ambiguous, differs between columns, or `date_format` is unknown.
    """
    if date_format and date_format not in DATE_FORMATS:
        raise DataError(f"--dates must be one of {', '.join(DATE_FORMATS)}, but is {date_format!r}; choose one of them")
    if date_format:
        return date_format
    formats: dict[str, str] = {}
    for name in frame.select_dtypes(["str", "object"]):
        cells = frame[name].dropna().astype("str").str.strip()
        dates = cells[cells.str.fullmatch(LOCALIZED_DATE)]
        if len(dates) < MIN_DATE_SHARE * max(len(cells), 1) or not len(dates):
            continue
        inferred = _infer_day_or_month_first(dates)
        if not inferred:
            raise DataError(
                f"{source}: dates must be unambiguous, but column {name!r} does not show whether the day or the month"
                f" comes first ({format_value(dates.iloc[0])} in row {dates.index[0] + 1}); set --dates dayfirst or"
                " --dates monthfirst"
            )
        formats[str(name)] = inferred
    if len(set(formats.values())) > 1:
        listed = ", ".join(f"{name} {inferred}" for name, inferred in formats.items())
        raise DataError(f"{source}: all dates must have the same format, but are {listed}; fix the file")
    return next(iter(formats.values()), "iso")


def _infer_day_or_month_first(dates: pd.Series) -> str:
    parts = dates.str.extract(NUMERIC_DATE)
    first, second = (pd.to_numeric(parts[i]) for i in (0, 2))
    days, months = int((first > 12).sum()), int((second > 12).sum())
    if days != months:
        return "dayfirst" if days > months else "monthfirst"
    return "dayfirst" if (parts[1] == ".").all() else ""
