"""Propose a split: predefined by the source, by group, by time, stratified or random."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd

from ..config.splits import TimeSplit
from ..data.columns.numbers import DURATION
from ..data.columns.timestamps import join_time_columns
from ..data.dataset import Array, SplitKeys
from ..data.splitting import split_rows
from ..errors import DataError
from .columns import find_group_column, is_regular, is_unique_time, parse_times, split_words
from .sequences import MAX_MISSING_SHARE, find_panel_columns

Block = dict[str, Any]

DEFAULT_FRACTIONS = {"validation": 0.15, "test": 0.15}

MIN_CLASS_ROWS = 10
"""Minimum rows per class of a stratified split."""

MIN_DISTINCT_TIMES = 10
"""Minimum number of distinct times of a split by time."""

SUBPERIOD_WORDS = frozenset(("month", "hour", "hr"))
"""Words for columns with a part of a year or a day."""

YEAR_RANGE = range(1500, 2200)


def propose_split(
    target: pd.Series,
    task: str,
    split_column: str | None,
    frame: pd.DataFrame,
    names: list[str],
    *,
    time_column: str = "",
    allow_time_split: bool = True,
) -> tuple[Block, tuple[str, ...]]:
    """Return a split block, and notes on it.

    split_column: column with a predefined split, None if there is none.
    names: columns that may be groups or times.
    time_column: as specified by the user, to split by.
    allow_time_split: whether the kind of data can be split by time.
    """
    if time_column:
        return {"by": "time", "column": time_column, **DEFAULT_FRACTIONS}, ()
    group = None if split_column else find_group_column(frame, names)
    if group is not None and group[1]:
        return _group_split(frame, group[0])
    notes: tuple[str, ...] = () if group is None else (_suggest_group_split(frame, group[0]),)
    if allow_time_split and not split_column:
        time_split, time_notes = _time_split(target, task, frame, names)
        if time_split:
            return time_split, (*time_notes, *notes)
        notes += time_notes
    return default_split(target, task, split_column), notes or _explain_unstratified(target, task, split_column)


def default_split(target: pd.Series, task: str, split_column: str | None = None) -> Block:
    """Return a split block: predefined by a column, else stratified or random."""
    if split_column:
        return {"by": "predefined", "column": split_column, "validation": DEFAULT_FRACTIONS["validation"]}
    enough = task == "classification" and target.value_counts().min() >= MIN_CLASS_ROWS
    return {"by": "stratified" if enough else "random", **DEFAULT_FRACTIONS}


def _group_split(frame: pd.DataFrame, column: str) -> tuple[Block, tuple[str, ...]]:
    reason = (
        f"split by group, because rows of one {column} in different splits would bias the scores; override with `split`"
    )
    return {"by": "group", "column": column, **DEFAULT_FRACTIONS}, (f"{_describe_repeats(frame, column)}: {reason}",)


def _suggest_group_split(frame: pd.DataFrame, column: str) -> str:
    remedy = _format_split({"by": "group", "column": column, **DEFAULT_FRACTIONS})
    repeats = _describe_repeats(frame, column)
    return f"{repeats}: if rows of one {column} belong together, set `{remedy}`, otherwise the scores are biased"


def _describe_repeats(frame: pd.DataFrame, column: str) -> str:
    return f"{column} repeats ({frame[column].nunique()} values in {len(frame)} rows)"


def _time_split(
    target: pd.Series, task: str, frame: pd.DataFrame, names: list[str]
) -> tuple[Block | None, tuple[str, ...]]:
    """Return a split by the time column that the rows are sorted by, or None, and notes on time columns."""
    times_by_name = {name: times for name in names if (times := _usable_times(frame[name])) is not None}
    panel = None
    if task == "regression" and times_by_name:
        panel = find_panel_columns(frame[[*names, str(target.name)]], str(target.name))
    column = next(
        (name for name, times in times_by_name.items() if _is_sorted(_drop_missing(times))), panel[0] if panel else None
    )
    time_name = column or next((name for name, times in times_by_name.items() if times.dtype.kind == "M"), "")
    date_parts = _date_part_columns(frame, names)
    n_missing = {name: int(pd.isna(times).sum()) for name, times in times_by_name.items()}
    if not column or not _is_splittable_by_time(_drop_missing(times_by_name[column])):
        return None, _explain_random_split(time_name, date_parts, task, n_missing.get(time_name, 0))
    split = {"by": "time", "column": column, **DEFAULT_FRACTIONS}
    times = times_by_name[column]
    problem = _time_split_problem(target[~pd.isna(times)], task, _drop_missing(times), split)
    if problem:
        return None, (f"rows are sorted by {column}, but are split at random, because {problem}",)
    order, alternative = f"each {column} has several rows" if panel else f"rows are sorted by {column}", ""
    if n_missing[column]:
        missing = f"{column} is missing in {n_missing[column]} of {len(frame)} rows"
        consequence = "so rows are split at random, which leaks future rows into training"
        return None, (f"{order}, but {missing}, {consequence}: {_time_split_remedy(column, n_missing[column])}",)
    if panel:
        alternative = f"; to forecast one {panel[1]}, keep only its rows"
        date_parts = date_parts or ([*panel] if _is_single_series(frame, panel) else [])
    elif task == "regression" and is_unique_time(frame[column]) and is_regular(times):
        alternative = "; --kind series would forecast from past rows"
    if date_parts and task == "regression":
        alternative = f"; --time {','.join(date_parts)} would combine them into one series"
    reason = "because a random split would leak future rows into training"
    how = (
        f"split by time, the latest rows are the test rows, {reason}; {column} is not a feature; override with `split`"
    )
    return split, (f"{order}: {how}{alternative}",)


def _is_splittable_by_time(times: Array) -> bool:
    """Return whether rows can be split by times: enough dates or years, but not seconds since an arbitrary start."""
    if len(np.unique(times)) < MIN_DISTINCT_TIMES:
        return False
    return times.dtype.kind == "M" or bool((times == np.round(times)).all() and set(times) <= set(YEAR_RANGE))


def _explain_random_split(time_column: str, date_parts: Sequence[str], task: str, n_missing: int) -> tuple[str, ...]:
    """Return notes that a random split ignores time columns."""
    if date_parts:
        remedy = f"--time {','.join(date_parts)} combines them into a series"
        if task != "regression":
            remedy = "combine them into one column to split by it"
        return (f"rows are sorted by {', '.join(date_parts)}, but are split at random: {remedy}",)
    remedy = f"to predict later rows from earlier ones, {_time_split_remedy(time_column, n_missing)}"
    return (f"{time_column} contains times, but rows are split at random: {remedy}",) if time_column else ()


def _time_split_remedy(column: str, n_missing: int) -> str:
    """Return how to split by time, which requires a time in every row."""
    remedy = f"set `{_format_split({'by': 'time', 'column': column, **DEFAULT_FRACTIONS})}`"
    return f"fill in or remove the rows without {column}, and {remedy}" if n_missing else remedy


def _usable_times(values: pd.Series) -> Array | None:
    """Return the times of a column if they can order rows: less than half are missing and they differ."""
    times = parse_times(values)
    if times is None or pd.isna(times).mean() >= MAX_MISSING_SHARE:
        return None
    return times if len(np.unique(_drop_missing(times))) > 1 else None


def _drop_missing(times: Array) -> Array:
    return times[np.flatnonzero(~pd.isna(times))]


def _date_part_columns(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return columns of year, month, day and hour that together sort the rows; none if they do not."""
    lower = {name.lower(): name for name in names}
    date_parts = [lower[part] for part in takewhile(lambda part: part in lower, ("year", "month", "day", "hour"))]
    if len(date_parts) < 2:
        return []
    times = parse_times(join_time_columns(frame, date_parts))
    return date_parts if times is not None and not pd.isna(times).any() and _is_sorted(times) else []


def _is_single_series(frame: pd.DataFrame, names: tuple[str, str]) -> bool:
    """Return whether two columns together are the times of one series: a date and a time within it."""
    cells = frame[names[1]].astype(str).str.strip()
    if not SUBPERIOD_WORDS & split_words(names[1]) and not cells.str.fullmatch(DURATION).all():
        return False
    times = parse_times(join_time_columns(frame, names))
    return times is not None and len(np.unique(times)) == len(times) and is_regular(times)


def _is_sorted(times: Array) -> bool:
    differences = np.diff(times)
    return bool((differences >= differences.dtype.type(0)).all() or (differences <= differences.dtype.type(0)).all())


def _time_split_problem(target: pd.Series, task: str, times: Array, block: Block) -> str:
    """Return why a split by time is not suitable; empty if it is."""
    classes = task == "classification"
    y, names = pd.factorize(target) if classes else (np.arange(len(target), dtype=np.float64), ())
    try:
        indices = split_rows(SplitKeys(y, tuple(map(str, names)), time=times), TimeSplit.model_validate(block), 0)
    except DataError:
        return f"the latest rows by {block['column']} are too few or too many for a test split"
    absent = np.setdiff1d(np.arange(len(names)), y[indices["train"]])
    return f"{names[absent[0]]!r} of {target.name} occurs only in the latest rows" if len(absent) else ""


def _format_split(block: Block) -> str:
    return f"split: {{{', '.join(f'{key}: {value}' for key, value in block.items())}}}"


def _explain_unstratified(target: pd.Series, task: str, split_column: str | None) -> tuple[str, ...]:
    """Return a note on the class that is too rare for a stratified split."""
    counts = target.value_counts()
    if split_column or task != "classification" or counts.min() >= MIN_CLASS_ROWS:
        return ()
    rare = (
        f"class {counts.index[-1]} has {counts.min()} rows"
        if counts.min() > 1
        else f"class {counts.index[-1]} has one row"
    )
    return (f"split at random, not stratified by class: {rare}, fewer than {MIN_CLASS_ROWS}; remove it, or add rows",)
