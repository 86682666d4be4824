"""Which columns of a table name the sequence of a row and its step in it.

Sources that are almost a series: one flaw must not make a table of them, drawn at random.

Each function returns why a source is none, in words that end a message, or nothing if it is not even near.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.dataset import Array
from ..errors import shown
from .columns import is_even, is_numeric, says_ids, times_of, words_of

SERIES = ("series", "sequence", "case", "id", "sample", "subject", "recording", "record", "trial", "session", "episode")
STEPS = ("t", "step", "time", "index", "timestamp", "date", "frame", "timestep", "time_step", "ms", "seconds")

CALENDAR = frozenset(("year", "date", "day", "week", "month", "quarter"))
"""Words of a column whose steps are rather those of a table: one row a country and year."""

MIN_STEPS = 5
"""Rows that each sequence has, where names do not tell."""

MANY = 10
"""Sequences from which a table without telling names is one of sequences."""

EVEN = 0.9
"""Share of the steps of all sequences that are equally far apart where they are even."""

CLOSE = 1e-3
"""Share of a step by which it may be off."""

MAX_DUPLICATE_SHARE = 0.01
"""Share of rows up to which a step that stands twice is a slip."""

LABELS = 0.05
"""Share of sequences up to which labels that change within one are slips."""


@dataclass(frozen=True)
class Pair:
    """Columns that may be sequence and step, and what speaks for them.

    named: both names tell it. even: steps of a sequence are equally far apart. alike: all sequences begin at one step,
    and without such a name no calendar's. rising: steps stand in order.
    twice (n,): rows whose step stood there before. changed: sequences of more than one target.
    """

    series: str
    step: str
    named: bool
    even: bool
    alike: bool
    rising: bool
    twice: NDArray[np.bool_]
    changed: tuple[int, ...]

    @property
    def rank(self) -> tuple[bool, ...]:
        """What is lowest of the likeliest."""
        return (not self.named, not (self.even and self.alike), not self.even, not self.rising)


def step_columns(
    frame: pd.DataFrame, names: list[str], target: str, series: str = "", step: str = "", *, sure: bool
) -> tuple[str, str] | None:
    """Return the columns of sequence and step, where the target is constant within a sequence.

    Their names have to tell it, and steps to begin again in each sequence, else a counter of rows beside any column
    that determines the target would do; or steps are even, and begin alike in many long sequences.
    series, step: a person says which. sure: a person says that there are sequences, so that even or rising steps do.
    """
    if series and step:
        return series, step
    pairs = _pairs(frame, names, target, series, step, sure=sure)
    found = [pair for pair in pairs if not pair.twice.any() and (series or not pair.changed)]
    best = min(found, key=lambda pair: pair.rank, default=None)
    return (best.series, best.step) if best else None


def steps_with_slips(
    frame: pd.DataFrame, names: list[str], target: str, series: str = "", step: str = "", *, sure: bool
) -> str:
    """Return the flaw of a table that is almost one of sequences, in words that end a message; else nothing.

    sure: a person says that there are sequences, so any share of labels may be wrong.
    """
    pairs = [
        pair
        for pair in _pairs(frame, names, target, series, step, sure=sure)
        if pair.twice.mean() <= MAX_DUPLICATE_SHARE
    ]
    pair = min(pairs, key=lambda pair: (len(pair.changed), *pair.rank), default=None)
    sequences = 0 if pair is None else frame[pair.series].nunique()
    if pair is None or (not sure and len(pair.changed) > max(1, LABELS * sequences)):
        return ""
    series, step = pair.series, pair.step
    if pair.twice.any():
        row = int(np.flatnonzero(pair.twice)[0])
        which = f"{step} {shown(frame[step].iloc[row])} of {series} {shown(frame[series].iloc[row])}"
        return f"{which} stands twice, again in row {row + 1} ({pair.twice.sum()} such rows)"
    if not pair.changed:
        return ""
    name = frame[series].unique()[pair.changed[0]]
    rows = np.flatnonzero(frame[series] == name)
    labels = frame[target].iloc[rows]
    usual = labels.mode().iloc[0]
    odd = int(np.flatnonzero(labels != usual)[0])
    return (
        f"{target} of {series} {shown(name)} changes from {shown(usual)} to {shown(labels.iloc[odd])} in row"
        f" {rows[odd] + 1} ({len(pair.changed)} such sequences)"
    )


def says_series(name: str) -> bool:
    """Say whether a name is one of sequences."""
    return name.lower() in SERIES or says_ids(name)


def _pairs(
    frame: pd.DataFrame, names: list[str], target: str, series: str = "", step: str = "", *, sure: bool
) -> Iterator[Pair]:
    """Yield what may be sequence and step."""
    y = pd.factorize(frame[target])[0]
    for name in [series] if series else names:
        codes, ids = pd.factorize(frame[name])
        if not 1 < len(ids) < len(frame) or codes.min() < 0:
            continue
        first = np.empty(len(ids), np.int64)
        first[codes[::-1]] = y[::-1]
        changed = np.unique(codes[y != first[codes]])
        if not sure and len(changed) > max(1, LABELS * len(ids)):
            continue
        long = np.bincount(codes).min() >= MIN_STEPS
        if not (long or step or says_series(name)):
            continue
        many = len(ids) >= max(MANY, 2 * (y.max() + 1))
        for other in [step] if step else names:
            if other == name or not (step or long or other.lower() in STEPS):
                continue
            pair = _pair(frame, name, codes, other, tuple(changed.tolist()))
            told = pair.named and (sure or _begin_again(frame[other], codes) or pair.even)
            if (
                step
                or told
                or (long and (pair.even or pair.rising) if sure else many and long and pair.even and pair.alike)
            ):
                yield pair


def _pair(frame: pd.DataFrame, series: str, codes: Array, step: str, changed: tuple[int, ...]) -> Pair:
    places = pd.factorize(frame[step])[0]
    twice = pd.Series(codes * (places.max() + 2) + places).duplicated().to_numpy()
    named = says_series(series) and step.lower() in STEPS
    values = _numbers(frame[step])
    even = alike = rising = False
    if values is not None:
        order = np.lexsort((values, codes))
        sorted_values, of = values[order], codes[order]
        apart = np.diff(sorted_values)[np.diff(of) == 0]
        even = _even(apart, EVEN) and not _even(np.diff(np.sort(values)), 1.0)  # else it counts the rows
        starts = sorted_values[np.flatnonzero(np.diff(of, prepend=-1))]
        alike = bool((starts == starts[0]).all()) and not CALENDAR & words_of(step)
        stable = np.argsort(codes, kind="stable")
        rising = bool((np.diff(values[stable])[np.diff(codes[stable]) == 0] > 0).all())
    return Pair(series, step, named, even, alike, rising, twice, changed)


def _numbers(values: pd.Series) -> Array | None:
    """Return the numbers or times by which steps are in order; None if a column holds something else, or gaps."""
    if values.isna().any():
        return None
    if is_numeric(values):
        return np.asarray(values, np.float64)
    times = times_of(values)
    return None if times is None or times.dtype.kind != "M" else np.asarray(times.astype("datetime64[ms]"), np.float64)


def _even(apart: Array, share: float) -> bool:
    usual = np.median(apart) if len(apart) else 0.0
    return bool(usual > 0 and (np.abs(apart - usual) <= CLOSE * usual).mean() >= share)


def _begin_again(steps: pd.Series, codes: Array) -> bool:
    """Say whether every sequence begins before any other has ended."""
    places = pd.Series(pd.factorize(steps, sort=True)[0]).groupby(codes)
    return bool(places.min().max() <= places.max().min())


MAX_IRREGULAR_SHARE = 0.01
"""Share of rows up to which flaws are slips."""

SAMPLE = 20
"""Series of which the times are looked at."""

MOST_GAPS = 0.5
"""Share of empty cells from which a column of times tells no order."""

MIN_SERIES_LENGTH = 5
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
        if not wrong.any() or not (
            sure or (wrong.mean() <= MAX_IRREGULAR_SHARE and is_even(moments[~wrong.to_numpy()]))
        ):
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
    names = [name for name in frame if name != target and 1 < frame[name].nunique() <= len(frame) / MIN_SERIES_LENGTH]
    for time in (name for name in frame if name != target and frame[name].nunique() <= len(frame) / 2):
        times = times_of(frame[time])
        if times is None or pd.isna(times).mean() >= MOST_GAPS:
            continue
        timed, times = frame[~pd.isna(times)], times[~pd.isna(times)]
        for name in (name for name in names if name != time):
            places = timed.groupby(name, sort=False).indices.values()
            long = frame[name].value_counts().min() >= MIN_SERIES_LENGTH and not frame[name].isna().any()
            if (
                long
                and not timed.duplicated([name, time]).any()
                and all(is_even(times[rows]) for rows in islice(places, SAMPLE))
            ):
                return str(time), str(name)
    return None
