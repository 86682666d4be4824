"""Sources that are almost a series: one flaw must not make a table of them, drawn at random.

Each function returns why a source is none, in words that end a message, or nothing if it is not even near.
"""

from itertools import islice

import numpy as np
import pandas as pd

from ..errors import shown
from .clock import is_even, times_of

FEW = 0.01
"""Share of rows up to which flaws are slips."""

SAMPLE = 20
"""Series of which the times are looked at."""

MOST_GAPS = 0.5
"""Share of empty cells from which a column of times tells no order."""

LONG = 5
"""Rows that each sequence or series must have."""


def times_that_repeat(frame: pd.DataFrame, target: str, *, sure: bool) -> tuple[str, str] | None:
    """Return the column of times of an almost perfect series, and its flaw.

    sure: a person says that it is a series, so any share of rows may be wrong.
    """
    for name in (name for name in frame if name != target):
        times, moments = frame[name], times_of(frame[name])
        if moments is None:
            continue
        wrong = times.isna() | times.duplicated()
        if not wrong.any() or not (sure or (wrong.mean() <= FEW and is_even(moments[~wrong.to_numpy()]))):
            continue
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        if times.isna().iloc[row]:
            return str(name), f"row {row + 1} of column {name!r} is empty ({wrong.sum()} such rows)"
        first = int(np.flatnonzero((times == times.iloc[row]).to_numpy())[0])
        flaw = f"{shown(times.iloc[row])} of column {name!r} stands in rows {first + 1} and {row + 1}"
        return str(name), f"{flaw} ({wrong.sum()} such rows)"
    return None


def panel(frame: pd.DataFrame, target: str) -> tuple[str, str] | None:
    """Return the columns of time and of names if rows are even steps of several series, one below the other.

    Rows without a time, if they are few, do not matter.
    """
    names = [name for name in frame if name != target and 1 < frame[name].nunique() <= len(frame) / LONG]
    for time in (name for name in frame if name != target and frame[name].nunique() <= len(frame) / 2):
        times = times_of(frame[time])
        if times is None or pd.isna(times).mean() >= MOST_GAPS:
            continue
        timed, times = frame[~pd.isna(times)], times[~pd.isna(times)]
        for name in (name for name in names if name != time):
            places = timed.groupby(name, sort=False).indices.values()
            long = frame[name].value_counts().min() >= LONG and not frame[name].isna().any()
            if (
                long
                and not timed.duplicated([name, time]).any()
                and all(is_even(times[rows]) for rows in islice(places, SAMPLE))
            ):
                return str(time), str(name)
    return None
