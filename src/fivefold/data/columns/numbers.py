"""Parse formatted numbers (12%, (45), $1.50, 01:23:45), and normalize localized numbers and dates.

A percentage is read as the number before its sign, parentheses mean a negative number as in accounting, currency signs
are ignored, and a duration or a time of day is converted to seconds.

Localized numbers and dates are rewritten as 51669.5 and 2020-12-31. The `thousands` option of pandas would read
31.12.2020 as 31122020 and 1,2 as 12; here groups must have three digits.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ...config.datasets import FileFormat
from ...errors import DataError, format_value
from .dates import expand_year

CURRENCY = "[$€£¥]"
NUMBER_PREFIX, NUMBER_SUFFIX = rf"(?:[-+]? ?{CURRENCY}? ?[-+]?|\( ?{CURRENCY}? ?)", rf" ?(?:%|{CURRENCY})?(?: ?\))? ?%?"
"""What may precede the first digit and follow the last one."""

SIGNED_NUMBER = re.compile(rf"([-+]?) ?{CURRENCY}? ?([-+]?)(\d+\.?\d*|\.\d+) ?(?:%|{CURRENCY})?")
ACCOUNTING_NUMBER = re.compile(rf"\( ?{CURRENCY}? ?(\d+\.?\d*|\.\d+) ?(?:%|{CURRENCY})? ?\) ?%?")
DURATION = re.compile(r"([-+]?)(?:(\d+) days?,? )?(\d{1,3}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?")
FORMATTED_NUMBER = re.compile("|".join(pattern.pattern for pattern in (SIGNED_NUMBER, ACCOUNTING_NUMBER, DURATION)))


def parse_formatted_numbers(words: pd.Series) -> pd.Series:
    """Return the number that each word represents, NaN if it is not a number; words are stripped and in lower case."""
    return words.map(_parse_formatted_number).astype("float64")


def _parse_formatted_number(word: str) -> float:
    if match := SIGNED_NUMBER.fullmatch(word):
        before, after, digits = match.groups()
        return float("nan") if before and after else float(f"{before or after}{digits}")
    if match := ACCOUNTING_NUMBER.fullmatch(word):
        return -float(match[1])
    if match := DURATION.fullmatch(word):
        sign, days, hours, minutes, seconds = match.groups()
        total = float(days or 0) * 86_400 + float(hours) * 3_600 + float(minutes) * 60 + float(seconds or 0)
        return -total if sign == "-" else total
    return float("nan")


EXPONENT = r"(?:[eE][-+]?\d+)?"
TIME_OF_DAY = r"(?:,?[ T]+(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))? ?([APap][Mm])?)?"
NUMERIC_DATE = re.compile(rf"\s*(\d{{1,2}})([./-])(\d{{1,2}})\2(\d{{4}}|\d{{2}}){TIME_OF_DAY}\s*")
"""Day and month, or month and day, then the year. Groups: first, mark, second, year, hour, minute, second, AM/PM."""

MIN_DATE_SHARE = 0.5
"""Share of dates from which a text column is a date column."""


def number_pattern(decimal: str, thousands: str) -> str:
    """Return the pattern of a number; groups of digits, if there are any, must have three digits."""
    groups = rf"\d{{1,3}}(?:[{thousands}]\d{{3}})+|" if thousands else ""
    return rf"\s*[-+]?(?:{groups}\d+|(?=[{decimal}]))(?:[{decimal}]\d+)?{EXPONENT}\s*"


def normalize_numbers(
    frame: pd.DataFrame, file_format: FileFormat, text_columns: Sequence[str], source: Path
) -> pd.DataFrame:
    """Return a frame whose localized numbers have a decimal point and no thousands separators.

    Raises:
        DataError: a file with decimal commas has points that look like thousands separators, but `format` sets none.
    """
    pattern = number_pattern(file_format.decimal, file_format.thousands)
    # signs and currencies around digits stay, for `parse_formatted_numbers`
    decorated = rf"\s*{NUMBER_PREFIX}(?:{pattern}){NUMBER_SUFFIX}\s*"
    for name in (name for name in frame.select_dtypes("str") if name not in text_columns):
        cells = frame[name]
        number, bare = (cells.str.fullmatch(form).fillna(False).astype(bool) for form in (decorated, pattern))
        if file_format.decimal == "," and not file_format.thousands:
            _reject_thousands(cells[~number].dropna(), str(name), source)
        if not number.any():
            continue
        plain = cells.str.replace(file_format.thousands, "", regex=False) if file_format.thousands else cells
        cells = cells.where(~number, plain.str.replace(file_format.decimal, ".", regex=False))
        frame[name] = pd.to_numeric(cells) if (bare | cells.isna()).all() else cells
    return frame


def _reject_thousands(cells: pd.Series, name: str, source: Path) -> None:
    """Raise a `DataError` for 51.669 in a file with decimal commas: as a decimal point it would divide by 1000."""
    with_points = cells[cells.str.fullmatch(r"\s*[-+]?\d+\.[\d.]+\s*")]
    if len(with_points) and with_points.str.fullmatch(r"\s*[-+]?[1-9]\d{0,2}(\.\d{3})+\s*").all():
        raise DataError(
            f"{source}: numbers must have a decimal comma, as set in `format`, but row {with_points.index[0] + 1} of"
            f" column {name!r} contains {format_value(with_points.iloc[0])}; if points separate thousands, set"
            " `format: {decimal: ',', thousands: '.'}`, else fix the column"
        )


def normalize_dates(frame: pd.DataFrame, file_format: FileFormat, text_columns: Sequence[str] = ()) -> pd.DataFrame:
    """Return a frame with 31.12.2020 10:00 as 2020-12-31 10:00 if `format.dates` is set; other cells are unchanged."""
    if file_format.dates == "iso":
        return frame
    for name in (name for name in frame.select_dtypes(["str", "object"]) if name not in text_columns):
        cells = frame[name].astype("str")
        matches = cells.str.extract(NUMERIC_DATE)
        if matches[0].notna().sum() < MIN_DATE_SHARE * max(int(cells.notna().sum()), 1):
            continue
        day, month = (matches[0], matches[2]) if file_format.dates == "dayfirst" else (matches[2], matches[0])
        text = (
            matches[3].map(expand_year, na_action="ignore")
            + "-"
            + month.str.zfill(2)
            + "-"
            + day.str.zfill(2)
            + _format_time_of_day(matches)
        )
        is_valid = pd.to_datetime(text, errors="coerce", format="ISO8601").notna()
        frame[name] = text.where(is_valid, frame[name])
    return frame


def _format_time_of_day(matches: pd.DataFrame) -> pd.Series:
    """Return the time of day of each match, preceded by a space; empty without a time of day."""
    hours, half = matches[4].astype("Float64"), matches[7].str.upper()
    hours = hours.where(half.isna(), hours % 12 + 12 * (half == "PM"))
    clock = " " + hours.astype("Int64").astype("str").str.zfill(2) + ":" + matches[5] + ":" + matches[6].fillna("00")
    return clock.where(matches[4].notna(), "")
