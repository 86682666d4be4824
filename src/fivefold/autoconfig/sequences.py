"""Find the sequence-id and time-step columns of a table, and flaws of almost valid sequences and series.

A source with a single flaw must not be treated as a table and split at random, so the flaw is reported. Functions that
search for a flaw return it as text that completes a message; empty or None if the source is not similar enough.
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
"""Words for columns that suggest a table, such as one row per country and year, rather than sequences."""

MIN_SEQUENCE_LENGTH = 5
"""Minimum rows per sequence if the column names are not conclusive."""

MIN_SEQUENCES = 10
"""Minimum number of sequences if the column names are not conclusive."""

MIN_REGULAR_SHARE = 0.9
"""Minimum fraction of equal steps, over all sequences, of regular steps."""

STEP_TOLERANCE = 1e-3
"""Relative tolerance of equal steps."""

MAX_DUPLICATE_SHARE = 0.01
"""Maximum fraction of rows with duplicate steps that are regarded as errors in sequences."""

MAX_INCONSISTENT_SHARE = 0.05
"""Maximum fraction of sequences with inconsistent labels that are regarded as errors in sequences."""


@dataclass(frozen=True)
class CandidatePair:
    """Candidate sequence-id and time-step columns, and the evidence for them.

    has_known_names: both columns have typical names.
    has_equal_steps: steps within a sequence are equal.
    has_common_start: all sequences start at the same step, which is not a calendar unit.
    is_increasing: rows are in the order of the steps.
    is_duplicate: (n,), rows whose step occurred before in the sequence.
    inconsistent: indices of sequences with more than one target value.
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
        """Key that sorts the most likely candidates first."""
        return (
            not self.has_known_names,
            not (self.has_equal_steps and self.has_common_start),
            not self.has_equal_steps,
            not self.is_increasing,
        )


def find_sequence_columns(
    frame: pd.DataFrame, names: list[str], target: str, sequence_id: str = "", time_step: str = "", *, is_explicit: bool
) -> tuple[str, str] | None:
    """Return the sequence-id and time-step columns; the target is constant within a sequence.

    Either both names are typical and steps restart in each sequence, since otherwise a row counter and any column that
    determines the target would qualify; or steps are equal and start alike in many long sequences.

    sequence_id, time_step: as specified by the user; empty infers them.
    is_explicit: the user specified `--kind sequences`, so that equal or increasing steps are sufficient.
    """
    if sequence_id and time_step:
        return sequence_id, time_step
    pairs = _candidate_pairs(frame, names, target, sequence_id, time_step, is_explicit=is_explicit)
    valid = [pair for pair in pairs if not pair.is_duplicate.any() and (sequence_id or not pair.inconsistent)]
    best = min(valid, key=lambda pair: pair.sort_key, default=None)
    return (best.sequence_id, best.time_step) if best else None


def find_sequence_flaw(
    frame: pd.DataFrame, names: list[str], target: str, sequence_id: str = "", time_step: str = "", *, is_explicit: bool
) -> str:
    """Return the flaw of a table of almost valid sequences; empty if there is none.

    is_explicit: the user specified `--kind sequences`, so that any fraction of labels may be inconsistent.
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
        step, name = (format_value(frame[column].iloc[row]) for column in (time_step, sequence_id))
        duplicates = f"row {row + 1} ({pair.is_duplicate.sum()} such rows)"
        return f"{time_step} {step} of {sequence_id} {name} is duplicated in {duplicates}"
    if not pair.inconsistent:
        return ""
    name = frame[sequence_id].unique()[pair.inconsistent[0]]
    rows = np.flatnonzero(frame[sequence_id] == name)
    labels = frame[target].iloc[rows]
    mode = labels.mode().iloc[0]
    index = int(np.flatnonzero(labels != mode)[0])
    return (
        f"{target} of {sequence_id} {format_value(name)} changes from {format_value(mode)} to"
        f" {format_value(labels.iloc[index])} in row {rows[index] + 1} ({len(pair.inconsistent)} such sequences)"
    )


def is_sequence_id_name(name: str) -> bool:
    """Return whether a name is typical of a sequence-id column."""
    return name.lower() in SEQUENCE_ID_NAMES or is_id_name(name)


def _candidate_pairs(
    frame: pd.DataFrame, names: list[str], target: str, sequence_id: str = "", time_step: str = "", *, is_explicit: bool
) -> Iterator[CandidatePair]:
    """Yield candidate pairs of sequence-id and time-step columns."""
    y = pd.factorize(frame[target])[0]
    for id_name in [sequence_id] if sequence_id else names:
        codes, ids = pd.factorize(frame[id_name])
        if not 1 < len(ids) < len(frame) or codes.min() < 0:
            continue
        first = np.empty(len(ids), np.int64)
        first[codes[::-1]] = y[::-1]
        inconsistent = np.unique(codes[y != first[codes]])
        if not is_explicit and len(inconsistent) > max(1, MAX_INCONSISTENT_SHARE * len(ids)):
            continue
        is_long = np.bincount(codes).min() >= MIN_SEQUENCE_LENGTH
        if not (is_long or time_step or is_sequence_id_name(id_name)):
            continue
        has_many = len(ids) >= max(MIN_SEQUENCES, 2 * (y.max() + 1))
        for step_name in [time_step] if time_step else names:
            if step_name == id_name or not (time_step or is_long or step_name.lower() in TIME_STEP_NAMES):
                continue
            pair = _build_pair(frame, id_name, codes, step_name, tuple(inconsistent.tolist()))
            is_named = pair.has_known_names and (
                is_explicit or _has_restarts(frame[step_name], codes) or pair.has_equal_steps
            )
            if (
                time_step
                or is_named
                or (
                    is_long and (pair.has_equal_steps or pair.is_increasing)
                    if is_explicit
                    else has_many and is_long and pair.has_equal_steps and pair.has_common_start
                )
            ):
                yield pair


def _build_pair(
    frame: pd.DataFrame, sequence_id: str, codes: Array, time_step: str, inconsistent: tuple[int, ...]
) -> CandidatePair:
    steps = pd.factorize(frame[time_step])[0]
    is_duplicate = pd.Series(codes * (steps.max() + 2) + steps).duplicated().to_numpy()
    has_known_names = is_sequence_id_name(sequence_id) and time_step.lower() in TIME_STEP_NAMES
    values = _numeric_steps(frame[time_step])
    has_equal_steps = has_common_start = is_increasing = False
    if values is not None:
        order = np.lexsort((values, codes))
        sorted_values, sorted_codes = values[order], codes[order]
        differences = np.diff(sorted_values)[np.diff(sorted_codes) == 0]
        has_equal_steps = _has_equal_steps(differences, MIN_REGULAR_SHARE) and not _has_equal_steps(
            np.diff(np.sort(values)), 1.0
        )  # equal steps over all rows would be a row counter
        starts = sorted_values[np.flatnonzero(np.diff(sorted_codes, prepend=-1))]
        has_common_start = bool((starts == starts[0]).all()) and not CALENDAR_WORDS & split_words(time_step)
        order_by_code = np.argsort(codes, kind="stable")
        is_increasing = bool((np.diff(values[order_by_code])[np.diff(codes[order_by_code]) == 0] > 0).all())
    return CandidatePair(
        sequence_id,
        time_step,
        has_known_names,
        has_equal_steps,
        has_common_start,
        is_increasing,
        is_duplicate,
        inconsistent,
    )


def _numeric_steps(values: pd.Series) -> Array | None:
    """Return the steps as numbers (n,); None if a column is neither numeric nor times, or has missing values."""
    if values.isna().any():
        return None
    if is_numeric(values):
        return np.asarray(values, np.float64)
    times = parse_times(values)
    return None if times is None or times.dtype.kind != "M" else np.asarray(times.astype("datetime64[ms]"), np.float64)


def _has_equal_steps(differences: Array, min_share: float) -> bool:
    typical = np.median(differences) if len(differences) else 0.0
    return bool(typical > 0 and (np.abs(differences - typical) <= STEP_TOLERANCE * typical).mean() >= min_share)


def _has_restarts(steps: pd.Series, codes: Array) -> bool:
    """Return whether every sequence starts before any other has ended."""
    ranks = pd.Series(pd.factorize(steps, sort=True)[0]).groupby(codes)
    return bool(ranks.min().max() <= ranks.max().min())


MAX_FLAW_SHARE = 0.01
"""Maximum fraction of flawed rows of an almost valid series."""

MAX_SERIES_CHECKED = 20
"""Maximum number of series whose times are checked."""

MAX_MISSING_SHARE = 0.5
"""Fraction of missing values from which a time column is not used to order rows."""

MIN_SERIES_ROWS = 5
"""Minimum rows per series."""


def find_repeated_times(frame: pd.DataFrame, target: str, *, is_explicit: bool) -> tuple[str, str] | None:
    """Return the time column of an almost valid series, and its flaw.

    is_explicit: the user specified `--kind series`, so that any fraction of rows may be flawed.
    """
    for name in (name for name in frame if name != target):
        times, parsed = frame[name], parse_times(frame[name])
        if parsed is None:
            continue
        is_flawed = times.isna() | times.duplicated()
        if not is_flawed.any() or not (
            is_explicit or (is_flawed.mean() <= MAX_FLAW_SHARE and is_regular(parsed[~is_flawed.to_numpy()]))
        ):
            continue
        row = int(np.flatnonzero(is_flawed.to_numpy())[0])
        if times.isna().iloc[row]:
            return str(name), f"row {row + 1} of column {name!r} is empty ({is_flawed.sum()} such rows)"
        first = int(np.flatnonzero((times == times.iloc[row]).to_numpy())[0])
        flaw = f"{format_value(times.iloc[row])} of column {name!r} occurs in rows {first + 1} and {row + 1}"
        return str(name), f"{flaw} ({is_flawed.sum()} such rows)"
    return None


def find_panel_columns(frame: pd.DataFrame, target: str) -> tuple[str, str] | None:
    """Return the time and id columns if the rows are regular steps of several series in long form.

    Rows without a time are ignored, if they are few.
    """
    names = [name for name in frame if name != target and 1 < frame[name].nunique() <= len(frame) / MIN_SERIES_ROWS]
    for time in (name for name in frame if name != target and frame[name].nunique() <= len(frame) / 2):
        times = parse_times(frame[time])
        if times is None or pd.isna(times).mean() >= MAX_MISSING_SHARE:
            continue
        timed, times = frame[~pd.isna(times)], times[~pd.isna(times)]
        for name in (name for name in names if name != time):
            rows_by_series = timed.groupby(name, sort=False).indices.values()
            is_long = frame[name].value_counts().min() >= MIN_SERIES_ROWS and not frame[name].isna().any()
            if (
                is_long
                and not timed.duplicated([name, time]).any()
                and all(is_regular(times[rows]) for rows in islice(rows_by_series, MAX_SERIES_CHECKED))
            ):
                return str(time), str(name)
    return None
