"""A dataset block for a table of columns: of what kind it is, and which column is what."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data.columns.timestamps import joined
from ..data.targets import numbers, one_spelling
from ..errors import DataError
from .columns import (
    Texts,
    are_pixels,
    holds_numbers,
    is_even,
    is_fold,
    is_time,
    known_season,
    reads_as_text,
    says_ids,
    says_parts,
    texts_of,
    times_of,
)
from .options import UNSUPERVISED, Said, Size
from .sequences import panel, step_columns, steps_with_slips, times_that_repeat
from .splits import divided, split_of
from .target import (
    TARGETS,
    check_columns,
    check_task,
    find_target,
    gaps_of,
    is_skewed,
    listed,
    maybe_classes,
    refuse_gaps,
    task_of,
)

Block = dict[str, Any]

DOZEN = 12
"""Past steps to look at where no season is known."""


@dataclass(frozen=True)
class Found:
    """A dataset block, what a person should know of how it came about, and a table's columns of text."""

    block: Block
    notes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def of_columns(frame: pd.DataFrame, source: Path, said: Said) -> Found:
    """Return a dataset block for a table of columns, of the kind that it is."""
    split = next((name for name in frame if says_parts(frame[name])), None)
    check_columns(frame, said.columns(), source)
    said = replace(said, kind=said.kind or ("images" if said.size else ""))  # a size is that of images
    if said.task == UNSUPERVISED:  # as if a column beside the others were to be told that never changes
        alike = _with_target(frame.assign(**{"": 0}), source, said, said.task, split)
        labels = (name for name in frame if name.lower() in TARGETS and name != split)
        notes = (f"{name}: learnt like other columns; if it is a label, take it out of the data" for name in labels)
        return Found(alike.block, (*alike.notes, *notes), alike.texts)
    if said.kind == "series" or not (said.kind or said.task):
        found = _series(frame, said, source)
        if found:
            return found
    said = replace(said, target=said.target or find_target(frame, split, source))
    frame = frame.assign(**{said.target: one_spelling(frame[said.target])})
    target, kind = frame[said.target], said.kind
    task = said.task or task_of(target)
    check_task(target, task, source)
    empty = gaps_of(target, task)
    if not empty.any():
        found = _with_target(frame, source, said, task, split)
        values = found.block["task"] == "regression" and not said.task and found.block["kind"] != "sequences"
        return replace(found, notes=(*found.notes, *maybe_classes(target))) if values else found
    found = _with_target(frame[~empty], source, said, task, split) if said.accept and not empty.all() else None
    if found is None or found.block["kind"] != "table":
        refuse_gaps(target, empty, source, table=found is None and kind in ("", "table"))
    note = f"accepted: {empty.sum()} rows without {said.target} are left out; `missing` in params.yaml holds it"
    return Found({**found.block, "missing": {"target": "drop"}}, (*found.notes, note), found.texts)


def _with_target(frame: pd.DataFrame, source: Path, said: Said, task: str, split: str | None) -> Found:
    """Return a block for a table of columns each of whose rows has a target."""
    target, kind, size = said.target, said.kind, said.size
    if kind in ("", "sequences") and not said.time:
        found = _sequences(frame, said, split, source)
        if found:
            return found
    names = [name for name in frame if name not in (target, split)]
    if kind == "images" or (not kind and not said.time and are_pixels(frame[names])):
        return Found(_pixels(frame, names, target, task, split, size, source))
    texts = texts_of(frame, names, sure=kind == "text")
    if kind == "text" and not texts.columns:
        raise DataError(f"{source} must have a column of text beside {target!r}, but has none; choose another --kind")
    if len(said.times) > 1:
        raise DataError(f"rows of a table are divided by one column, but --time is {said.time!r}; name one of them")
    by, notes = divided(frame[target], task, split, frame, names, time=said.time)
    if kind == "text" or (not kind and reads_as_text(texts)):
        return _text(frame, texts, target, task, by, notes)
    unread = ", ".join(texts.columns)
    notes += (f"{unread}: text, of which a table learns nothing; --kind text would read it, alone",) if unread else ()
    notes += tuple(
        f"{name}: the number of a fold, not a feature; name it under `drop`" for name in names if is_fold(frame[name])
    )
    block: Block = {"kind": "table", "task": task, "target": target, "split": by, "normalize": "standard"}
    if task == "regression" and is_skewed(frame[target]):
        block["log"] = True
        notes += (
            f"{target}: a few values are far above the rest, so logarithms are learnt (`log`); take it out if not",
        )
    return Found(block, notes, texts.columns)


def _text(frame: pd.DataFrame, texts: Texts, target: str, task: str, split: Block, notes: tuple[str, ...]) -> Found:
    text = texts.columns[0]
    words = frame[text].dropna().astype(str).str.count(r"\w+")
    length = int(np.clip(2 ** math.ceil(math.log2(max(words.quantile(0.9), 8))), 8, 512))
    others = [name for name in (*texts.columns[1:], *texts.others) if name != split.get("column")]
    if others:
        which = "the longest column of text, " if len(texts.columns) > 1 else ""
        notes += (
            f"only {text} is read, {which}and not {listed(others)}: a text is one column; `text` in params.yaml names"
            " another, --kind table takes numbers and categories instead",
        )
    block = {"kind": "text", "text": text, "target": target, "task": task, "length": length, "split": split}
    return Found(block, notes)


def _pixels(
    frame: pd.DataFrame, names: list[str], target: str, task: str, split: str | None, size: Size | None, source: Path
) -> Block:
    """Return a block for one image a row."""
    width = len(names)
    sides = size or (math.isqrt(width),) * 2
    if width not in [channels * sides[0] * sides[1] for channels in (1, 3, 4)] and not _square(width):
        raise DataError(
            f"{source}: a row of pixels must make up a square image, or one of --size HEIGHTxWIDTH, but there are"
            f" {width} columns{f' beside {target!r}' if target else ''}; say --size, or choose another --kind"
        )
    by = split_of(frame[target], task, split)
    return {"kind": "images", "target": target, "task": task, "split": by, "normalize": "minmax"}


def _square(width: int) -> bool:
    return any(width % c == 0 and math.isqrt(width // c) ** 2 == width // c for c in (1, 3, 4))


def _series(frame: pd.DataFrame, said: Said, source: Path) -> Found | None:
    """Return a block if rows are steps of one series: a column of times that never repeat, and numbers."""
    target, sure = said.target, said.kind == "series"
    own = next((name for name in frame if name != target and is_time(frame[name])), None) if not said.time else None
    times = said.times or ((own,) if own else ())
    numeric = [name for name in frame if name not in times and holds_numbers(frame[name])]
    found = target or (numeric[0] if len(numeric) == 1 else next((n for n in numeric if n.lower() in TARGETS), ""))
    if not times:
        _no_times(frame, found, numeric, sure=sure, source=source)
    if sure and found not in numeric:
        told = f"{found!r} is none" if found else "it is not said which"
        raise DataError(
            f"{source}: a series must have a column of numbers to forecast, but {told}; name one with --target:"
            f" {listed(numeric) or 'there is none'}"
        )
    if not times or found not in numeric:
        return None
    clock = joined(frame, times)
    moments = times_of(clock)
    if moments is None:
        moments = numbers(clock, source, "say dates, times or numbers with --time")
    words_or_events = len(numeric) + len(times) < frame.shape[1] or not is_even(moments)
    if not sure and (task_of(frame[found]) == "classification" or words_or_events):
        return None  # words would be lost, or rows are events, not steps
    cycle = known_season(moments)
    window = max(min((cycle or DOZEN) + 1, len(frame) // 5), 4)  # one more shows the change since a season ago
    held = int(np.clip(len(frame) // 6, 2, 10_000))
    others = [name for name in numeric if name != found]
    lost = [name for name in frame if name not in (*times, *numeric)]
    block = {
        "kind": "series",
        "task": "forecasting",
        "time": times[0] if len(times) == 1 else list(times),
        "targets": [found],
        **({"exogenous": others} if others else {}),
        "window": window,
        "horizon": 1,
        **({"season": cycle} if 0 < cycle <= window else {}),
        "split": {"by": "time", "validation": held, "test": held},
        "normalize": "standard",
    }
    return Found(block, (f"left out, as a series is of numbers: {listed(lost)}",) if lost else ())


def _no_times(frame: pd.DataFrame, target: str, numeric: list[str], *, sure: bool, source: Path) -> None:
    """Refuse rows that are a series but for a few of them, or several series, or that a person says are one."""
    forecast = target in numeric and task_of(frame[target]) == "regression"
    several = panel(frame, target) if sure else None
    if several:
        time, name = several
        raise DataError(
            f"{source}: a series must be one, but each {name} has times of its own in column {time!r}, and several"
            f" series in one file are not supported: keep the rows of one {name}; or say --kind table; or give each"
            f" {name} one label, as sequences have"
        )
    near = times_that_repeat(frame, target, sure=sure)
    if near and (sure or (forecast and len(numeric) + (near[0] not in numeric) >= frame.shape[1])):
        raise DataError(
            f"{source}: a series must have each time once, but {near[1]}; remove or mend such rows, or say --kind table"
        )
    if sure:
        raise DataError(
            f"{source} must have a column of dates or times, each once, but has none; choose another --kind"
        )


def _sequences(frame: pd.DataFrame, said: Said, split: str | None, source: Path) -> Found | None:
    """Return a block if rows are steps of many sequences: id and step stand together once, an id has one target."""
    target, sure = said.target, said.kind == "sequences"
    names = [name for name in frame if name not in (target, split)]
    found = step_columns(frame, names, target, said.series, said.step, sure=sure)
    if found is None:
        flaw = steps_with_slips(frame, names, target, said.series, said.step, sure=sure)
        if flaw:
            raise DataError(
                f"{source}: a sequence must have each step once{f' and one {target}' if target else ''}, but {flaw};"
                " mend such rows, or say --kind table to have rows drawn at random"
            )
        if sure:
            raise DataError(
                f"{source} must have a column that names the sequence, of one {target} each, and one that orders its"
                " steps, but none can be told; say which with --series and --step"
            )
        return None
    series, step = found
    firsts = frame.drop_duplicates(series)
    task = said.task or task_of(firsts[target])
    rest = [name for name in frame if name not in (series, step, target, split)]
    once = [name for name in rest if says_ids(name) and len(frame[[series, name]].drop_duplicates()) == len(firsts)]
    by, notes = divided(firsts[target], task, split, firsts, once, in_time=False)
    values = [name for name in rest if holds_numbers(frame[name]) and name != by.get("column")]
    block = {
        "kind": "sequences",
        "task": task,
        "target": target,
        "series": series,
        "step": step,
        **({"values": values} if len(values) < len(rest) else {}),
        "split": by,
        "normalize": "standard",
    }
    told = () if said.series and said.step else (f"{series} names the sequence, {step} orders its steps",)
    return Found(block, (*told, *notes))
