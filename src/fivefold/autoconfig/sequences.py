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
from ..errors import format_value
from .columns import is_id_name, is_numeric, is_regular, parse_times, split_words

SEQUENCE_ID_NAMES = (
    "series",
    "sequence",
    "case",
    "id",
    "sample",
    "subject",
    "recording",
    "record",
    "trial",
    "session",
    "episode",
)
TIME_STEP_NAMES = ("t", "step", "time", "index", "timestamp", "date", "frame", "timestep", "time_step", "ms", "seconds")

CALENDAR_WORDS = frozenset(("year", "date", "day", "week", "month", "quarter"))
"""Words of a column whose steps are rather those of a table: one row a country and year."""

MIN_SEQUENCE_LENGTH = 5
"""Rows that each sequence has, where names do not tell."""

MIN_SEQUENCES = 10
"""Sequences from which a table without telling names is one of sequences."""

MIN_REGULAR_SHARE = 0.9
"""Share of the steps of all sequences that are equally far apart where they are even."""

STEP_TOLERANCE = 1e-3
"""Share of a step by which it may be off."""

MAX_DUPLICATE_SHARE = 0.01
"""Share of rows up to which a step that stands twice is a slip."""

MAX_INCONSISTENT_SHARE = 0.05
"""Share of sequences up to which labels that change within one are slips."""


@dataclass(frozen=True)
class CandidatePair:
    """Columns that may be sequence and step, and what speaks for them.

    named: both names tell it. even: steps of a sequence are equally far apart. alike: all sequences begin at one step,
    and without such a name no calendar's. rising: steps stand in order.
    twice (n,): rows whose step stood there before. changed: sequences of more than one target.
    """

    sequence_id: str
    time_step: str
    has_known_names: bool
    has_equal_steps: bool
    has_common_start: bool
    is_increasing: bool
    is_duplicate: NDArray[np.bool_]
    inconsistent: tuple[int, ...]

    @property
    def sort_key(self) -> tuple[bool, ...]:
        """What is lowest of the likeliest."""
        return (
            not self.has_known_names,
            not (self.has_equal_steps and self.has_common_start),
            not self.has_equal_steps,
            not self.is_increasing,
        )


def find_sequence_columns(
    frame: pd.DataFrame, names: list[str], target: str, sequence_id: str = "", time_step: str = "", *, is_explicit: bool
) -> tuple[str, str] | None:
    """Return the columns of sequence and step, where the target is constant within a sequence.

    Their names have to tell it, and steps to begin again in each sequence, else a counter of rows beside any column
    that determines the target would do; or steps are even, and begin alike in many long sequences.
    series, step: a person says which. sure: a person says that there are sequences, so that even or rising steps do.
    """
    if sequence_id and time_step:
        return sequence_id, time_step
    pairs = _candidate_pairs(frame, names, target, sequence_id, time_step, is_explicit=is_explicit)
    found = [pair for pair in pairs if not pair.is_duplicate.any() and (sequence_id or not pair.inconsistent)]
    best = min(found, key=lambda pair: pair.sort_key, default=None)
    return (best.sequence_id, best.time_step) if best else None


def find_sequence_flaw(
    frame: pd.DataFrame, names: list[str], target: str, sequence_id: str = "", time_step: str = "", *, is_explicit: bool
) -> str:
    """Return the flaw of a table that is almost one of sequences, in words that end a message; else nothing.

    sure: a person says that there are sequences, so any share of labels may be wrong.
    """
    pairs = [
        pair
        for pair in _candidate_pairs(frame, names, target, sequence_id, time_step, is_explicit=is_explicit)
        if pair.is_duplicate.mean() <= MAX_DUPLICATE_SHARE
    ]
    pair = min(pairs, key=lambda pair: (len(pair.inconsistent), *pair.sort_key), default=None)
    sequences = 0 if pair is None else frame[pair.sequence_id].nunique()
    if pair is None or (not is_explicit and len(pair.inconsistent) > max(1, MAX_INCONSISTENT_SHARE * sequences)):
        return ""
    sequence_id, time_step = pair.sequence_id, pair.time_step
    if pair.is_duplicate.any():
        row = int(np.flatnonzero(pair.is_duplicate)[0])
        which = f"{time_step} {format_value(frame[time_step].iloc[row])} of {sequence_id} {format_value(frame[sequence_id].iloc[row])}"
        return f"{which} stands twice, again in row {row + 1} ({pair.is_duplicate.sum()} such rows)"
    if not pair.inconsistent:
        return ""
    name = frame[sequence_id].unique()[pair.inconsistent[0]]
    rows = np.flatnonzero(frame[sequence_id] == name)
    labels = frame[target].iloc[rows]
    usual = labels.mode().iloc[0]
    odd = int(np.flatnonzero(labels != usual)[0])
    return (
        f"{target} of {sequence_id} {format_value(name)} changes from {format_value(usual)} to {format_value(labels.iloc[odd])} in row"
        f" {rows[odd] + 1} ({len(pair.inconsistent)} such sequences)"
    )


def is_sequence_id_name(name: str) -> bool:
    """Say whether a name is one of sequences."""
    return name.lower() in SEQUENCE_ID_NAMES or is_id_name(name)


def _candidate_pairs(
    frame: pd.DataFrame, names: list[str], target: str, sequence_id: str = "", time_step: str = "", *, is_explicit: bool
) -> Iterator[CandidatePair]:
    """Yield what may be sequence and step."""
    y = pd.factorize(frame[target])[0]
    for name in [sequence_id] if sequence_id else names:
        codes, ids = pd.factorize(frame[name])
        if not 1 < len(ids) < len(frame) or codes.min() < 0:
            continue
        first = np.empty(len(ids), np.int64)
        first[codes[::-1]] = y[::-1]
        changed = np.unique(codes[y != first[codes]])
        if not is_explicit and len(changed) > max(1, MAX_INCONSISTENT_SHARE * len(ids)):
            continue
        long = np.bincount(codes).min() >= MIN_SEQUENCE_LENGTH
        if not (long or time_step or is_sequence_id_name(name)):
            continue
        many = len(ids) >= max(MIN_SEQUENCES, 2 * (y.max() + 1))
        for other in [time_step] if time_step else names:
            if other == name or not (time_step or long or other.lower() in TIME_STEP_NAMES):
                continue
            pair = _build_pair(frame, name, codes, other, tuple(changed.tolist()))
            told = pair.has_known_names and (is_explicit or _has_restarts(frame[other], codes) or pair.has_equal_steps)
            if (
                time_step
                or told
                or (
                    long and (pair.has_equal_steps or pair.is_increasing)
                    if is_explicit
                    else many and long and pair.has_equal_steps and pair.has_common_start
                )
            ):
                yield pair


def _build_pair(
    frame: pd.DataFrame, sequence_id: str, codes: Array, time_step: str, inconsistent: tuple[int, ...]
) -> CandidatePair:
    places = pd.factorize(frame[time_step])[0]
    twice = pd.Series(codes * (places.max() + 2) + places).duplicated().to_numpy()
    named = is_sequence_id_name(sequence_id) and time_step.lower() in TIME_STEP_NAMES
    values = _numeric_steps(frame[time_step])
    even = alike = rising = False
    if values is not None:
        order = np.lexsort((values, codes))
        sorted_values, of = values[order], codes[order]
        apart = np.diff(sorted_values)[np.diff(of) == 0]
        even = _has_equal_steps(apart, MIN_REGULAR_SHARE) and not _has_equal_steps(
            np.diff(np.sort(values)), 1.0
        )  # else it counts the rows
        starts = sorted_values[np.flatnonzero(np.diff(of, prepend=-1))]
        alike = bool((starts == starts[0]).all()) and not CALENDAR_WORDS & split_words(time_step)
        stable = np.argsort(codes, kind="stable")
        rising = bool((np.diff(values[stable])[np.diff(codes[stable]) == 0] > 0).all())
    return CandidatePair(sequence_id, time_step, named, even, alike, rising, twice, inconsistent)


def _numeric_steps(values: pd.Series) -> Array | None:
    """Return the numbers or times by which steps are in order; None if a column holds something else, or gaps."""
    if values.isna().any():
        return None
    if is_numeric(values):
        return np.asarray(values, np.float64)
    times = parse_times(values)
    return None if times is None or times.dtype.kind != "M" else np.asarray(times.astype("datetime64[ms]"), np.float64)


def _has_equal_steps(differences: Array, min_share: float) -> bool:
    usual = np.median(differences) if len(differences) else 0.0
    return bool(usual > 0 and (np.abs(differences - usual) <= STEP_TOLERANCE * usual).mean() >= min_share)


def _has_restarts(steps: pd.Series, codes: Array) -> bool:
    """Say whether every sequence begins before any other has ended."""
    places = pd.Series(pd.factorize(steps, sort=True)[0]).groupby(codes)
    return bool(places.min().max() <= places.max().min())


MAX_FLAW_SHARE = 0.01
"""Share of rows up to which flaws are slips."""

MAX_SERIES_CHECKED = 20
"""Series of which the times are looked at."""

MAX_MISSING_SHARE = 0.5
"""Share of empty cells from which a column of times tells no order."""

MIN_SERIES_ROWS = 5
"""Rows that each sequence or series must have."""


def find_repeated_times(frame: pd.DataFrame, target: str, *, is_explicit: bool) -> tuple[str, str] | None:
    """Return the column of times of an almost perfect series, and its flaw.

    sure: a person says that it is a series, so any share of rows may be wrong.
    """
    for name in (name for name in frame if name != target):
        times, moments = frame[name], parse_times(frame[name])
        if moments is None:
            continue
        wrong = times.isna() | times.duplicated()
        if not wrong.any() or not (
            is_explicit or (wrong.mean() <= MAX_FLAW_SHARE and is_regular(moments[~wrong.to_numpy()]))
        ):
            continue
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        if times.isna().iloc[row]:
            return str(name), f"row {row + 1} of column {name!r} is empty ({wrong.sum()} such rows)"
        first = int(np.flatnonzero((times == times.iloc[row]).to_numpy())[0])
        flaw = f"{format_value(times.iloc[row])} of column {name!r} stands in rows {first + 1} and {row + 1}"
        return str(name), f"{flaw} ({wrong.sum()} such rows)"
    return None


def find_panel_columns(frame: pd.DataFrame, target: str) -> tuple[str, str] | None:
    """Return the columns of time and of names if rows are even steps of several series, one below the other.

    Rows without a time, if they are few, do not matter.
    """
    names = [name for name in frame if name != target and 1 < frame[name].nunique() <= len(frame) / MIN_SERIES_ROWS]
    for time in (name for name in frame if name != target and frame[name].nunique() <= len(frame) / 2):
        times = parse_times(frame[time])
        if times is None or pd.isna(times).mean() >= MAX_MISSING_SHARE:
            continue
        timed, times = frame[~pd.isna(times)], times[~pd.isna(times)]
        for name in (name for name in names if name != time):
            places = timed.groupby(name, sort=False).indices.values()
            long = frame[name].value_counts().min() >= MIN_SERIES_ROWS and not frame[name].isna().any()
            if (
                long
                and not timed.duplicated([name, time]).any()
                and all(is_regular(times[rows]) for rows in islice(places, MAX_SERIES_CHECKED))
            ):
                return str(time), str(name)
    return None
