"""Dates as they are written: ISO ones, quarters, and months by name.

Of 1960Q1 and of Jan 1960 the first day is meant.
"""

import re
from itertools import chain

import pandas as pd

MONTH, DAY = r"(0?[1-9]|1[0-2])", r"(0?[1-9]|[12]\d|3[01])"
TIME = r"([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?"

NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
NAMED = rf"(?:{'|'.join(chain.from_iterable((name, name[:3], f'{name[:3]}[.]') for name in NAMES))}|sept[.]?)"
QUARTER, QUARTER_FIRST = r"\d{4}[-: /]?q[1-4]", r"q[1-4][-: /]?\d{4}"
DAY_NAMED, NAMED_DAY = rf"{DAY}[-. /]?{NAMED}[-, /]+(\d{{4}}|\d{{2}})", rf"{NAMED} {DAY},? \d{{4}}"
MONTH_NAMED = rf"{NAMED}(?:[- /]\d{{4}}|-\d{{2}})"
SPELT = rf"(?:{QUARTER}|{QUARTER_FIRST}|{MONTH_NAMED}|(?:{DAY_NAMED}|{NAMED_DAY}){TIME})"
"""1960Q1, 1960-Q1, Q1 1960; 12-Jan-2021, 12 January 2021, Jan 12, 2021; Jan 2021, Jan-21."""

DATE = re.compile(rf"{SPELT}|\d{{4,6}}[-/]({MONTH}|\d{{1,2}}[-/]\d{{1,2}}{TIME})", re.IGNORECASE)
"""A month or a day: 2020/21 is a season, but 2020-21-01 and 12021-01-01 mistakes among days."""
DATE_THAT_IS = re.compile(rf"{SPELT}|\d{{4}}[-/]{MONTH}([-/]{DAY}.*)?", re.IGNORECASE)

OTHER_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}( .*)?")
"""A date with the day or the month first."""

PIVOT = 69
"""Two digits from here on are a year of the last century, as POSIX has it."""

PARTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<year>\d{4})[-: /]?q(?P<quarter>[1-4])",
        r"q(?P<quarter>[1-4])[-: /]?(?P<year>\d{4})",
        r"(?P<month>[a-z]{3})[a-z.]*[- /](?P<year>\d{4}|\d{2})",
        r"(?P<day>\d{1,2})[-. /]?(?P<month>[a-z]{3})[a-z.]*[-, /]+(?P<year>\d{4}|\d{2})(?P<time>[ t].*)?",
        r"(?P<month>[a-z]{3})[a-z.]* (?P<day>\d{1,2}),? (?P<year>\d{4})(?P<time>[ t].*)?",
    )
)


def iso(words: pd.Series) -> pd.Series:
    """Write dates that are spelt otherwise as 2021-01-12; words are stripped and in lower case, other ones stay."""
    return words.map(_iso)


def _iso(word: str) -> str:
    found = next((match for pattern in PARTS if (match := pattern.fullmatch(word))), None)
    if not found or not re.fullmatch(SPELT, word):
        return word
    part = found.groupdict()
    short = [name[:3] for name in NAMES]
    month = 3 * int(part["quarter"]) - 2 if "quarter" in part else short.index(part["month"]) + 1
    return f"{full_year(part['year'])}-{month:02d}-{int(part.get('day') or 1):02d}{part.get('time') or ''}"


def full_year(year: str) -> str:
    """Return a year in four digits."""
    return year if len(year) == 4 else f"{19 if int(year) >= PIVOT else 20}{year}"
