"""Sequences of steps, with a label or a value each or with none: long tables, UCR/UEA .ts and pairs of files, .npz.

A record is padded at its end with steps that are missing in every column, to the longest of training rows; so x alone
says how long it is. A column that one sequence lacks wholly is missing in all its steps, and a chain's mask makes it
the training mean, 0.
Shapes: n sequences, t steps of the longest, f values a step.
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
from ..columns.types import MAX_MAGNITUDE as FARTHEST
from ..columns.types import infer_type
from ..dataset import Array, ArrayDataset, Dataset, SplitIndices, SplitKeys
from ..schema import CheckResult, Schema
from ..targets import encode_target, parse_numeric, target_column
from .csv import read_frame, require_columns
from .npz import read_npz
from .ucr import read_pair, read_ts

MAX_CELLS = 2**31
"""Cells of a padded array: a wrong column of series or steps would ask for more than memory holds."""

MIN_EVEN_SHARE = 0.9
"""Share of steps that are as far apart as usual from which the others are gaps."""


@dataclass(frozen=True)
class SequenceData:
    """What a format holds: values (rows, f) of all sequences after each other, and how many steps each has."""

    values: Array
    lengths: Array
    features: tuple[str, ...]
    labels: pd.Series
    groups: pd.Series | None = None
    predefined: pd.Series | None = None
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class RawSequences(ArrayDataset):
    """Padded sequences; how many steps a record has is learnt from training rows, and longer ones are cut."""

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return the rows, divided, as long as the longest of training rows."""
        steps = ~np.isnan(self.x[indices["train"]]).all(axis=(0, 2))
        length = int(np.flatnonzero(steps)[-1]) + 1
        schema = self.schema.model_copy(update={"shape": (length, *self.schema.shape[1:])})
        longer = np.asarray(~np.isnan(self.x[:, length:]).all(axis=(1, 2)))
        cut = {name: int(longer[indices[name]].sum()) for name in ("validation", "test")}
        dataset = replace(self, x=self.x[:, :length], schema=schema).build_dataset(indices)
        if not any(cut.values()):
            return dataset
        each = " and ".join(f"{count} of {len(indices[name])} {name}" for name, count in cut.items() if count)
        text = f"{each} sequences are longer than the longest of training, {length} steps, and are cut"
        return replace(dataset, checks=(CheckResult(rule="truncated", level="note", message=text),))


def read_sequences(source: Path, params: Sequences) -> RawSequences:
    """Read sequences: x (n, t, f) float64, NaN behind the end of shorter ones; y (n,), or (n, 0) if unsupervised.

    Raises:
        DataError: the file is of no known format, or a label differs within a sequence.
    """
    if source.is_dir():
        found = _from_blocks(*read_pair(source, labeled=bool(params.targets)))
    elif source.suffix == ".ts":
        found = _from_blocks(*read_ts(source, labeled=bool(params.targets)))
    elif source.suffix == ".npz":
        found = _load_npz(source, labeled=bool(params.targets))
    else:
        found = _read_long_table(source, params)
    if params.split.by == "group" and found.groups is None:
        raise DataError(f"split by group needs a table with a column of groups, but source is {source}; bring one")
    x, findings = _pad_sequences(found, params.max_length, source)
    y, classes = encode_target(found.labels, params.task, source)
    keys = SplitKeys(
        y,
        classes,
        groups=None if found.groups is None else pd.factorize(found.groups)[0],
        predefined=None if found.predefined is None else parse_predefined_split(found.predefined, source),
    )
    target = str(found.labels.name) if params.targets else ""
    schema = Schema(
        kind="sequences",
        task=params.task,
        target=target,
        features=found.features,
        shape=x.shape[1:],
        classes=classes,
        values=(target,) if target and not classes else (),
    )
    return RawSequences(keys, schema, x, np.arange(len(x)), (*found.checks, *findings))


def _from_blocks(blocks: list[Array], labels: pd.Series, predefined: pd.Series | None = None) -> SequenceData:
    features = tuple(f"x{i}" for i in range(blocks[0].shape[1]))
    return SequenceData(
        np.concatenate(blocks), np.array([len(block) for block in blocks]), features, labels, predefined=predefined
    )


def _read_long_table(source: Path, params: Sequences) -> SequenceData:
    """Read one row a step; steps are put in order, sequences stand in the order of their first row."""
    frame = read_frame(source, params.format, (), [params.target] if params.task == "classification" else [])
    split = params.split
    special = "" if split.by in ("stratified", "random") else getattr(split, "column", "")
    roles = {params.sequence_id: "series", params.time_step: "step", **dict.fromkeys(params.targets, "target")}
    require_columns(frame, roles | ({special: "split.column"} if special else {}), source)
    require_columns(frame, dict.fromkeys(params.values, "values"), source)
    values = params.values or tuple(name for name in frame.columns if name not in {*roles, special})
    if not values:
        raise DataError(f"{source} must have a column of values beside {', '.join(roles)}, but has none; bring one")
    known = sorted({*params.targets, special} & set(values))
    if known:
        raise DataError(f"{source}: {known[0]!r} is told or splits, so it is no value; take it out of `values`")
    found = [name for name in values if pd.api.types.is_numeric_dtype(frame[name].dtype)]
    others = f"name those of values: `values: [{', '.join(found)}]`" if found else "name another column"
    matrix = np.column_stack([parse_numeric(frame[name], source, f"clean it, or {others}") for name in values])
    codes, names = pd.factorize(frame[params.sequence_id])
    if (codes < 0).any():
        raise DataError(f"{source}: every row must have a series, but row {int((codes < 0).argmax()) + 1} has none")
    steps = _parse_steps(frame[params.time_step], source)
    order = np.lexsort((steps, codes))
    frame, codes, steps, matrix = frame.iloc[order], codes[order], steps[order], matrix[order]
    twice = (np.diff(codes) == 0) & (steps[1:] == steps[:-1])
    if twice.any():
        row = frame.iloc[int(twice.argmax())]
        raise DataError(
            f"{source}: a sequence must have each step once, but {format_value(row[params.sequence_id])} has {params.time_step}"
            f" {format_value(row[params.time_step])} twice; remove one, or name another column under `step`"
        )
    lacking = _find_missing_steps(steps, codes) if steps.dtype.kind != "i" else np.arange(0)
    findings: tuple[CheckResult, ...] = ()
    if len(lacking):
        series, step = (format_value(frame[name].iloc[lacking[0]]) for name in (params.sequence_id, params.time_step))
        count = len(set(codes[lacking]))
        text = (
            f"{count} of {len(names)} sequences lack steps within, the first {series} after {params.time_step} {step}"
        )
        findings = (CheckResult(rule="missing_steps", level="warning", message=text),)
    starts = np.flatnonzero(np.r_[True, np.diff(codes) != 0])
    lengths = np.diff(np.r_[starts, len(codes)])
    return SequenceData(
        matrix,
        lengths,
        values,
        _value_per_sequence(target_column(frame, params.targets), starts, lengths, names, source),
        groups=_value_per_sequence(frame[special], starts, lengths, names, source) if split.by == "group" else None,
        predefined=_value_per_sequence(frame[special], starts, lengths, names, source)
        if split.by == "predefined"
        else None,
        checks=findings,
    )


def _find_missing_steps(steps: Array, codes: Array) -> Array:
    """Return the positions of steps whose next one is farther away than usual; none where steps are not even.

    steps: in order within each sequence. codes: which sequence each belongs to.
    """
    apart = np.where(np.diff(codes) == 0, np.diff(steps).astype(np.float64), np.nan)
    usual = np.nanmedian(apart) if not np.isnan(apart).all() else np.nan
    even = np.abs(apart - usual) <= STEP_TOLERANCE * usual
    if even.sum() < MIN_EVEN_SHARE * (~np.isnan(apart)).sum():
        return np.arange(0)
    return np.flatnonzero(apart >= 2 * usual * (1 - STEP_TOLERANCE))


def _parse_steps(column: pd.Series, source: Path) -> Array:
    """Return what orders steps: numbers, times, or words in the order of the alphabet, t10 behind t9.

    All rows say which of them. That only puts steps in order: no number of it reaches a record.
    """
    kind, _ = infer_type(column, ColumnOptions())
    if kind in ("numeric", "date"):
        return parse_times(column, source)
    if column.isna().any():
        raise DataError(
            f"{source}: every row must have a step, but row {int(column.isna().argmax()) + 1} has none; mend it, or"
            " name another column under `step`"
        )
    words = column.astype(str).str.replace(r"\d+", lambda found: found[0].zfill(20), regex=True)
    return np.asarray(pd.factorize(words, sort=True)[0])


def _value_per_sequence(
    column: pd.Series, starts: Array, lengths: Array, names: Sequence[object], source: Path
) -> pd.Series:
    """Return the value that a column has in each sequence; it must be one."""
    codes = pd.factorize(column)[0]
    sequence = np.repeat(np.arange(len(starts)), lengths)
    absent = codes < 0
    if absent.any():
        raise DataError(
            f"{source}: column {column.name!r} must say one thing in a whole sequence, but has gaps in"
            f" {format_value(names[sequence[absent.argmax()]])}; fill them in, or remove the sequence"
        )
    differs = codes != np.repeat(codes[starts], lengths)
    if differs.any():
        at = int(sequence[differs.argmax()])
        raise DataError(
            f"{source}: column {column.name!r} must say one thing in a whole sequence, but changes within"
            f" {format_value(names[at])}; mend it, or name another column"
        )
    return column.iloc[starts].reset_index(drop=True)


def _load_npz(source: Path, *, labeled: bool) -> SequenceData:
    """Read arrays x (n, t) or (n, t, f), y (n,), and, where sequences are shorter than t, lengths (n,)."""
    arrays = read_npz(source, labeled=labeled)
    x: Array = arrays["x"]
    y = arrays["y"] if labeled else np.zeros(x.shape[:1])
    lengths, split = arrays.get("lengths"), arrays.get("split")
    if x.ndim == 2:
        x = x[:, :, None]
    whole = x.ndim == 3 and x.dtype.kind in "fiu" and x.size and y.shape == x.shape[:1] and y.dtype.kind in "fiubUS"
    if not whole:
        raise DataError(
            f"{source}: x must be numbers (n, steps) or (n, steps, values) and y (n,), but x is {x.dtype}"
            f" {x.shape} and y {y.dtype} {y.shape}; mend the file"
        )
    if split is not None and split.shape != y.shape:
        raise DataError(f"{source}: split must name a set a sequence, {y.shape}, but is {split.shape}; mend the file")
    x = x.astype(np.float64)
    if lengths is None:
        real = np.asarray(~np.isnan(x).all(axis=2))
        lengths = np.where(real.any(axis=1), real.shape[1] - real[:, ::-1].argmax(axis=1), 0)
    if lengths.shape != y.shape or lengths.dtype.kind not in "iu" or lengths.min() < 1 or lengths.max() > x.shape[1]:
        raise DataError(f"{source}: lengths must be 1 to {x.shape[1]} steps a sequence, but are not; mend the file")
    steps = np.arange(x.shape[1]) < lengths[:, None]
    features = tuple(f"x{i}" for i in range(x.shape[2]))
    given = None if split is None else pd.Series(split, name="split")
    return SequenceData(x[steps], lengths.astype(np.int64), features, pd.Series(y, name="label"), predefined=given)


def _pad_sequences(data: SequenceData, length: int, source: Path) -> tuple[Array, tuple[CheckResult, ...]]:
    """Return (n, t, f), NaN behind each sequence's end, and what was cut or filled in."""
    values, lengths = data.values, data.lengths
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    far = (np.abs(values) > FARTHEST).any(axis=1)
    if far.any():
        raise DataError(
            f"{source}: values must be finite numbers up to {FARTHEST:g}, but {format_value(np.abs(values[far]).max())} stands"
            f" in sequence {sequence[far.argmax()] + 1}; mend it"
        )
    findings = []
    gaps = np.isnan(values)
    if gaps.any():
        text = f"{gaps.any(axis=1).sum()} of {len(values)} steps have missing values: the step before stands in"
        findings.append(CheckResult(rule="missing", level="note", message=text))
        whole = pd.DataFrame(values).groupby(sequence)
        values = whole.ffill().fillna(whole.bfill()).to_numpy()
        absent = [name for name, gap in zip(data.features, np.isnan(values).all(axis=0), strict=True) if gap]
        if absent:
            raise DataError(f"{source}: {absent[0]!r} must have values, but has none at all; leave it out")
        empty = np.isnan(values).all(axis=1)
        if empty.any():
            raise DataError(
                f"{source}: every sequence must have a value, but sequence {sequence[empty.argmax()] + 1} has none;"
                " remove it"
            )
    longest = int(lengths.max())
    if length and longest > length:
        cut = int((lengths > length).sum())
        findings.append(
            CheckResult(
                rule="truncated", level="note", message=f"{cut} sequences are longer than {length} steps and are cut"
            )
        )
        longest = length
    if len(lengths) * longest * values.shape[1] > MAX_CELLS:
        raise DataError(
            f"{source}: {len(lengths)} sequences of up to {longest} steps are too many cells for memory; set `length`,"
            " or look at `series` and `step`"
        )
    x = np.full((len(lengths), longest, values.shape[1]), np.nan)
    steps = np.arange(longest) < lengths[:, None]
    inside = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths) < longest
    x[steps] = values[inside]
    return x, tuple(findings)
