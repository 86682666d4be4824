"""Columns of times: which are, what they say, and how evenly they step."""

import numpy as np
import pandas as pd

from ..config.datasets import Column
from ..data.columns import types
from ..data.columns.timestamps import compact
from ..data.dataset import Array
from .groups import words_of

NAMES = frozenset(("year", "time", "date", "timestamp", "datetime", "epoch"))
"""Names of a column of numbers that are times."""

COUNTERS = frozenset(("day", "week", "month", "quarter", "hour", "period"))
"""Names of one that are times if each stands once and all are equally far apart."""

EPOCH = frozenset(("time", "timestamp", "ts", "epoch", "unix", "date", "datetime", "utc"))
"""Words of a name that say of large numbers that they count from 1970."""

SINCE, UNTIL = 10**8, 42 * 10**8
"""Seconds since 1970 that a file may hold: 1973 to 2103."""

A_SECOND = (1, 10**3, 10**6, 10**9)
"""What is counted: seconds, and their parts."""

SURE = 10
"""Different numbers such as 20010131 that are dates, not by chance."""

MOST = 0.9
"""Share of the steps that are whole minutes from which numbers without such a name count from 1970."""

USUAL = 0.6
"""Share of the steps that are equally long from which times are even."""


def times_of(values: pd.Series) -> Array | None:
    """Return a column of times (n,) as datetime64, or as float64 where they count from another day than 1970.

    NaT or NaN stands for gaps. None if the column holds something else.
    """
    if pd.api.types.is_bool_dtype(values.dtype):
        return None
    named = str(values.name).lower() in NAMES
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        found = _since_1970(numbers, str(values.name))
        if found is None and (named or values.nunique() >= SURE):
            found = compact(numbers)
        return found if found is not None else numbers if named else None
    kind, _ = types.infer(values, Column())
    if kind != "date" and not (kind == "numeric" and named):
        return None
    cells, bad = types.parse(values, kind)
    return None if len(bad) else np.asarray(cells)


def is_time(values: pd.Series) -> bool:
    """Say whether a column is a time that never repeats."""
    if not values.is_unique or values.isna().any():
        return False
    if times_of(values) is not None:
        return True
    counts = str(values.name).lower() in COUNTERS and pd.api.types.is_numeric_dtype(values.dtype)
    return counts and len(np.unique(np.diff(np.sort(values)))) == 1


def is_even(times: Array) -> bool:
    """Say whether most neighbours in time are equally far apart, or a month or a year."""
    apart = pd.Series(np.diff(np.sort(times)))
    if times.dtype.kind == "M":
        days = apart / np.timedelta64(1, "D")
        apart = days.where(days < 28, (days / 30.4).round())
    return bool(len(apart) > 2 and apart.value_counts(normalize=True).iloc[0] >= USUAL)


def known_season(times: Array) -> int:
    """Return the steps of a season, 0 if none: a year of months, quarters, weeks; a week of days; a day of hours."""
    if times.dtype.kind != "M":
        return 0
    hours = float(np.median(np.diff(np.sort(times)) / np.timedelta64(1, "h")))
    if 28 <= hours / 24 <= 31:
        return 12
    if 90 <= hours / 24 <= 92:
        return 4
    return {0.5: 48, 1: 24, 24: 7, 24 * 7: 52}.get(hours, 0)


def _since_1970(numbers: Array, name: str) -> Array | None:
    """Return numbers that count seconds, or parts of one, since 1970 as datetime64; None if they do not."""
    known = numbers[~np.isnan(numbers)]
    if len(known) < 2 or known.min() < SINCE:
        return None
    for count in A_SECOND:
        if SINCE * count <= known.min() and known.max() <= UNTIL * count:
            steps = np.diff(np.unique(known)) % (60 * count) == 0
            if not (EPOCH & words_of(name) or (len(steps) and steps.mean() >= MOST)):
                return None
            return np.where(np.isnan(numbers), np.nan, np.nan_to_num(numbers) / count * 1e3).astype("datetime64[ms]")
    return None
