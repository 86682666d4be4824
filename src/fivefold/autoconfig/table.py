"""A dataset block for a table of columns: of what kind it is, and which column is what."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data.columns.timestamps import join_time_columns
from ..data.targets import normalize_boolean_spelling, parse_numeric
from ..errors import DataError
from .columns import (
    TextColumns,
    find_text_columns,
    infer_season_length,
    is_fold_column,
    is_id_name,
    is_mainly_text,
    is_number_like,
    is_pixel_table,
    is_regular,
    is_split_column,
    is_unique_time,
    parse_times,
)
from .options import UNSUPERVISED, AddOptions, ImageSize
from .sequences import find_panel_columns, find_repeated_times, find_sequence_columns, find_sequence_flaw
from .splits import default_split, propose_split
from .target import (
    TARGET_NAMES,
    check_columns,
    check_task,
    find_target,
    format_list,
    infer_task,
    is_skewed,
    missing_targets,
    note_possible_classes,
    raise_missing_targets,
)

Block = dict[str, Any]

DEFAULT_WINDOW = 12
"""Past steps to look at where no season is known."""


@dataclass(frozen=True)
class DatasetProposal:
    """A dataset block, what a person should know of how it came about, and a table's columns of text."""

    block: Block
    notes: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()


def propose_dataset(frame: pd.DataFrame, source: Path, options: AddOptions) -> DatasetProposal:
    """Return a dataset block for a table of columns, of the kind that it is."""
    split = next((name for name in frame if is_split_column(frame[name])), None)
    check_columns(frame, options.column_options(), source)
    options = replace(options, kind=options.kind or ("images" if options.size else ""))  # a size is that of images
    if options.task == UNSUPERVISED:  # as if a column beside the others were to be told that never changes
        alike = _propose_with_target(frame.assign(**{"": 0}), source, options, options.task, split)
        labels = (name for name in frame if name.lower() in TARGET_NAMES and name != split)
        notes = (f"{name}: learnt like other columns; if it is a label, take it out of the data" for name in labels)
        return DatasetProposal(alike.block, (*alike.notes, *notes), alike.text_columns)
    if options.kind == "series" or not (options.kind or options.task):
        found = _propose_series(frame, options, source)
        if found:
            return found
    options = replace(options, target=options.target or find_target(frame, split, source))
    frame = frame.assign(**{options.target: normalize_boolean_spelling(frame[options.target])})
    target, kind = frame[options.target], options.kind
    task = options.task or infer_task(target)
    check_task(target, task, source)
    empty = missing_targets(target, task)
    if not empty.any():
        found = _propose_with_target(frame, source, options, task, split)
        values = found.block["task"] == "regression" and not options.task and found.block["kind"] != "sequences"
        return replace(found, notes=(*found.notes, *note_possible_classes(target))) if values else found
    found = (
        _propose_with_target(frame[~empty], source, options, task, split)
        if options.skip_invalid and not empty.all()
        else None
    )
    if found is None or found.block["kind"] != "table":
        raise_missing_targets(target, empty, source, is_table=found is None and kind in ("", "table"))
    note = f"accepted: {empty.sum()} rows without {options.target} are left out; `missing` in params.yaml holds it"
    return DatasetProposal({**found.block, "missing": {"target": "drop"}}, (*found.notes, note), found.text_columns)


def _propose_with_target(
    frame: pd.DataFrame, source: Path, options: AddOptions, task: str, split_column: str | None
) -> DatasetProposal:
    """Return a block for a table of columns each of whose rows has a target."""
    target, kind, size = options.target, options.kind, options.size
    if kind in ("", "sequences") and not options.time:
        found = _propose_sequences(frame, options, split_column, source)
        if found:
            return found
    names = [name for name in frame if name not in (target, split_column)]
    if kind == "images" or (not kind and not options.time and is_pixel_table(frame[names])):
        return DatasetProposal(_propose_images(frame, names, target, task, split_column, size, source))
    texts = find_text_columns(frame, names, is_explicit=kind == "text")
    if kind == "text" and not texts.names:
        raise DataError(f"{source} must have a column of text beside {target!r}, but has none; choose another --kind")
    if len(options.time_columns) > 1:
        raise DataError(f"rows of a table are divided by one column, but --time is {options.time!r}; name one of them")
    by, notes = propose_split(frame[target], task, split_column, frame, names, time_column=options.time)
    if kind == "text" or (not kind and is_mainly_text(texts)):
        return _propose_text(frame, texts, target, task, by, notes)
    unread = ", ".join(texts.names)
    notes += (f"{unread}: text, of which a table learns nothing; --kind text would read it, alone",) if unread else ()
    notes += tuple(
        f"{name}: the number of a fold, not a feature; name it under `drop`"
        for name in names
        if is_fold_column(frame[name])
    )
    block: Block = {"kind": "table", "task": task, "target": target, "split": by, "normalize": "standard"}
    if task == "regression" and is_skewed(frame[target]):
        block["log_target"] = True
        notes += (
            f"{target}: a few values are far above the rest, so logarithms are learnt (`log`); take it out if not",
        )
    return DatasetProposal(block, notes, texts.names)


def _propose_text(
    frame: pd.DataFrame, text_columns: TextColumns, target: str, task: str, split: Block, notes: tuple[str, ...]
) -> DatasetProposal:
    text = text_columns.names[0]
    words = frame[text].dropna().astype(str).str.count(r"\w+")
    length = int(np.clip(2 ** math.ceil(math.log2(max(words.quantile(0.9), 8))), 8, 512))
    others = [name for name in (*text_columns.names[1:], *text_columns.other_columns) if name != split.get("column")]
    if others:
        which = "the longest column of text, " if len(text_columns.names) > 1 else ""
        notes += (
            f"only {text} is read, {which}and not {format_list(others)}: a text is one column; `text` in params.yaml names"
            " another, --kind table takes numbers and categories instead",
        )
    block = {"kind": "text", "text": text, "target": target, "task": task, "length": length, "split": split}
    return DatasetProposal(block, notes)


def _propose_images(
    frame: pd.DataFrame,
    names: list[str],
    target: str,
    task: str,
    split_column: str | None,
    size: ImageSize | None,
    source: Path,
) -> Block:
    """Return a block for one image a row."""
    width = len(names)
    sides = size or (math.isqrt(width),) * 2
    if width not in [channels * sides[0] * sides[1] for channels in (1, 3, 4)] and not _is_square(width):
        raise DataError(
            f"{source}: a row of pixels must make up a square image, or one of --size HEIGHTxWIDTH, but there are"
            f" {width} columns{f' beside {target!r}' if target else ''}; say --size, or choose another --kind"
        )
    by = default_split(frame[target], task, split_column)
    return {"kind": "images", "target": target, "task": task, "split": by, "normalize": "minmax"}


def _is_square(width: int) -> bool:
    return any(width % c == 0 and math.isqrt(width // c) ** 2 == width // c for c in (1, 3, 4))


def _propose_series(frame: pd.DataFrame, options: AddOptions, source: Path) -> DatasetProposal | None:
    """Return a block if rows are steps of one series: a column of times that never repeat, and numbers."""
    target, sure = options.target, options.kind == "series"
    own = (
        next((name for name in frame if name != target and is_unique_time(frame[name])), None)
        if not options.time
        else None
    )
    times = options.time_columns or ((own,) if own else ())
    numeric = [name for name in frame if name not in times and is_number_like(frame[name])]
    found = target or (numeric[0] if len(numeric) == 1 else next((n for n in numeric if n.lower() in TARGET_NAMES), ""))
    if not times:
        _check_missing_times(frame, found, numeric, is_explicit=sure, source=source)
    if sure and found not in numeric:
        told = f"{found!r} is none" if found else "it is not said which"
        raise DataError(
            f"{source}: a series must have a column of numbers to forecast, but {told}; name one with --target:"
            f" {format_list(numeric) or 'there is none'}"
        )
    if not times or found not in numeric:
        return None
    clock = join_time_columns(frame, times)
    moments = parse_times(clock)
    if moments is None:
        moments = parse_numeric(clock, source, "say dates, times or numbers with --time")
    words_or_events = len(numeric) + len(times) < frame.shape[1] or not is_regular(moments)
    if not sure and (infer_task(frame[found]) == "classification" or words_or_events):
        return None  # words would be lost, or rows are events, not steps
    cycle = infer_season_length(moments)
    window = max(min((cycle or DEFAULT_WINDOW) + 1, len(frame) // 5), 4)  # one more shows the change since a season ago
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
        **({"season_length": cycle} if 0 < cycle <= window else {}),
        "split": {"by": "time", "validation": held, "test": held},
        "normalize": "standard",
    }
    return DatasetProposal(
        block, (f"left out, as a series is of numeric_transform: {format_list(lost)}",) if lost else ()
    )


def _check_missing_times(
    frame: pd.DataFrame, target: str, numeric: list[str], *, is_explicit: bool, source: Path
) -> None:
    """Refuse rows that are a series but for a few of them, or several series, or that a person says are one."""
    forecast = target in numeric and infer_task(frame[target]) == "regression"
    several = find_panel_columns(frame, target) if is_explicit else None
    if several:
        time, name = several
        raise DataError(
            f"{source}: a series must be one, but each {name} has times of its own in column {time!r}, and several"
            f" series in one file are not supported: keep the rows of one {name}; or say --kind table; or give each"
            f" {name} one label, as sequences have"
        )
    near = find_repeated_times(frame, target, is_explicit=is_explicit)
    if near and (is_explicit or (forecast and len(numeric) + (near[0] not in numeric) >= frame.shape[1])):
        raise DataError(
            f"{source}: a series must have each time once, but {near[1]}; remove or mend such rows, or say --kind table"
        )
    if is_explicit:
        raise DataError(
            f"{source} must have a column of dates or times, each once, but has none; choose another --kind"
        )


def _propose_sequences(
    frame: pd.DataFrame, options: AddOptions, split_column: str | None, source: Path
) -> DatasetProposal | None:
    """Return a block if rows are steps of many sequences: id and step stand together once, an id has one target."""
    target, sure = options.target, options.kind == "sequences"
    names = [name for name in frame if name not in (target, split_column)]
    found = find_sequence_columns(frame, names, target, options.sequence_id, options.time_step, is_explicit=sure)
    if found is None:
        flaw = find_sequence_flaw(frame, names, target, options.sequence_id, options.time_step, is_explicit=sure)
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
    task = options.task or infer_task(firsts[target])
    rest = [name for name in frame if name not in (series, step, target, split_column)]
    once = [name for name in rest if is_id_name(name) and len(frame[[series, name]].drop_duplicates()) == len(firsts)]
    by, notes = propose_split(firsts[target], task, split_column, firsts, once, allow_time_split=False)
    values = [name for name in rest if is_number_like(frame[name]) and name != by.get("column")]
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
    told = (
        () if options.sequence_id and options.time_step else (f"{series} names the sequence, {step} orders its steps",)
    )
    return DatasetProposal(block, (*told, *notes))
