"""Date formats other than ISO (quarters and month names), and the frequency of a time series as text.

1960Q1 and Jan 1960 mean the first day of the period.
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
"""A month or a day: 2020/21 is a season, not a date, but 2020-21-01 and 12021-01-01 are mistakes among dates."""
VALID_DATE = re.compile(rf"{TEXT_DATE}|\d{{4}}[-/]{MONTH}([-/]{DAY}.*)?", re.IGNORECASE)

LOCALIZED_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}( .*)?")
"""A date that begins with the day or the month."""

CENTURY_PIVOT = 69
"""Two-digit years from here on belong to the previous century, as in POSIX."""

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
    """Return dates in the formats above as 2021-01-12; words are stripped and in lower case, others are unchanged."""
    return words.map(_word_to_iso)


def _word_to_iso(word: str) -> str:
    match = next((match for pattern in TEXT_DATE_PATTERNS if (match := pattern.fullmatch(word))), None)
    if not match or not re.fullmatch(TEXT_DATE, word):
        return word
    part = match.groupdict()
    abbreviations = [name[:3] for name in MONTH_NAMES]
    month = 3 * int(part["quarter"]) - 2 if "quarter" in part else abbreviations.index(part["month"]) + 1
    return f"{expand_year(part['year'])}-{month:02d}-{int(part.get('day') or 1):02d}{part.get('time') or ''}"


def expand_year(year: str) -> str:
    """Return a two-digit or four-digit year with four digits."""
    return year if len(year) == 4 else f"{19 if int(year) >= CENTURY_PIVOT else 20}{year}"


def describe_frequency(grid: Array) -> str:
    """Return the frequency of a regular time grid as text: 1 month, 15 minutes, 0.5, about 15 days."""
    intervals = np.unique(np.diff(grid))
    if grid.dtype.kind != "M":
        return f"{np.median(intervals):g}"
    if len(intervals) == 1:
        return _format_timedelta(pd.Timedelta(intervals[0]))
    months = np.unique(np.diff(grid.astype("datetime64[M]")).astype(int))
    if len(months) > 1 or not months[0]:
        is_business_days = np.isin(intervals / np.timedelta64(1, "D"), (1, 3)).all()
        typical = _format_timedelta(pd.Timedelta(intervals[len(intervals) // 2]))
        return "1 business day" if is_business_days else f"about {typical}"
    return _pluralize(months[0] // 12, "year") if months[0] % 12 == 0 else _pluralize(months[0], "month")


def format_time(grid: Array, index: int) -> str:
    """Return one time of a grid as text; without the time of day if all times are midnight."""
    if grid.dtype.kind != "M":
        return f"{grid[index]:.10g}"
    days = grid.astype("datetime64[D]")
    return str(days[index] if (days == grid).all() else pd.Timestamp(grid[index]))


def last_timestamps(frequency: str, time_range: tuple[str, ...], n: int) -> Array | None:
    """Return the last n times of a grid, as datetime64 or numbers.

    Business month ends that are also month ends in `time_range` are extrapolated as month ends, up to two days off.

    Args:
        frequency: as returned by `describe_frequency`.
        time_range: first and last time, as returned by `format_time`.

    Returns:
        None if the times are unknown, or the frequency is only approximate.
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
    """Return a duration in the largest unit of which it is a multiple."""
    for unit, word in (("D", "day"), ("h", "hour"), ("min", "minute"), ("s", "second"), ("ms", "millisecond")):
        count = delta / pd.Timedelta(1, unit)
        if count == int(count):
            return _pluralize(int(count), word)
    return str(delta)


def _pluralize(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def month_offset(timestamps: pd.DatetimeIndex, months: int) -> pd.offsets.BaseOffset | None:
    """Return the monthly offset that produces all timestamps, None if there is none."""
    if (timestamps.day == timestamps.day[0]).all() and timestamps.day[0] <= 28:
        return pd.DateOffset(months=months)
    for ends in (pd.offsets.MonthEnd(months), pd.offsets.BMonthEnd(months), pd.offsets.BMonthBegin(months)):
        if all(ends.is_on_offset(stamp) for stamp in timestamps):
            return ends
    return None
