"""Tables: columns of numbers, words and dates, one of them the target."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..params.datasets import Column as ColumnParams
from ..params.datasets import Table
from ..params.splits import GivenSplit, RowSplit
from . import columns
from .findings import Finding
from .frame import need, read_frame
from .records import SPLITS, Array, Dataset, Keys, Parts
from .roles import given_parts, groups_of
from .rules import validate
from .schema import ColumnType, Schema
from .target import encode_target
from .times import moments

CLEAN = "clean it, say its type under `columns`, or name it under `drop`"


@dataclass(frozen=True)
class Parsed:
    """A column whose cells were read as what they mean."""

    name: str
    type: ColumnType
    order: tuple[str, ...]
    cells: Any

    def take(self, index: Array) -> Any:
        """Return the cells at the positions `index`."""
        return self.cells.iloc[index] if isinstance(self.cells, pd.Series) else self.cells[index]


@dataclass(frozen=True)
class RawTable:
    """Parsed columns and the target of all rows."""

    params: Table
    columns: tuple[Parsed, ...]
    keys: Keys
    rows: Array
    findings: tuple[Finding, ...]

    def encode(self, parts: Parts) -> Dataset:
        """Return float64 rows: category tables are those of training rows."""
        train = parts["train"]
        fitted = [
            columns.fit(column.name, column.type, column.take(train), column.order, self.params.rare)
            for column in self.columns
        ]
        schema = Schema(
            kind="table",
            task=self.params.task,
            target=self.params.target,
            features=tuple(feature for column in fitted for feature in column.features),
            shape=(sum(len(column.features) for column in fitted),),
            classes=self.keys.classes,
            values=() if self.keys.classes else (self.params.target,),
            columns=tuple(fitted),
        )
        sets = []
        for name in SPLITS:
            index = parts[name]
            x = np.empty((len(index), *schema.shape))
            start = 0
            for column, how in zip(self.columns, fitted, strict=True):
                end = start + len(how.features)
                x[:, start:end] = columns.encode(column.take(index), how)
                start = end
            sets.append(self.keys.records(x, self.rows, index))
        return Dataset(schema, *sets)


def read_table(source: Path, params: Table) -> RawTable:
    """Read a table, cell by cell; nothing is learnt from it here but each column's type.

    Raises:
        DataError: the file is no table, lacks a column that params.yaml names, or no feature is left.
    """
    frame = read_frame(source, params.format)
    special = "" if isinstance(params.split, RowSplit) else params.split.column
    need(frame, dict.fromkeys(params.columns, "columns") | dict.fromkeys(params.drop, "drop"), source)
    need(frame, {params.target: "target"} | ({special: "split.column"} if special else {}), source)
    y, classes = encode_target(frame[params.target], params.task, source)
    left_out = {params.target, special, *params.drop}
    names = [name for name in frame.columns if name not in left_out]
    if not names:
        raise DataError(f"{source} must have a feature beside {params.target!r}, but has none; bring more columns")
    kinds = {name: columns.infer(frame[name], params.columns.get(name, ColumnParams())) for name in names}
    goal: ColumnType = "categorical" if classes else "numeric"
    validate(frame, {**kinds, params.target: (goal, ())}, params.columns, source)
    parsed, findings = [], []
    keep = np.ones(len(frame), bool)
    if params.duplicates == "drop":
        keep = ~frame.duplicated([*names, params.target]).to_numpy()
    for name, (kind, order) in kinds.items():
        cells, bad = columns.parse(frame[name], kind, order)
        finding = columns.doubts(name, frame[name], kind, bad, f"{CLEAN} ({source})")
        if finding:
            findings.append(finding)
        wanted = params.missing.categorical if kind == "categorical" else params.missing.numeric
        if wanted == "drop":
            keep &= ~np.asarray(pd.isna(cells))
        parsed.append(Parsed(name, kind, order, cells))
    if not keep.any():
        raise DataError(f"{source}: `missing: drop` leaves no row; impute instead, or name empty columns under `drop`")
    kept = np.flatnonzero(keep)
    keys = Keys(
        y[kept],
        classes,
        groups=groups_of(frame[special].iloc[kept], source) if params.split.by == "group" else None,
        time=moments(frame[special].iloc[kept], source) if params.split.by == "time" else None,
        given=given_parts(frame[special].iloc[kept], source) if isinstance(params.split, GivenSplit) else None,
    )
    if len(kept) < len(frame):
        parsed = [Parsed(c.name, c.type, c.order, c.take(kept)) for c in parsed]
    return RawTable(params, tuple(parsed), keys, kept, tuple(findings))
