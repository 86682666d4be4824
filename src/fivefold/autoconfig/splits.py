"""How rows are divided: as the source says, by whose they are, in their order of time, or drawn."""

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
"""Rows of each class from which a split is stratified."""

MIN_DISTINCT_TIMES = 10
"""Different times from which rows can be divided by them."""

SUBPERIOD_WORDS = frozenset(("month", "hour", "hr"))
"""Words of a column that says when within a year or a day a row is."""

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
    """Return how rows are divided, and what to say of it.

    split: column that says it, None if there is none. names: columns that may tell groups and times.
    time: a person says that this column divides them. in_time: the kind of data can be split by time.
    """
    if time_column:
        return {"by": "time", "column": time_column, **DEFAULT_FRACTIONS}, ()
    found = None if split_column else find_group_column(frame, names)
    if found is not None and found[1]:
        return _group_split(frame, found[0])
    notes: tuple[str, ...] = () if found is None else (_suggest_group_split(frame, found[0]),)
    if allow_time_split and not split_column:
        by_time, said = _time_split(target, task, frame, names)
        if by_time:
            return by_time, (*said, *notes)
        notes += said
    return default_split(target, task, split_column), notes or _explain_unstratified(target, task, split_column)


def default_split(target: pd.Series, task: str, split_column: str | None = None) -> Block:
    """Return how rows are divided: as a column says, else drawn."""
    if split_column:
        return {"by": "predefined", "column": split_column, "validation": DEFAULT_FRACTIONS["validation"]}
    enough = task == "classification" and target.value_counts().min() >= MIN_CLASS_ROWS
    return {"by": "stratified" if enough else "random", **DEFAULT_FRACTIONS}


def _group_split(frame: pd.DataFrame, column: str) -> tuple[Block, tuple[str, ...]]:
    why = f"split by it, since rows of one {column} in two sets would flatter the score; `split` changes it"
    return {"by": "group", "column": column, **DEFAULT_FRACTIONS}, (f"{_describe_repeats(frame, column)}: {why}",)


def _suggest_group_split(frame: pd.DataFrame, column: str) -> str:
    how = _format_split({"by": "group", "column": column, **DEFAULT_FRACTIONS})
    return f"{_describe_repeats(frame, column)}: if rows of one {column} belong together, set `{how}`, or the score flatters"


def _describe_repeats(frame: pd.DataFrame, column: str) -> str:
    return f"{column} repeats ({frame[column].nunique()} values in {len(frame)} rows)"


def _time_split(
    target: pd.Series, task: str, frame: pd.DataFrame, names: list[str]
) -> tuple[Block | None, tuple[str, ...]]:
    """Return a split by the column of times whose order rows are in; without one, what to say of a column of times."""
    found = {name: times for name in names if (times := _usable_times(frame[name])) is not None}
    several = (
        find_panel_columns(frame[[*names, str(target.name)]], str(target.name))
        if task == "regression" and found
        else None
    )
    column = next((name for name in found if _is_sorted(_drop_missing(found[name]))), several[0] if several else None)
    told = column or next((name for name in found if found[name].dtype.kind == "M"), "")
    apart, gaps = _date_part_columns(frame, names), {name: int(pd.isna(times).sum()) for name, times in found.items()}
    if not column or not _is_splittable_by_time(_drop_missing(found[column])):
        return None, _explain_random_split(told, apart, task, gaps.get(told, 0))
    by_time = {"by": "time", "column": column, **DEFAULT_FRACTIONS}
    lost = _time_split_problem(target[~pd.isna(found[column])], task, _drop_missing(found[column]), by_time)
    if lost:
        return None, (f"rows are in order of {column}, but drawn at random, since {lost}",)
    order, others = f"each {column} has several rows" if several else f"rows are in order of {column}", ""
    if gaps[column]:
        lacking = f"{column} is missing in {gaps[column]} of {len(frame)} rows"
        drawn = "so they are drawn at random, and the future is known"
        return None, (f"{order}, but {lacking}, {drawn}: {_time_split_remedy(column, gaps[column])}",)
    if several:
        others = f"; to forecast one {several[1]}, keep only its rows"
        apart = apart or ([*several] if _is_single_series(frame, several) else [])
    elif task == "regression" and is_unique_time(frame[column]) and is_regular(found[column]):
        others = "; --kind series would forecast from past rows"
    if apart and task == "regression":
        others = f"; --time {','.join(apart)} would make one series of them"
    why = "in rows drawn at random the future would be known"
    how = f"split by it, the latest are test rows, since {why}, and it is no feature; `split` changes it"
    return by_time, (f"{order}: {how}{others}",)


def _is_splittable_by_time(times: Array) -> bool:
    """Say whether rows can be divided by times: by enough dates or years, not by seconds since some beginning."""
    if len(np.unique(times)) < MIN_DISTINCT_TIMES:
        return False
    return times.dtype.kind == "M" or bool((times == np.round(times)).all() and set(times) <= set(YEAR_RANGE))


def _explain_random_split(time_column: str, date_parts: Sequence[str], task: str, n_missing: int) -> tuple[str, ...]:
    """Say of columns of times that rows are drawn whatever they hold."""
    if date_parts:
        series = f"--time {','.join(date_parts)} makes a series of them"
        how = series if task == "regression" else "as one column they can be what `split` names"
        return (f"{', '.join(date_parts)} put rows in order, but they are drawn at random: {how}",)
    how = f"to tell later rows from earlier ones, {_time_split_remedy(time_column, n_missing)}"
    return (f"{time_column} holds times, but rows are drawn at random: {how}",) if time_column else ()


def _time_split_remedy(column: str, n_missing: int) -> str:
    """Return what a person can do to divide rows in time, which asks for a time in every row."""
    how = f"set `{_format_split({'by': 'time', 'column': column, **DEFAULT_FRACTIONS})}`"
    return f"fill in or remove the rows without {column}, and {how}" if n_missing else how


def _usable_times(values: pd.Series) -> Array | None:
    """Return the times of a column in whose order rows can be, with gaps in less than half of it."""
    times = parse_times(values)
    if times is None or pd.isna(times).mean() >= MAX_MISSING_SHARE:
        return None
    return times if len(np.unique(_drop_missing(times))) > 1 else None


def _drop_missing(times: Array) -> Array:
    return times[np.flatnonzero(~pd.isna(times))]


def _date_part_columns(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return columns of year, month, day, hour that put rows in order together; none if they do not."""
    lower = {name.lower(): name for name in names}
    found = [lower[part] for part in takewhile(lambda part: part in lower, ("year", "month", "day", "hour"))]
    if len(found) < 2:
        return []
    times = parse_times(join_time_columns(frame, found))
    return found if times is not None and not pd.isna(times).any() and _is_sorted(times) else []


def _is_single_series(frame: pd.DataFrame, names: tuple[str, str]) -> bool:
    """Say whether the second of two columns tells when within the first a row is."""
    cells = frame[names[1]].astype(str).str.strip()
    if not SUBPERIOD_WORDS & split_words(names[1]) and not cells.str.fullmatch(DURATION).all():
        return False
    together = parse_times(join_time_columns(frame, names))
    return together is not None and len(np.unique(together)) == len(together) and is_regular(together)


def _is_sorted(times: Array) -> bool:
    later = np.diff(times)
    return bool((later >= later.dtype.type(0)).all() or (later <= later.dtype.type(0)).all())


def _time_split_problem(target: pd.Series, task: str, times: Array, block: Block) -> str:
    """Return why rows divided in time would not do: nothing if they would."""
    classes = task == "classification"
    y, names = pd.factorize(target) if classes else (np.arange(len(target), dtype=np.float64), ())
    try:
        parts = split_rows(SplitKeys(y, tuple(map(str, names)), time=times), TimeSplit.model_validate(block), 0)
    except DataError:
        return f"the latest rows of {block['column']} are too few, or too many, for test rows"
    absent = np.setdiff1d(np.arange(len(names)), y[parts["train"]])
    return f"{names[absent[0]]!r} of {target.name} is only in the latest ones" if len(absent) else ""


def _format_split(block: Block) -> str:
    return f"split: {{{', '.join(f'{key}: {value}' for key, value in block.items())}}}"


def _explain_unstratified(target: pd.Series, task: str, split_column: str | None) -> tuple[str, ...]:
    """Say which class keeps a split from being stratified."""
    counts = target.value_counts()
    if split_column or task != "classification" or counts.min() >= MIN_CLASS_ROWS:
        return ()
    rare = (
        f"class {counts.index[-1]} has {counts.min()} rows"
        if counts.min() > 1
        else f"class {counts.index[-1]} has one row"
    )
    return (
        f"split at random, not stratified by class: {rare}, fewer than {MIN_CLASS_ROWS}; remove it, or bring more of it",
    )
