"""Numbers that are written with more than digits: 12%, (45), $1.50, 01:23:45.

A percentage is the number before its sign, brackets mean a negative one as in accounts, a currency says nothing, and a
duration or a time of day is its seconds.

Numbers and dates as other countries write them, brought to the one that is read: 51669.5 and 2020-12-31.

pandas could read thousands itself, but takes 31.12.2020 for 31122020 and 1,2 for 12; here groups have three digits.
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
"""What may stand before the first digit and behind the last."""

SIGNED_NUMBER = re.compile(rf"([-+]?) ?{CURRENCY}? ?([-+]?)(\d+\.?\d*|\.\d+) ?(?:%|{CURRENCY})?")
ACCOUNTING_NUMBER = re.compile(rf"\( ?{CURRENCY}? ?(\d+\.?\d*|\.\d+) ?(?:%|{CURRENCY})? ?\) ?%?")
DURATION = re.compile(r"([-+]?)(?:(\d+) days?,? )?(\d{1,3}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?")
FORMATTED_NUMBER = re.compile("|".join(pattern.pattern for pattern in (SIGNED_NUMBER, ACCOUNTING_NUMBER, DURATION)))


def parse_formatted_numbers(words: pd.Series) -> pd.Series:
    """Return the number that each word is, NaN if it is none; words are stripped and in lower case."""
    return words.map(_parse_formatted_number).astype("float64")


def _parse_formatted_number(word: str) -> float:
    if found := SIGNED_NUMBER.fullmatch(word):
        before, after, digits = found.groups()
        return float("nan") if before and after else float(f"{before or after}{digits}")
    if found := ACCOUNTING_NUMBER.fullmatch(word):
        return -float(found[1])
    if found := DURATION.fullmatch(word):
        sign, days, hours, minutes, seconds = found.groups()
        whole = float(days or 0) * 86_400 + float(hours) * 3_600 + float(minutes) * 60 + float(seconds or 0)
        return -whole if sign == "-" else whole
    return float("nan")


EXPONENT = r"(?:[eE][-+]?\d+)?"
TIME_OF_DAY = r"(?:,?[ T]+(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))? ?([APap][Mm])?)?"
NUMERIC_DATE = re.compile(rf"\s*(\d{{1,2}})([./-])(\d{{1,2}})\2(\d{{4}}|\d{{2}}){TIME_OF_DAY}\s*")
"""Day and month, or month and day, then the year: first, mark, second, year, hour, minute, second, AM or PM."""

MIN_DATE_SHARE = 0.5
"""Share of a column's cells that are dates from which it is one of dates."""


def number_pattern(decimal: str, thousands: str) -> str:
    """Return what a number looks like: with groups of three digits wherever it has groups."""
    groups = rf"\d{{1,3}}(?:[{thousands}]\d{{3}})+|" if thousands else ""
    return rf"\s*[-+]?(?:{groups}\d+|(?=[{decimal}]))(?:[{decimal}]\d+)?{EXPONENT}\s*"


def normalize_numbers(
    frame: pd.DataFrame, file_format: FileFormat, text_columns: Sequence[str], source: Path
) -> pd.DataFrame:
    """Write numbers without groups and with a point, where pandas could not read them.

    Raises:
        DataError: numbers of a file with a decimal comma have points that look like thousands, and `format` says none.
    """
    pattern = number_pattern(file_format.decimal, file_format.thousands)
    decorated = rf"\s*{NUMBER_PREFIX}(?:{pattern}){NUMBER_SUFFIX}\s*"  # the signs around digits stay, for a column's type to tell of
    for name in (name for name in frame.select_dtypes("str") if name not in text_columns):
        cells = frame[name]
        number, bare = (cells.str.fullmatch(how).fillna(False).astype(bool) for how in (decorated, pattern))
        if file_format.decimal == "," and not file_format.thousands:
            _reject_thousands(cells[~number].dropna(), str(name), source)
        if not number.any():
            continue
        plain = cells.str.replace(file_format.thousands, "", regex=False) if file_format.thousands else cells
        cells = cells.where(~number, plain.str.replace(file_format.decimal, ".", regex=False))
        frame[name] = pd.to_numeric(cells) if (bare | cells.isna()).all() else cells
    return frame


def _reject_thousands(cells: pd.Series, name: str, source: Path) -> None:
    """Refuse 51.669 beside a decimal comma: read with a point it would be a thousandth."""
    pointed = cells[cells.str.fullmatch(r"\s*[-+]?\d+\.[\d.]+\s*")]
    if len(pointed) and pointed.str.fullmatch(r"\s*[-+]?[1-9]\d{0,2}(\.\d{3})+\s*").all():
        raise DataError(
            f"{source}: numbers must have a decimal comma, as `format` says, but {format_value(pointed.iloc[0])} stands in"
            f" column {name!r}, row {pointed.index[0] + 1}; set `format: {{decimal: ',', thousands: '.'}}` if points"
            " stand between thousands, else mend the column"
        )


def normalize_dates(frame: pd.DataFrame, file_format: FileFormat, text_columns: Sequence[str] = ()) -> pd.DataFrame:
    """Write 31.12.2020 10:00 as 2020-12-31 10:00 where `format` says what comes first; what is no date stays."""
    if file_format.dates == "iso":
        return frame
    for name in (name for name in frame.select_dtypes(["str", "object"]) if name not in text_columns):
        cells = frame[name].astype("str")
        found = cells.str.extract(NUMERIC_DATE)
        if found[0].notna().sum() < MIN_DATE_SHARE * max(int(cells.notna().sum()), 1):
            continue
        day, month = (found[0], found[2]) if file_format.dates == "dayfirst" else (found[2], found[0])
        text = (
            found[3].map(expand_year, na_action="ignore")
            + "-"
            + month.str.zfill(2)
            + "-"
            + day.str.zfill(2)
            + _format_time_of_day(found)
        )
        real = pd.to_datetime(text, errors="coerce", format="ISO8601").notna()
        frame[name] = text.where(real, frame[name])
    return frame


def _format_time_of_day(matches: pd.DataFrame) -> pd.Series:
    """Return the time of day of each match, with a blank before it; nothing where it has none."""
    hours, half = matches[4].astype("Float64"), matches[7].str.upper()
    hours = hours.where(half.isna(), hours % 12 + 12 * (half == "PM"))
    clock = " " + hours.astype("Int64").astype("str").str.zfill(2) + ":" + matches[5] + ":" + matches[6].fillna("00")
    return clock.where(matches[4].notna(), "")
