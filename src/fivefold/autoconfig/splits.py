"""How rows are divided: as the source says, by whose they are, in their order of time, or drawn."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd

from ..config.splits import TimeSplit
from ..data.columns.numbers import DURATION
from ..data.columns.timestamps import joined
from ..data.dataset import Array, Keys
from ..data.splitting import split
from ..errors import DataError
from .columns import group_of, is_even, is_time, times_of, words_of
from .sequences import MOST_GAPS, panel

Block = dict[str, Any]

SHARES = {"validation": 0.15, "test": 0.15}

ENOUGH = 10
"""Rows of each class from which a split is stratified."""

MOMENTS = 10
"""Different times from which rows can be divided by them."""

WITHIN = frozenset(("month", "hour", "hr"))
"""Words of a column that says when within a year or a day a row is."""

YEARS = range(1500, 2200)


def divided(
    target: pd.Series,
    task: str,
    split: str | None,
    frame: pd.DataFrame,
    names: list[str],
    *,
    time: str = "",
    in_time: bool = True,
) -> tuple[Block, tuple[str, ...]]:
    """Return how rows are divided, and what to say of it.

    split: column that says it, None if there is none. names: columns that may tell groups and times.
    time: a person says that this column divides them. in_time: the kind of data can be split by time.
    """
    if time:
        return {"by": "time", "column": time, **SHARES}, ()
    found = None if split else group_of(frame, names)
    if found is not None and found[1]:
        return _by_group(frame, found[0])
    notes: tuple[str, ...] = () if found is None else (_maybe_group(frame, found[0]),)
    if in_time and not split:
        by_time, said = _by_time(target, task, frame, names)
        if by_time:
            return by_time, (*said, *notes)
        notes += said
    return split_of(target, task, split), notes or _why_random(target, task, split)


def split_of(target: pd.Series, task: str, column: str | None = None) -> Block:
    """Return how rows are divided: as a column says, else drawn."""
    if column:
        return {"by": "column", "column": column, "validation": SHARES["validation"]}
    enough = task == "classification" and target.value_counts().min() >= ENOUGH
    return {"by": "stratified" if enough else "random", **SHARES}


def _by_group(frame: pd.DataFrame, column: str) -> tuple[Block, tuple[str, ...]]:
    why = f"split by it, since rows of one {column} in two sets would flatter the score; `split` changes it"
    return {"by": "group", "column": column, **SHARES}, (f"{_repeats(frame, column)}: {why}",)


def _maybe_group(frame: pd.DataFrame, column: str) -> str:
    how = _written({"by": "group", "column": column, **SHARES})
    return f"{_repeats(frame, column)}: if rows of one {column} belong together, set `{how}`, or the score flatters"


def _repeats(frame: pd.DataFrame, column: str) -> str:
    return f"{column} repeats ({frame[column].nunique()} values in {len(frame)} rows)"


def _by_time(
    target: pd.Series, task: str, frame: pd.DataFrame, names: list[str]
) -> tuple[Block | None, tuple[str, ...]]:
    """Return a split by the column of times whose order rows are in; without one, what to say of a column of times."""
    found = {name: times for name in names if (times := _moments(frame[name])) is not None}
    several = panel(frame[[*names, str(target.name)]], str(target.name)) if task == "regression" and found else None
    column = next((name for name in found if _in_order(_known(found[name]))), several[0] if several else None)
    told = column or next((name for name in found if found[name].dtype.kind == "M"), "")
    apart, gaps = _apart(frame, names), {name: int(pd.isna(times).sum()) for name, times in found.items()}
    if not column or not _tells(_known(found[column])):
        return None, _why_drawn(told, apart, task, gaps.get(told, 0))
    by_time = {"by": "time", "column": column, **SHARES}
    lost = _unlearnt(target[~pd.isna(found[column])], task, _known(found[column]), by_time)
    if lost:
        return None, (f"rows are in order of {column}, but drawn at random, since {lost}",)
    order, others = f"each {column} has several rows" if several else f"rows are in order of {column}", ""
    if gaps[column]:
        lacking = f"{column} is missing in {gaps[column]} of {len(frame)} rows"
        drawn = "so they are drawn at random, and the future is known"
        return None, (f"{order}, but {lacking}, {drawn}: {_remedy(column, gaps[column])}",)
    if several:
        others = f"; to forecast one {several[1]}, keep only its rows"
        apart = apart or ([*several] if _is_one(frame, several) else [])
    elif task == "regression" and is_time(frame[column]) and is_even(found[column]):
        others = "; --kind series would forecast from past rows"
    if apart and task == "regression":
        others = f"; --time {','.join(apart)} would make one series of them"
    why = "in rows drawn at random the future would be known"
    how = f"split by it, the latest are test rows, since {why}, and it is no feature; `split` changes it"
    return by_time, (f"{order}: {how}{others}",)


def _tells(times: Array) -> bool:
    """Say whether rows can be divided by times: by enough dates or years, not by seconds since some beginning."""
    if len(np.unique(times)) < MOMENTS:
        return False
    return times.dtype.kind == "M" or bool((times == np.round(times)).all() and set(times) <= set(YEARS))


def _why_drawn(told: str, apart: Sequence[str], task: str, gaps: int) -> tuple[str, ...]:
    """Say of columns of times that rows are drawn whatever they hold."""
    if apart:
        series = f"--time {','.join(apart)} makes a series of them"
        how = series if task == "regression" else "as one column they can be what `split` names"
        return (f"{', '.join(apart)} put rows in order, but they are drawn at random: {how}",)
    how = f"to tell later rows from earlier ones, {_remedy(told, gaps)}"
    return (f"{told} holds times, but rows are drawn at random: {how}",) if told else ()


def _remedy(column: str, gaps: int) -> str:
    """Return what a person can do to divide rows in time, which asks for a time in every row."""
    how = f"set `{_written({'by': 'time', 'column': column, **SHARES})}`"
    return f"fill in or remove the rows without {column}, and {how}" if gaps else how


def _moments(values: pd.Series) -> Array | None:
    """Return the times of a column in whose order rows can be, with gaps in less than half of it."""
    times = times_of(values)
    if times is None or pd.isna(times).mean() >= MOST_GAPS:
        return None
    return times if len(np.unique(_known(times))) > 1 else None


def _known(times: Array) -> Array:
    return times[np.flatnonzero(~pd.isna(times))]


def _apart(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return columns of year, month, day, hour that put rows in order together; none if they do not."""
    lower = {name.lower(): name for name in names}
    found = [lower[part] for part in takewhile(lambda part: part in lower, ("year", "month", "day", "hour"))]
    if len(found) < 2:
        return []
    times = times_of(joined(frame, found))
    return found if times is not None and not pd.isna(times).any() and _in_order(times) else []


def _is_one(frame: pd.DataFrame, names: tuple[str, str]) -> bool:
    """Say whether the second of two columns tells when within the first a row is."""
    cells = frame[names[1]].astype(str).str.strip()
    if not WITHIN & words_of(names[1]) and not cells.str.fullmatch(DURATION).all():
        return False
    together = times_of(joined(frame, names))
    return together is not None and len(np.unique(together)) == len(together) and is_even(together)


def _in_order(times: Array) -> bool:
    later = np.diff(times)
    return bool((later >= later.dtype.type(0)).all() or (later <= later.dtype.type(0)).all())


def _unlearnt(target: pd.Series, task: str, times: Array, block: Block) -> str:
    """Return why rows divided in time would not do: nothing if they would."""
    classes = task == "classification"
    y, names = pd.factorize(target) if classes else (np.arange(len(target), dtype=np.float64), ())
    try:
        parts = split(Keys(y, tuple(map(str, names)), time=times), TimeSplit.model_validate(block), 0)
    except DataError:
        return f"the latest rows of {block['column']} are too few, or too many, for test rows"
    absent = np.setdiff1d(np.arange(len(names)), y[parts["train"]])
    return f"{names[absent[0]]!r} of {target.name} is only in the latest ones" if len(absent) else ""


def _written(block: Block) -> str:
    return f"split: {{{', '.join(f'{key}: {value}' for key, value in block.items())}}}"


def _why_random(target: pd.Series, task: str, split: str | None) -> tuple[str, ...]:
    """Say which class keeps a split from being stratified."""
    counts = target.value_counts()
    if split or task != "classification" or counts.min() >= ENOUGH:
        return ()
    rare = (
        f"class {counts.index[-1]} has {counts.min()} rows"
        if counts.min() > 1
        else f"class {counts.index[-1]} has one row"
    )
    return (f"split at random, not stratified by class: {rare}, fewer than {ENOUGH}; remove it, or bring more of it",)
