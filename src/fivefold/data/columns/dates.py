"""Dates as they are written: ISO ones, quarters, and months by name.

Of 1960Q1 and of Jan 1960 the first day is meant.

Even steps of a series as a person says them, and times from what is said.
"""

import re
from itertools import chain

import numpy as np
import pandas as pd

from ..dataset import Array

MONTH, DAY = r"(0?[1-9]|1[0-2])", r"(0?[1-9]|[12]\d|3[01])"
TIME = r"([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?"

MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
MONTH_NAME = (
    rf"(?:{'|'.join(chain.from_iterable((name, name[:3], f'{name[:3]}[.]') for name in MONTH_NAMES))}|sept[.]?)"
)
QUARTER, QUARTER_FIRST = r"\d{4}[-: /]?q[1-4]", r"q[1-4][-: /]?\d{4}"
DAY_FIRST_DATE, MONTH_FIRST_DATE = (
    rf"{DAY}[-. /]?{MONTH_NAME}[-, /]+(\d{{4}}|\d{{2}})",
    rf"{MONTH_NAME} {DAY},? \d{{4}}",
)
MONTH_YEAR = rf"{MONTH_NAME}(?:[- /]\d{{4}}|-\d{{2}})"
TEXT_DATE = rf"(?:{QUARTER}|{QUARTER_FIRST}|{MONTH_YEAR}|(?:{DAY_FIRST_DATE}|{MONTH_FIRST_DATE}){TIME})"
"""1960Q1, 1960-Q1, Q1 1960; 12-Jan-2021, 12 January 2021, Jan 12, 2021; Jan 2021, Jan-21."""

DATE = re.compile(rf"{TEXT_DATE}|\d{{4,6}}[-/]({MONTH}|\d{{1,2}}[-/]\d{{1,2}}{TIME})", re.IGNORECASE)
"""A month or a day: 2020/21 is a season, but 2020-21-01 and 12021-01-01 mistakes among days."""
VALID_DATE = re.compile(rf"{TEXT_DATE}|\d{{4}}[-/]{MONTH}([-/]{DAY}.*)?", re.IGNORECASE)

LOCALIZED_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}( .*)?")
"""A date with the day or the month first."""

CENTURY_PIVOT = 69
"""Two digits from here on are a year of the last century, as POSIX has it."""

TEXT_DATE_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<year>\d{4})[-: /]?q(?P<quarter>[1-4])",
        r"q(?P<quarter>[1-4])[-: /]?(?P<year>\d{4})",
        r"(?P<month>[a-z]{3})[a-z.]*[- /](?P<year>\d{4}|\d{2})",
        r"(?P<day>\d{1,2})[-. /]?(?P<month>[a-z]{3})[a-z.]*[-, /]+(?P<year>\d{4}|\d{2})(?P<time>[ t].*)?",
        r"(?P<month>[a-z]{3})[a-z.]* (?P<day>\d{1,2}),? (?P<year>\d{4})(?P<time>[ t].*)?",
    )
)


def to_iso(words: pd.Series) -> pd.Series:
    """Write dates that are spelt otherwise as 2021-01-12; words are stripped and in lower case, other ones stay."""
    return words.map(_word_to_iso)


def _word_to_iso(word: str) -> str:
    found = next((match for pattern in TEXT_DATE_PATTERNS if (match := pattern.fullmatch(word))), None)
    if not found or not re.fullmatch(TEXT_DATE, word):
        return word
    part = found.groupdict()
    short = [name[:3] for name in MONTH_NAMES]
    month = 3 * int(part["quarter"]) - 2 if "quarter" in part else short.index(part["month"]) + 1
    return f"{expand_year(part['year'])}-{month:02d}-{int(part.get('day') or 1):02d}{part.get('time') or ''}"


def expand_year(year: str) -> str:
    """Return a year in four digits."""
    return year if len(year) == 4 else f"{19 if int(year) >= CENTURY_PIVOT else 20}{year}"


def describe_frequency(grid: Array) -> str:
    """Return the distance of two even steps as a person says it: 1 month, 15 minutes, 0.5, about 15 days."""
    gaps = np.unique(np.diff(grid))
    if grid.dtype.kind != "M":
        return f"{np.median(gaps):g}"
    if len(gaps) == 1:
        return _format_timedelta(pd.Timedelta(gaps[0]))
    months = np.unique(np.diff(grid.astype("datetime64[M]")).astype(int))
    if len(months) > 1 or not months[0]:
        of_work = np.isin(gaps / np.timedelta64(1, "D"), (1, 3)).all()
        return "1 business day" if of_work else f"about {_format_timedelta(pd.Timedelta(gaps[len(gaps) // 2]))}"
    return _pluralize(months[0] // 12, "year") if months[0] % 12 == 0 else _pluralize(months[0], "month")


def format_time(grid: Array, index: int) -> str:
    """Return one of even steps as a person writes it; without a time of day if all are midnight."""
    if grid.dtype.kind != "M":
        return f"{grid[index]:.10g}"
    days = grid.astype("datetime64[D]")
    return str(days[index] if (days == grid).all() else pd.Timestamp(grid[index]))


def last_timestamps(frequency: str, time_range: tuple[str, ...], n: int) -> Array | None:
    """Return the last n of even steps, as datetime64 or numbers, from what `step_of` and `time_of` say of them.

    span: the first and the last of all. None if steps are not known, or only about so long. Where the last business
    days of two months are also the last of all days, so are taken those between, which may be two days off.
    """
    if not time_range or frequency.startswith("about"):
        return None
    if " " not in frequency:
        first, last, width = float(time_range[0]), float(time_range[1]), float(frequency)
        return np.asarray(last - (last - first) / max(np.rint((last - first) / width), 1) * np.arange(n)[::-1])
    ends = pd.DatetimeIndex(time_range)
    count, unit = frequency.split(" ", 1)
    if unit.startswith("business"):
        offset = pd.offsets.BDay(int(count))
    elif unit.startswith(("month", "year")):
        offset = month_offset(ends, int(count) * (12 if unit.startswith("year") else 1))
    else:
        offset = pd.Timedelta(frequency)
    return None if offset is None else np.asarray(pd.date_range(end=ends[1], periods=n, freq=offset))


def _format_timedelta(delta: pd.Timedelta) -> str:
    """Return a span of time by the largest unit of which it is a multiple."""
    for unit, word in (("D", "day"), ("h", "hour"), ("min", "minute"), ("s", "second"), ("ms", "millisecond")):
        count = delta / pd.Timedelta(1, unit)
        if count == int(count):
            return _pluralize(int(count), word)
    return str(delta)


def _pluralize(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def month_offset(timestamps: pd.DatetimeIndex, months: int) -> pd.offsets.BaseOffset | None:
    """Return the step of so many months on which all times lie, None if they are of different days."""
    if (timestamps.day == timestamps.day[0]).all() and timestamps.day[0] <= 28:
        return pd.DateOffset(months=months)
    for ends in (pd.offsets.MonthEnd(months), pd.offsets.BMonthEnd(months), pd.offsets.BMonthBegin(months)):
        if all(ends.is_on_offset(stamp) for stamp in timestamps):
            return ends
    return None
