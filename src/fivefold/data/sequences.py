"""Sequences of steps, each with a label or a value: long tables, UCR/UEA .ts files, .npz.

A record is padded at its end with steps that are missing in every column; so x alone says how long it is.
Shapes: n sequences, t steps of the longest, f values a step.
"""

import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError, one_line, shown
from ..params.datasets import Sequences
from .findings import Finding
from .frame import need, read_frame
from .raw import Arrays
from .records import Array, Keys
from .schema import Schema
from .target import encode_target, given_parts, numbers

LARGEST = 2**31
"""Cells of a padded array: a wrong column of series or steps would ask for more than memory holds."""


@dataclass(frozen=True)
class Found:
    """What a format holds: values (rows, f) of all sequences after each other, and how many steps each has."""

    values: Array
    lengths: Array
    features: tuple[str, ...]
    labels: pd.Series
    groups: pd.Series | None = None
    given: pd.Series | None = None


def read_sequences(source: Path, params: Sequences) -> Arrays:
    """Read sequences: x (n, t, f) float64, NaN behind the end of shorter ones; y (n,).

    Raises:
        DataError: the file is of no known format, or a label differs within a sequence.
    """
    if source.suffix == ".ts":
        found = _ts(source)
    elif source.suffix == ".npz":
        found = _npz(source)
    else:
        found = _long(source, params)
    x, findings = _padded(found, params.length, source)
    y, classes = encode_target(found.labels, params.task, source)
    keys = Keys(
        y,
        classes,
        groups=None if found.groups is None else pd.factorize(found.groups)[0],
        given=None if found.given is None else given_parts(found.given, source),
    )
    schema = Schema(
        kind="sequences",
        task=params.task,
        target=str(found.labels.name),
        features=found.features,
        shape=x.shape[1:],
        classes=classes,
        values=() if classes else (str(found.labels.name),),
    )
    return Arrays(keys, schema, x, np.arange(len(x)), findings)


def _long(source: Path, params: Sequences) -> Found:
    """Read one row a step; steps are put in order, sequences stand in the order of their first row."""
    frame = read_frame(source)
    split = params.split
    special = "" if split.by in ("stratified", "random") else getattr(split, "column", "")
    roles = {params.series: "series", params.step: "step", params.target: "target"}
    need(frame, roles | ({special: "split.column"} if special else {}), source)
    need(frame, dict.fromkeys(params.values, "values"), source)
    values = params.values or tuple(name for name in frame.columns if name not in {*roles, special})
    if not values:
        raise DataError(f"{source} must have a column of values beside {', '.join(roles)}, but has none; bring one")
    codes, names = pd.factorize(frame[params.series])
    if (codes < 0).any():
        raise DataError(f"{source}: every row must have a series, but row {int((codes < 0).argmax()) + 1} has none")
    step = frame[params.step]
    order = np.lexsort(
        (step.to_numpy() if pd.api.types.is_numeric_dtype(step) else pd.factorize(step, sort=True)[0], codes)
    )
    frame, codes = frame.iloc[order], codes[order]
    starts = np.flatnonzero(np.r_[True, np.diff(codes) != 0])
    lengths = np.diff(np.r_[starts, len(codes)])
    twice = frame.duplicated([params.series, params.step]).to_numpy()
    if twice.any():
        row = frame.iloc[int(twice.argmax())]
        raise DataError(
            f"{source}: a sequence must have each step once, but {shown(row[params.series])} has {params.step}"
            f" {shown(row[params.step])} twice; remove one, or name another column under `step`"
        )
    matrix = np.column_stack([numbers(frame[name], source) for name in values])
    return Found(
        matrix,
        lengths,
        values,
        _one_each(frame[params.target], starts, lengths, names, source),
        groups=_one_each(frame[special], starts, lengths, names, source) if split.by == "group" else None,
        given=_one_each(frame[special], starts, lengths, names, source) if split.by == "column" else None,
    )


def _one_each(column: pd.Series, starts: Array, lengths: Array, names: Sequence[object], source: Path) -> pd.Series:
    """Return the value that a column has in each sequence; it must be one."""
    codes = pd.factorize(column)[0]
    differs = codes != np.repeat(codes[starts], lengths)
    if differs.any():
        at = int(np.repeat(np.arange(len(starts)), lengths)[differs.argmax()])
        raise DataError(
            f"{source}: column {column.name!r} must say one thing in a whole sequence, but changes within"
            f" {shown(names[at])}; mend it, or name another column"
        )
    return column.iloc[starts].reset_index(drop=True)


def _npz(source: Path) -> Found:
    """Read arrays x (n, t) or (n, t, f), y (n,), and, where sequences are shorter than t, lengths (n,)."""
    try:
        with zipfile.ZipFile(source), np.load(source, allow_pickle=False) as arrays:
            x, y = arrays["x"], arrays["y"]
            lengths = arrays.get("lengths")
            split = arrays.get("split")
    except KeyError:
        raise DataError(
            f"{source} must hold arrays x and y, but lacks one of them; save both with numpy.savez"
        ) from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(
            f"{source} must be an .npz of plain arrays, but is not: {one_line(error)}; save it again"
        ) from None
    if x.ndim == 2:
        x = x[:, :, None]
    if x.ndim != 3 or x.dtype.kind not in "fiu" or not x.size or y.shape != x.shape[:1]:
        raise DataError(
            f"{source}: x must be numbers (n, steps) or (n, steps, values) and y (n,), but x is {x.dtype}"
            f" {x.shape} and y {y.shape}; mend the file"
        )
    x = x.astype(np.float64)
    if np.isinf(x).any():
        raise DataError(
            f"{source}: values must be finite, but sequence {int(np.isinf(x).any(axis=(1, 2)).argmax())} has inf"
        )
    if lengths is None:
        real = ~np.isnan(x).all(axis=2)
        lengths = np.where(real.any(axis=1), real.shape[1] - real[:, ::-1].argmax(axis=1), 0)
    if lengths.shape != y.shape or lengths.dtype.kind not in "iu" or lengths.min() < 1 or lengths.max() > x.shape[1]:
        raise DataError(f"{source}: lengths must be one of 1 to {x.shape[1]} a sequence, but are not; mend the file")
    steps = np.arange(x.shape[1]) < lengths[:, None]
    labels = np.char.decode(y, "utf-8", errors="replace") if y.dtype.kind == "S" else y
    features = tuple(f"x{i}" for i in range(x.shape[2]))
    given = None if split is None else pd.Series(split.astype(str), name="split")
    return Found(x[steps], lengths.astype(np.int64), features, pd.Series(labels, name="label"), given=given)


def _ts(source: Path) -> Found:
    """Read UCR/UEA's format: dimensions parted by colons, the class after the last one, ? for a missing value."""
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{source} must be a .ts file in UTF-8, but is not: {one_line(error)}; get it again") from None
    head = [i for i, line in enumerate(lines) if line.strip().lower() == "@data"]
    if not head:
        raise DataError(f"{source} must be a .ts file with a line @data, but has none; get it again")
    told = " ".join(lines[: head[0]]).lower()
    labelled = re.search(r"@(classlabel|targetlabel)\s+true", told)
    if not labelled:
        raise DataError(
            f"{source} must say `@classLabel true` or `@targetLabel true`, but does not: nothing to predict"
        )
    blocks: list[Array] = []
    labels: list[str] = []
    for number, line in enumerate(lines[head[0] + 1 :], head[0] + 2):
        if not line.strip() or line.startswith("#"):
            continue
        *dimensions, label = line.split(":")
        try:
            rows = [
                [np.nan if cell.strip() in ("?", "NaN", "") else float(cell) for cell in d.split(",")]
                for d in dimensions
            ]
        except ValueError as error:
            raise DataError(
                f"{source}: values must be numbers, but line {number} is not: {one_line(error)}; mend it"
            ) from None
        if not rows or len({len(row) for row in rows}) > 1 or (blocks and len(rows) != blocks[0].shape[1]):
            raise DataError(
                f"{source}: a line must have as many dimensions as the first, all of one length, and a label, but line"
                f" {number} has not; mend it"
            )
        blocks.append(np.array(rows, np.float64).T)
        labels.append(label.strip())
    if not blocks:
        raise DataError(f"{source} must hold sequences after @data, but holds none; get it again")
    values = np.concatenate(blocks)
    target = pd.Series(labels, name="label")
    if labelled[1] == "targetlabel":
        target = target.astype(float)
    return Found(values, np.array([len(b) for b in blocks]), tuple(f"x{i}" for i in range(values.shape[1])), target)


def _padded(found: Found, length: int, source: Path) -> tuple[Array, tuple[Finding, ...]]:
    """Return (n, t, f), NaN behind each sequence's end, and what was cut or filled in."""
    values, lengths = found.values, found.lengths
    findings = []
    gaps = np.isnan(values)
    if gaps.any():
        text = f"{gaps.any(axis=1).sum()} of {len(values)} steps have missing values: the step before stands in"
        findings.append(Finding(rule="missing", level="note", text=text))
        whole = pd.DataFrame(values).groupby(np.repeat(np.arange(len(lengths)), lengths))
        values = whole.ffill().fillna(whole.bfill()).to_numpy()
        if np.isnan(values).any():
            values = np.nan_to_num(values)  # a sequence without any value in a column
    longest = int(lengths.max())
    if length and longest > length:
        cut = int((lengths > length).sum())
        findings.append(
            Finding(rule="cut", level="note", text=f"{cut} sequences are longer than {length} steps and are cut")
        )
        longest = length
    if len(lengths) * longest * values.shape[1] > LARGEST:
        raise DataError(
            f"{source}: {len(lengths)} sequences of up to {longest} steps are too many cells for memory; set `length`,"
            " or look at `series` and `step`"
        )
    x = np.full((len(lengths), longest, values.shape[1]), np.nan)
    steps = np.arange(longest) < lengths[:, None]
    inside = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths) < longest
    x[steps] = values[inside]
    return x, tuple(findings)
