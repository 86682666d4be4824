"""Numbers that are written with more than digits: 12%, (45), $1.50, 01:23:45.

A percentage is the number before its sign, brackets mean a negative one as in accounts, a currency says nothing, and a
duration or a time of day is its seconds.
"""

import re

import pandas as pd

MONEY = "[$€£¥]"
BEFORE, AFTER = rf"(?:[-+]? ?{MONEY}? ?[-+]?|\( ?{MONEY}? ?)", rf" ?(?:%|{MONEY})?(?: ?\))? ?%?"
"""What may stand before the first digit and behind the last."""

SIGNED = re.compile(rf"([-+]?) ?{MONEY}? ?([-+]?)(\d+\.?\d*|\.\d+) ?(?:%|{MONEY})?")
IN_BRACKETS = re.compile(rf"\( ?{MONEY}? ?(\d+\.?\d*|\.\d+) ?(?:%|{MONEY})? ?\) ?%?")
CLOCK = re.compile(r"([-+]?)(?:(\d+) days?,? )?(\d{1,3}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?")
AMOUNT = re.compile("|".join(pattern.pattern for pattern in (SIGNED, IN_BRACKETS, CLOCK)))


def amounts(words: pd.Series) -> pd.Series:
    """Return the number that each word is, NaN if it is none; words are stripped and in lower case."""
    return words.map(_amount).astype("float64")


def _amount(word: str) -> float:
    if found := SIGNED.fullmatch(word):
        before, after, digits = found.groups()
        return float("nan") if before and after else float(f"{before or after}{digits}")
    if found := IN_BRACKETS.fullmatch(word):
        return -float(found[1])
    if found := CLOCK.fullmatch(word):
        sign, days, hours, minutes, seconds = found.groups()
        whole = float(days or 0) * 86_400 + float(hours) * 3_600 + float(minutes) * 60 + float(seconds or 0)
        return -whole if sign == "-" else whole
    return float("nan")
