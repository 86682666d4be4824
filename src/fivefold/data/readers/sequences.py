"""Read labeled or unlabeled sequences: long tables, UCR/UEA .ts files and pairs of files, .npz.

A sample is padded at its end with steps that are missing in every column, to the length of the longest training
sequence; so x alone determines its length. A column without any value in a sequence is missing in all its steps, and
the preprocessing imputes it with the training mean.

Shapes: n sequences, t steps of the longest, f values per step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...config.datasets import ColumnOptions, Sequences
from ...errors import DataError, format_value
from ..columns.roles import parse_predefined_split
from ..columns.timestamps import STEP_TOLERANCE, parse_times
from ..columns.types import MAX_MAGNITUDE, infer_type
from ..dataset import Array, ArrayDataset, Dataset, SplitIndices, SplitKeys
from ..schema import CheckResult, Schema
from ..targets import encode_target, parse_numeric, target_column
from .csv import read_frame, require_columns
from .npz import read_npz
from .ucr import read_pair, read_ts

MAX_CELLS = 2**31
"""Largest number of cells of the padded array: a wrong sequence or step column would need more than the memory."""

MIN_EVEN_SHARE = 0.9
"""Share of equal step intervals from which larger intervals are missing steps."""


@dataclass(frozen=True)
class SequenceData:
    """The contents of a source: values (rows, f) of all sequences in succession, and the number of steps of each."""

    values: Array
    lengths: Array
    features: tuple[str, ...]
    labels: pd.Series
    groups: pd.Series | None = None
    predefined: pd.Series | None = None
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class RawSequences(ArrayDataset):
    """Padded sequences; the number of steps is that of the longest training sequence, longer ones are truncated."""

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return the sequences, split, with the length of the longest training sequence."""
        steps = ~np.isnan(self.x[indices["train"]]).all(axis=(0, 2))
        length = int(np.flatnonzero(steps)[-1]) + 1
        schema = self.schema.model_copy(update={"shape": (length, *self.schema.shape[1:])})
        longer = np.asarray(~np.isnan(self.x[:, length:]).all(axis=(1, 2)))
        truncated = {name: int(longer[indices[name]].sum()) for name in ("validation", "test")}
        dataset = replace(self, x=self.x[:, :length], schema=schema).build_dataset(indices)
        if not any(truncated.values()):
            return dataset
        counts = " and ".join(f"{count} of {len(indices[name])} {name}" for name, count in truncated.items() if count)
        text = f"{counts} sequences are longer than the longest training sequence, {length} steps, and truncated"
        return replace(dataset, checks=(CheckResult(rule="truncated", level="note", message=text),))


def read_sequences(source: Path, params: Sequences) -> RawSequences:
    """Return sequences: x (n, t, f) float64, NaN after the end of shorter ones; y (n,), or (n, 0) if unsupervised.

    Raises:
        DataError: the file has an unknown format, or a label changes within a sequence.
    """
    if source.is_dir():
        data = _from_blocks(*read_pair(source, labeled=bool(params.targets)))
    elif source.suffix == ".ts":
        data = _from_blocks(*read_ts(source, labeled=bool(params.targets)))
    elif source.suffix == ".npz":
        data = _load_npz(source, labeled=bool(params.targets))
    else:
        data = _read_long_table(source, params)
    if params.split.by == "group" and data.groups is None:
        raise DataError(f"split by group needs a table with a group column, but source is {source}; use a table")
    x, checks = _pad_sequences(data, params.max_length, source)
    y, classes = encode_target(data.labels, params.task, source)
    keys = SplitKeys(
        y,
        classes,
        groups=None if data.groups is None else pd.factorize(data.groups)[0],
        predefined=None if data.predefined is None else parse_predefined_split(data.predefined, source),
    )
    target = str(data.labels.name) if params.targets else ""
    schema = Schema(
        kind="sequences",
        task=params.task,
        target=target,
        features=data.features,
        shape=x.shape[1:],
        classes=classes,
        values=(target,) if target and not classes else (),
    )
    return RawSequences(keys, schema, x, np.arange(len(x)), (*data.checks, *checks))


def _from_blocks(blocks: list[Array], labels: pd.Series, predefined: pd.Series | None = None) -> SequenceData:
    features = tuple(f"x{i}" for i in range(blocks[0].shape[1]))
    return SequenceData(
        np.concatenate(blocks), np.array([len(block) for block in blocks]), features, labels, predefined=predefined
    )


def _read_long_table(source: Path, params: Sequences) -> SequenceData:
    """Return sequences with one row per step; steps are sorted, sequences are in the order of their first row."""
    frame = read_frame(source, params.format, (), [params.target] if params.task == "classification" else [])
    split = params.split
    split_column = "" if split.by in ("stratified", "random") else getattr(split, "column", "")
    roles = {
        params.sequence_id: "sequence_id",
        params.time_step: "time_step",
        **dict.fromkeys(params.targets, "target"),
    }
    require_columns(frame, roles | ({split_column: "split.column"} if split_column else {}), source)
    require_columns(frame, dict.fromkeys(params.values, "values"), source)
    values = params.values or tuple(name for name in frame.columns if name not in {*roles, split_column})
    if not values:
        raise DataError(f"{source} must have a value column besides {', '.join(roles)}, but has none; add one")
    conflicts = sorted({*params.targets, split_column} & set(values))
    if conflicts:
        raise DataError(
            f"{source}: {conflicts[0]!r} is the target or the split column and cannot also be a feature; remove it from"
            " `values`"
        )
    numeric = [name for name in values if pd.api.types.is_numeric_dtype(frame[name].dtype)]
    alternative = f"set the value columns: `values: [{', '.join(numeric)}]`" if numeric else "set another column"
    matrix = np.column_stack([parse_numeric(frame[name], source, f"clean it, or {alternative}") for name in values])
    codes, names = pd.factorize(frame[params.sequence_id])
    if (codes < 0).any():
        raise DataError(
            f"{source}: every row must have a `sequence_id`, but row {int((codes < 0).argmax()) + 1} has none; fill it"
            " in"
        )
    steps = _parse_steps(frame[params.time_step], source)
    order = np.lexsort((steps, codes))
    frame, codes, steps, matrix = frame.iloc[order], codes[order], steps[order], matrix[order]
    repeated = (np.diff(codes) == 0) & (steps[1:] == steps[:-1])
    if repeated.any():
        row = frame.iloc[int(repeated.argmax())]
        raise DataError(
            f"{source}: the steps of a sequence must be unique, but {format_value(row[params.sequence_id])} has"
            f" {params.time_step} {format_value(row[params.time_step])} twice; remove one, or set `time_step` to"
            " another column"
        )
    incomplete = _find_missing_steps(steps, codes) if steps.dtype.kind != "i" else np.arange(0)
    checks: tuple[CheckResult, ...] = ()
    if len(incomplete):
        sequence, step = (
            format_value(frame[name].iloc[incomplete[0]]) for name in (params.sequence_id, params.time_step)
        )
        count = len(set(codes[incomplete]))
        where = f"{sequence} after {params.time_step} {step}"
        text = f"{count} of {len(names)} sequences have missing steps, the first is {where}"
        checks = (CheckResult(rule="missing_steps", level="warning", message=text),)
    starts = np.flatnonzero(np.r_[True, np.diff(codes) != 0])
    lengths = np.diff(np.r_[starts, len(codes)])
    return SequenceData(
        matrix,
        lengths,
        values,
        _value_per_sequence(target_column(frame, params.targets), starts, lengths, names, source),
        groups=_value_per_sequence(frame[split_column], starts, lengths, names, source)
        if split.by == "group"
        else None,
        predefined=_value_per_sequence(frame[split_column], starts, lengths, names, source)
        if split.by == "predefined"
        else None,
        checks=checks,
    )


def _find_missing_steps(steps: Array, codes: Array) -> Array:
    """Return the positions of steps that are followed by missing steps; none if steps are not evenly spaced.

    Args:
        steps: in order within each sequence.
        codes: sequence index of each step.
    """
    intervals = np.where(np.diff(codes) == 0, np.diff(steps).astype(np.float64), np.nan)
    usual = np.nanmedian(intervals) if not np.isnan(intervals).all() else np.nan
    even = np.abs(intervals - usual) <= STEP_TOLERANCE * usual
    if even.sum() < MIN_EVEN_SHARE * (~np.isnan(intervals)).sum():
        return np.arange(0)
    return np.flatnonzero(intervals >= 2 * usual * (1 - STEP_TOLERANCE))


def _parse_steps(column: pd.Series, source: Path) -> Array:
    """Return the sort keys of steps: numbers, times, or words in alphabetical order, with t10 after t9.

    The type is inferred from all rows, which is no leakage: it only determines the order of steps.
    """
    kind, _ = infer_type(column, ColumnOptions())
    if kind in ("numeric", "date"):
        return parse_times(column, source)
    if column.isna().any():
        raise DataError(
            f"{source}: every row must have a `time_step`, but row {int(column.isna().argmax()) + 1} has none; fix it,"
            " or set `time_step` to another column"
        )
    words = column.astype(str).str.replace(r"\d+", lambda match: match[0].zfill(20), regex=True)
    return np.asarray(pd.factorize(words, sort=True)[0])


def _value_per_sequence(
    column: pd.Series, starts: Array, lengths: Array, names: Sequence[object], source: Path
) -> pd.Series:
    """Return the value of a column in each sequence; a `DataError` if it is missing or not constant."""
    codes = pd.factorize(column)[0]
    sequence = np.repeat(np.arange(len(starts)), lengths)
    missing = codes < 0
    if missing.any():
        raise DataError(
            f"{source}: column {column.name!r} must be constant within a sequence, but has missing values in"
            f" {format_value(names[sequence[missing.argmax()]])}; fill them in, or remove the sequence"
        )
    differs = codes != np.repeat(codes[starts], lengths)
    if differs.any():
        at = int(sequence[differs.argmax()])
        raise DataError(
            f"{source}: column {column.name!r} must be constant within a sequence, but changes within"
            f" {format_value(names[at])}; fix it, or set another column"
        )
    return column.iloc[starts].reset_index(drop=True)


def _load_npz(source: Path, *, labeled: bool) -> SequenceData:
    """Return sequences from arrays x (n, t) or (n, t, f), y (n,), and lengths (n,) if sequences are shorter than t."""
    arrays = read_npz(source, labeled=labeled)
    x: Array = arrays["x"]
    y = arrays["y"] if labeled else np.zeros(x.shape[:1])
    lengths, split = arrays.get("lengths"), arrays.get("split")
    if x.ndim == 2:
        x = x[:, :, None]
    is_valid = x.ndim == 3 and x.dtype.kind in "fiu" and x.size and y.shape == x.shape[:1] and y.dtype.kind in "fiubUS"
    if not is_valid:
        raise DataError(
            f"{source}: x must be numbers (n, steps) or (n, steps, values) and y (n,), but x is {x.dtype}"
            f" {x.shape} and y {y.dtype} {y.shape}; fix the file"
        )
    if split is not None and split.shape != y.shape:
        raise DataError(
            f"{source}: split must contain one word per sequence, {y.shape}, but is {split.shape}; fix the file"
        )
    x = x.astype(np.float64)
    if lengths is None:
        has_values = np.asarray(~np.isnan(x).all(axis=2))
        last = has_values.shape[1] - has_values[:, ::-1].argmax(axis=1)
        lengths = np.where(has_values.any(axis=1), last, 0)
    if lengths.shape != y.shape or lengths.dtype.kind not in "iu" or lengths.min() < 1 or lengths.max() > x.shape[1]:
        raise DataError(f"{source}: lengths must be 1 to {x.shape[1]} steps per sequence, but are not; fix the file")
    steps = np.arange(x.shape[1]) < lengths[:, None]
    features = tuple(f"x{i}" for i in range(x.shape[2]))
    predefined = None if split is None else pd.Series(split, name="split")
    labels = pd.Series(y, name="label")
    return SequenceData(x[steps], lengths.astype(np.int64), features, labels, predefined=predefined)


def _pad_sequences(data: SequenceData, length: int, source: Path) -> tuple[Array, tuple[CheckResult, ...]]:
    """Return (n, t, f), NaN after the end of each sequence, and check results on truncated and imputed steps."""
    values, lengths = data.values, data.lengths
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    too_large = (np.abs(values) > MAX_MAGNITUDE).any(axis=1)
    if too_large.any():
        raise DataError(
            f"{source}: values must be finite numbers up to {MAX_MAGNITUDE:g}, but sequence"
            f" {sequence[too_large.argmax()] + 1} contains {format_value(np.abs(values[too_large]).max())}; fix it"
        )
    checks = []
    missing = np.isnan(values)
    if missing.any():
        text = f"{missing.any(axis=1).sum()} of {len(values)} steps have missing values: imputed by the previous step"
        checks.append(CheckResult(rule="missing", level="note", message=text))
        by_sequence = pd.DataFrame(values).groupby(sequence)
        values = by_sequence.ffill().fillna(by_sequence.bfill()).to_numpy()
        empty_columns = [name for name, empty in zip(data.features, np.isnan(values).all(axis=0), strict=True) if empty]
        if empty_columns:
            raise DataError(f"{source}: {empty_columns[0]!r} must have values, but has none; remove it")
        empty_steps = np.isnan(values).all(axis=1)
        if empty_steps.any():
            raise DataError(
                f"{source}: every sequence must have a value, but sequence {sequence[empty_steps.argmax()] + 1} has"
                " none; remove it"
            )
    longest = int(lengths.max())
    if length and longest > length:
        n_truncated = int((lengths > length).sum())
        text = f"{n_truncated} sequences are longer than {length} steps and truncated"
        checks.append(CheckResult(rule="truncated", level="note", message=text))
        longest = length
    if len(lengths) * longest * values.shape[1] > MAX_CELLS:
        raise DataError(
            f"{source}: {len(lengths)} sequences of up to {longest} steps need too much memory; set `max_length`, or"
            " check `sequence_id` and `time_step`"
        )
    x = np.full((len(lengths), longest, values.shape[1]), np.nan)
    steps = np.arange(longest) < lengths[:, None]
    inside = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths) < longest
    x[steps] = values[inside]
    return x, tuple(checks)
