"""How rows are divided: as the source says, by whose they are, in their order of time, or drawn."""

from typing import Any

import numpy as np
import pandas as pd

from ..data.records import Array, Keys
from ..data.splitting import split
from ..data.times import joined
from ..errors import DataError
from ..params.splits import TimeSplit
from .clock import is_even, is_time, times_of
from .groups import group_of
from .near import panel

Block = dict[str, Any]

SHARES = {"validation": 0.15, "test": 0.15}

ENOUGH = 10
"""Rows of each class from which a split is stratified."""

MOMENTS = 10
"""Different times from which rows can be divided by them."""

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
    column = next((name for name in found if _in_order(found[name])), several[0] if several else None)
    told = column or next((name for name in found if found[name].dtype.kind == "M"), None)
    if told is None:
        return None, ()
    by_time = {"by": "time", "column": told, **SHARES}
    if column is None or not (found[told].dtype.kind == "M" or _are_years(found[told])):
        how = f"to tell later rows from earlier ones, set `{_written(by_time)}`"
        return None, (f"{told} holds times, but rows are drawn at random: {how}",)
    lost = _unlearnt(target, task, found[told], by_time)
    if lost:
        return None, (f"rows are in order of {told}, but drawn at random, since {lost}",)
    order, others = f"rows are in order of {told}", ""
    if several:
        order, others = f"each {told} has several rows", f"; to forecast one {several[1]}, keep only its rows"
        together = times_of(joined(frame, several))
        if together is not None and len(np.unique(together)) == len(together) and is_even(together):
            others = f"; --time {several[0]},{several[1]} would make one series of them"
    elif task == "regression" and is_time(frame[told]) and is_even(found[told]):
        others = "; --kind series would forecast from past rows"
    why = "in rows drawn at random the future would be known"
    how = f"split by it, the latest are test rows, since {why}, and it is no feature; `split` changes it"
    return by_time, (f"{order}: {how}{others}",)


def _moments(values: pd.Series) -> Array | None:
    """Return the times of a column by which rows can be divided."""
    times = None if values.isna().any() else times_of(values)
    return times if times is not None and not pd.isna(times).any() and len(np.unique(times)) >= MOMENTS else None


def _in_order(times: Array) -> bool:
    later = np.diff(times)
    return bool((later >= later.dtype.type(0)).all() or (later <= later.dtype.type(0)).all())


def _are_years(times: Array) -> bool:
    return bool((times == np.round(times)).all() and YEARS[0] <= times.min() and times.max() <= YEARS[-1])


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
