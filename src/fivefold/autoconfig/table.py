"""Propose a dataset block for a table of columns: its kind and the roles of its columns."""

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
"""Input window, in steps, of a series without a known season."""


@dataclass(frozen=True)
class DatasetProposal:
    """A dataset block, notes on how it was inferred, and the text columns of a table."""

    block: Block
    notes: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()


def propose_dataset(frame: pd.DataFrame, source: Path, options: AddOptions) -> DatasetProposal:
    """Return a dataset block for a table of columns, of the inferred kind."""
    split = next((name for name in frame if is_split_column(frame[name])), None)
    check_columns(frame, options.column_options(), source)
    options = replace(options, kind=options.kind or ("images" if options.size else ""))  # only images have a size
    if options.task == UNSUPERVISED:  # with a constant column as the target
        proposal = _propose_with_target(frame.assign(**{"": 0}), source, options, options.task, split)
        labels = (name for name in frame if name.lower() in TARGET_NAMES and name != split)
        notes = (f"{name}: used as a feature; if it is a label, remove it from the data" for name in labels)
        return DatasetProposal(proposal.block, (*proposal.notes, *notes), proposal.text_columns)
    if options.kind == "series" or not (options.kind or options.task):
        series = _propose_series(frame, options, source)
        if series:
            return series
    options = replace(options, target=options.target or find_target(frame, split, source))
    frame = frame.assign(**{options.target: normalize_boolean_spelling(frame[options.target])})
    target, kind = frame[options.target], options.kind
    task = options.task or infer_task(target)
    check_task(target, task, source)
    empty = missing_targets(target, task)
    if not empty.any():
        proposal = _propose_with_target(frame, source, options, task, split)
        block = proposal.block
        if block["task"] == "regression" and not options.task and block["kind"] != "sequences":
            return replace(proposal, notes=(*proposal.notes, *note_possible_classes(target)))
        return proposal
    partial = None
    if options.skip_invalid and not empty.all():
        partial = _propose_with_target(frame[~empty], source, options, task, split)
    if partial is None or partial.block["kind"] != "table":
        raise_missing_targets(target, empty, source, is_table=partial is None and kind in ("", "table"))
    note = f"{empty.sum()} rows without {options.target} are dropped (see `missing` in params.yaml)"
    block = {**partial.block, "missing": {"target": "drop"}}
    return DatasetProposal(block, (*partial.notes, note), partial.text_columns)


def _propose_with_target(
    frame: pd.DataFrame, source: Path, options: AddOptions, task: str, split_column: str | None
) -> DatasetProposal:
    """Return a proposal for a table without missing targets."""
    target, kind, size = options.target, options.kind, options.size
    if kind in ("", "sequences") and not options.time:
        sequences = _propose_sequences(frame, options, split_column, source)
        if sequences:
            return sequences
    names = [name for name in frame if name not in (target, split_column)]
    if kind == "images" or (not kind and not options.time and is_pixel_table(frame[names])):
        return DatasetProposal(_propose_images(frame, names, target, task, split_column, size, source))
    texts = find_text_columns(frame, names, is_explicit=kind == "text")
    if kind == "text" and not texts.names:
        raise DataError(f"{source} must have a text column besides {target!r}, but has none; choose another --kind")
    if len(options.time_columns) > 1:
        raise DataError(f"a table is split by a single time column, but --time is {options.time!r}; choose one of them")
    split, notes = propose_split(frame[target], task, split_column, frame, names, time_column=options.time)
    if kind == "text" or (not kind and is_mainly_text(texts)):
        return _propose_text(frame, texts, target, task, split, notes)
    ignored = ", ".join(texts.names)
    notes += (f"{ignored}: text is not used in a table; --kind text uses only the text",) if ignored else ()
    notes += tuple(
        f"{name}: fold numbers are not a feature; add it to `drop`" for name in names if is_fold_column(frame[name])
    )
    block: Block = {"kind": "table", "task": task, "target": target, "split": split, "normalize": "standard"}
    if task == "regression" and is_skewed(frame[target]):
        block["log_target"] = True
        notes += (f"{target}: the distribution has a long tail, so its logarithm is predicted (`log_target`)",)
    return DatasetProposal(block, notes, texts.names)


def _propose_text(
    frame: pd.DataFrame, text_columns: TextColumns, target: str, task: str, split: Block, notes: tuple[str, ...]
) -> DatasetProposal:
    text = text_columns.names[0]
    n_words = frame[text].dropna().astype(str).str.count(r"\w+")
    max_length = int(np.clip(2 ** math.ceil(math.log2(max(n_words.quantile(0.9), 8))), 8, 512))
    ignored = [name for name in (*text_columns.names[1:], *text_columns.other_columns) if name != split.get("column")]
    if ignored:
        longest = " (the longest text)" if len(text_columns.names) > 1 else ""
        notes += (
            f"only {text}{longest} is used, not {format_list(ignored)}: text models use one column; choose it with"
            " `text` in params.yaml, or use --kind table for numbers and categories",
        )
    block = {"kind": "text", "text": text, "target": target, "task": task, "max_length": max_length, "split": split}
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
    """Return a block for a table with one image per row."""
    width = len(names)
    shape = size or (math.isqrt(width),) * 2
    if width not in [channels * shape[0] * shape[1] for channels in (1, 3, 4)] and not _is_square(width):
        besides = f" besides {target!r}" if target else ""
        raise DataError(
            f"{source}: a row must be a square image or one of --size HEIGHTxWIDTH, but there are {width}"
            f" columns{besides}; set --size, or choose another --kind"
        )
    split = default_split(frame[target], task, split_column)
    return {"kind": "images", "target": target, "task": task, "split": split, "normalize": "minmax"}


def _is_square(width: int) -> bool:
    return any(width % c == 0 and math.isqrt(width // c) ** 2 == width // c for c in (1, 3, 4))


def _propose_series(frame: pd.DataFrame, options: AddOptions, source: Path) -> DatasetProposal | None:
    """Return a proposal if rows are the steps of one series, with unique times and numeric columns; else None."""
    target, is_explicit = options.target, options.kind == "series"
    inferred_time = None
    if not options.time:
        inferred_time = next((name for name in frame if name != target and is_unique_time(frame[name])), None)
    time_columns = options.time_columns or ((inferred_time,) if inferred_time else ())
    numeric = [name for name in frame if name not in time_columns and is_number_like(frame[name])]
    if not target:
        target = numeric[0] if len(numeric) == 1 else next((n for n in numeric if n.lower() in TARGET_NAMES), "")
    if not time_columns:
        _check_missing_times(frame, target, numeric, is_explicit=is_explicit, source=source)
    if is_explicit and target not in numeric:
        reason = f"{target!r} is not numeric" if target else "it cannot be inferred"
        raise DataError(
            f"{source}: a series must have a numeric column to forecast, but {reason}; choose one with --target:"
            f" {format_list(numeric) or 'there is none'}"
        )
    if not time_columns or target not in numeric:
        return None
    joined = join_time_columns(frame, time_columns)
    times = parse_times(joined)
    if times is None:
        times = parse_numeric(joined, source, "choose a column of dates, times or numbers with --time")
    is_table = len(numeric) + len(time_columns) < frame.shape[1] or not is_regular(times)
    if not is_explicit and (infer_task(frame[target]) == "classification" or is_table):
        return None  # categories would be lost, or rows are irregular events
    season = infer_season_length(times)
    window = max(min((season or DEFAULT_WINDOW) + 1, len(frame) // 5), 4)  # a season and the step before it
    n_held_out = int(np.clip(len(frame) // 6, 2, 10_000))
    exogenous = [name for name in numeric if name != target]
    dropped = [name for name in frame if name not in (*time_columns, *numeric)]
    block = {
        "kind": "series",
        "task": "forecasting",
        "time": time_columns[0] if len(time_columns) == 1 else list(time_columns),
        "targets": [target],
        **({"exogenous": exogenous} if exogenous else {}),
        "window": window,
        "horizon": 1,
        **({"season_length": season} if 0 < season <= window else {}),
        "split": {"by": "time", "validation": n_held_out, "test": n_held_out},
        "normalize": "standard",
    }
    notes = (f"dropped, not numeric: {format_list(dropped)}",) if dropped else ()
    return DatasetProposal(block, notes)


def _check_missing_times(
    frame: pd.DataFrame, target: str, numeric: list[str], *, is_explicit: bool, source: Path
) -> None:
    """Raise a `DataError` if rows are an almost valid series, several series, or none despite `--kind series`."""
    is_forecast = target in numeric and infer_task(frame[target]) == "regression"
    panel = find_panel_columns(frame, target) if is_explicit else None
    if panel:
        time, name = panel
        raise DataError(
            f"{source}: a file must contain a single series, but each {name} has its own times in column {time!r}; keep"
            f" the rows of one {name}; or use --kind table; or give each {name} one label for --kind sequences"
        )
    repeated = find_repeated_times(frame, target, is_explicit=is_explicit)
    if repeated and (is_explicit or (is_forecast and len(numeric) + (repeated[0] not in numeric) >= frame.shape[1])):
        raise DataError(
            f"{source}: times of a series must be unique, but {repeated[1]}; remove or fix such rows, or use --kind"
            " table"
        )
    if is_explicit:
        raise DataError(f"{source} must have a column of unique dates or times, but has none; choose another --kind")


def _propose_sequences(
    frame: pd.DataFrame, options: AddOptions, split_column: str | None, source: Path
) -> DatasetProposal | None:
    """Return a proposal if rows are steps of sequences, with unique steps and one target per id; else None."""
    target, is_explicit = options.target, options.kind == "sequences"
    names = [name for name in frame if name not in (target, split_column)]
    id_and_step = (options.sequence_id, options.time_step)
    columns = find_sequence_columns(frame, names, target, *id_and_step, is_explicit=is_explicit)
    if columns is None:
        flaw = find_sequence_flaw(frame, names, target, *id_and_step, is_explicit=is_explicit)
        if flaw:
            one_target = f" and a single {target}" if target else ""
            raise DataError(
                f"{source}: a sequence must have unique steps{one_target}, but {flaw}; fix such rows, or use --kind"
                " table to split rows at random"
            )
        if is_explicit:
            raise DataError(
                f"{source} must have a column that identifies the sequence, with a single {target} each, and one that"
                " orders its steps, but none can be inferred; set --sequence-id and --time-step"
            )
        return None
    sequence_id, time_step = columns
    firsts = frame.drop_duplicates(sequence_id)
    task = options.task or infer_task(firsts[target])
    rest = [name for name in frame if name not in (sequence_id, time_step, target, split_column)]
    group_names = [
        name
        for name in rest
        if is_id_name(name) and len(frame[[sequence_id, name]].drop_duplicates()) == len(firsts)  # one per sequence
    ]
    split, notes = propose_split(firsts[target], task, split_column, firsts, group_names, allow_time_split=False)
    values = [name for name in rest if is_number_like(frame[name]) and name != split.get("column")]
    block = {
        "kind": "sequences",
        "task": task,
        "target": target,
        "sequence_id": sequence_id,
        "time_step": time_step,
        **({"values": values} if len(values) < len(rest) else {}),
        "split": split,
        "normalize": "standard",
    }
    if not all(id_and_step):
        notes = (f"{sequence_id} identifies the sequence, {time_step} orders its steps", *notes)
    return DatasetProposal(block, notes)
