"""A dataset block for a table of columns: of what kind it is, and which column is what."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data import columns
from ..data.frame import need
from ..errors import DataError
from ..params.datasets import Column
from .signs import are_pixels, is_even, is_numeric, is_text, is_time, says_parts, season, step_columns

Block = dict[str, Any]

TARGETS = ("target", "label", "class", "y")
"""Names by which a target is known without being told, the surest first."""

FEW = 20
"""Different whole numbers up to which a target is taken for classes."""

SHARES = {"validation": 0.15, "test": 0.15}


def of_columns(frame: pd.DataFrame, source: Path, target: str, kind: str) -> Block:
    """Return a dataset block for a table of columns, of the kind that it is."""
    split = next((name for name in frame if says_parts(frame[name])), None)
    if target:
        need(frame, {target: "--target"}, source)
    times = next((name for name in frame if name != target and is_time(frame[name])), None)
    if not kind or kind == "series":
        block = _series(frame, target, times, sure=bool(kind), source=source)
        if block:
            return block
    target = target or _target(frame, split, source)
    if kind in ("", "sequences"):
        block = _sequences(frame, target, split, sure=bool(kind), source=source)
        if block:
            return block
    task = task_of(frame[target])
    divided = split_of(frame[target], task, split)
    pixels = [name for name in frame if name not in (target, split)]
    if kind == "images" or (not kind and are_pixels(frame[pixels])):
        return {"kind": "images", "target": target, "task": task, "split": divided, "normalize": "minmax"}
    texts = [name for name in pixels if is_text(frame[name])]
    if kind == "text" or (not kind and texts):
        if not texts:
            raise DataError(
                f"{source} must have a column of text beside {target!r}, but has none; choose another --kind"
            )
        return _texts(frame, texts[0], target, task, divided)
    return {"kind": "table", "task": task, "target": target, "split": divided, "normalize": "standard"}


def _texts(frame: pd.DataFrame, text: str, target: str, task: str, split: Block) -> Block:
    words = frame[text].dropna().astype(str).str.count(r"\w+")
    length = int(np.clip(2 ** math.ceil(math.log2(max(words.quantile(0.9), 8))), 8, 512))
    return {"kind": "text", "text": text, "target": target, "task": task, "length": length, "split": split}


def _series(frame: pd.DataFrame, target: str, times: str | None, *, sure: bool, source: Path) -> Block | None:
    """Return a block if rows are steps of one series: a column of times that never repeat, and numbers."""
    if times is None:
        if sure:
            raise DataError(
                f"{source} must have a column of dates or times, each once, but has none; choose another --kind"
            )
        return None
    numeric = [name for name in frame if name != times and pd.api.types.is_numeric_dtype(frame[name])]
    found = target or (numeric[0] if len(numeric) == 1 else next((n for n in numeric if n.lower() in TARGETS), ""))
    if found not in numeric or (not sure and task_of(frame[found]) == "classification"):
        return None
    if not sure and (len(numeric) + 1 < frame.shape[1] or not is_even(frame[times])):
        return None  # words would be lost, or rows are events, not steps
    window = max(min(season(frame[times]) + 1, len(frame) // 5), 4)  # one more shows the change since a season ago
    held = int(np.clip(len(frame) // 6, 2, 10_000))
    others = [name for name in numeric if name != found]
    return {
        "kind": "series",
        "task": "forecasting",
        "time": times,
        "targets": [found],
        **({"exogenous": others} if others else {}),
        "window": window,
        "horizon": 1,
        "split": {"by": "time", "validation": held, "test": held},
        "normalize": "standard",
    }


def _sequences(frame: pd.DataFrame, target: str, split: str | None, *, sure: bool, source: Path) -> Block | None:
    """Return a block if rows are steps of many sequences: id and step stand together once, an id has one target."""
    found = next(step_columns(frame, [name for name in frame if name not in (target, split)], target), None)
    if found is None:
        if sure:
            raise DataError(
                f"{source} must have a column that names the sequence and one that orders its steps, in which a target"
                " stands once, but has not; mend the file"
            )
        return None
    series, step = found
    labels = frame.drop_duplicates(series).set_index(series)[target]
    task = task_of(labels)
    values = [n for n in frame if n not in (series, step, target, split) and is_numeric(frame[n])]
    words = [n for n in frame if n not in (series, step, target, split, *values)]
    return {
        "kind": "sequences",
        "task": task,
        "target": target,
        "series": series,
        "step": step,
        **({"values": values} if words else {}),
        "split": split_of(labels, task, split),
        "normalize": "standard",
    }


def _target(frame: pd.DataFrame, split: str | None, source: Path) -> str:
    known = [name for name in frame if name.lower() in TARGETS and name != split]
    if known:
        return str(min(known, key=lambda name: TARGETS.index(name.lower())))
    shown = ", ".join(map(str, frame.columns[:20])) + (", ..." if len(frame.columns) > 20 else "")
    raise DataError(f"{source}: say which column to predict with --target; the columns are {shown}")


def task_of(values: pd.Series) -> str:
    """Return classification for words, booleans and few whole numbers, else regression."""
    known = values.dropna()
    if not pd.api.types.is_numeric_dtype(known.dtype) or pd.api.types.is_bool_dtype(known.dtype):
        kind, _ = columns.infer(known, Column())
        return "regression" if kind == "numeric" else "classification"
    whole = bool((known == known.round()).all())
    return "classification" if whole and known.nunique() <= min(FEW, max(2, len(known) // 5)) else "regression"


def split_of(target: pd.Series, task: str, column: str | None) -> Block:
    """Return how rows are divided: as a column says, else drawn."""
    if column:
        return {"by": "column", "column": column}
    enough = task == "classification" and target.value_counts().min() >= 10
    return {"by": "stratified" if enough else "random", **SHARES}
