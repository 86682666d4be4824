"""Tables: columns of numbers, words and dates, one or more of them targets."""

from dataclasses import dataclass
from pathlib import Path

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
from .rules import Kinds, validate
from .schema import Column, Further, Schema
from .splitting import suffice
from .target import encode_also, encode_target, suffice_also
from .times import moments

CLEAN = "clean it, say its type under `columns`, or name it under `drop`"


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in its source.

    names: columns that are features.
    rows: position in the source of each row of `keys`.
    also: what the further targets of `keys` are.
    """

    params: Table
    source: Path
    frame: pd.DataFrame
    names: tuple[str, ...]
    keys: Keys
    rows: Array
    findings: tuple[Finding, ...] = ()
    also: tuple[Further, ...] = ()

    def encode(self, parts: Parts) -> Dataset:
        """Return float64 rows: types of columns and category tables are those of training rows.

        Rows that `missing` drops are left out of the set that they were drawn into, since the type of a column says
        what is a gap in it.

        Raises:
            DataError: a cell breaks a rule of `columns`, or too few rows are left.
        """
        said, params = self.params.columns, self.params
        train = self.rows[parts["train"]]
        kinds = {
            name: columns.infer(self.frame[name].iloc[train], said.get(name, ColumnParams())) for name in self.names
        }
        validate(self.frame, {**kinds, **self._of_targets()}, said, self.source)
        parts = self._without_gaps(kinds, parts)
        if self.keys.also is not None:
            suffice_also(self.keys.also, self.also, parts)
        train = self.rows[parts["train"]]
        fitted = [
            columns.learn(self.frame[name].iloc[train], kind, order, params.rare)
            for name, (kind, order) in kinds.items()
        ]
        schema = Schema(
            kind="table",
            task=params.task,
            target=params.target,
            features=tuple(feature for column in fitted for feature in column.features),
            shape=(sum(len(column.features) for column in fitted),),
            classes=self.keys.classes,
            values=() if self.keys.classes else (params.target,),
            also=self.also,
            columns=tuple(fitted),
            log=self.params.log,
        )
        x, findings = self._filled(fitted, kinds, parts)
        sets = (self.keys.records(x[name], self.rows, parts[name]) for name in SPLITS)
        return Dataset(schema, *sets, findings=findings)

    def _of_targets(self) -> Kinds:
        """Return what each target is as a column."""
        found = [Further(name=self.params.target, classes=self.keys.classes), *self.also]
        return {target.name: ("categorical" if target.classes else "numeric", ()) for target in found}

    def _without_gaps(self, kinds: Kinds, parts: Parts) -> Parts:
        """Leave out the rows with a gap in a column of which `missing` says drop."""
        missing, gap = self.params.missing, np.zeros(len(self.frame), bool)
        for name, (kind, order) in kinds.items():
            if (missing.categorical if kind == "categorical" else missing.numeric) == "drop":
                gap |= np.asarray(pd.isna(columns.parse(self.frame[name], kind, order)[0]))
        if not gap.any():
            return parts
        left = {name: index[~gap[self.rows[index]]] for name, index in parts.items()}
        drawn = {name: index for name, index in left.items() if len(parts[name])}
        for name, index in drawn.items():
            if not len(index):
                raise DataError(
                    f"{self.source}: `missing: drop` leaves no row of the {name} set; impute instead, or name empty"
                    " columns under `drop`"
                )
        suffice(self.keys, drawn)
        return left

    def _filled(self, fitted: list[Column], kinds: Kinds, parts: Parts) -> tuple[dict[str, Array], tuple[Finding, ...]]:
        """Return the features of each set, and the cells of any set that mean nothing; one column at a time."""
        width = sum(len(column.features) for column in fitted)
        x = {name: np.empty((len(parts[name]), width)) for name in SPLITS}
        findings = []
        start = 0
        for column in fitted:
            kind, order = kinds[column.name]
            values = self.frame[column.name]
            cells, bad = columns.parse(values, kind, order)
            finding = columns.doubts(column.name, values, kind, bad, f"{CLEAN} ({self.source})")
            if finding:
                findings.append(finding)
            end = start + len(column.features)
            for name in SPLITS:
                index = self.rows[parts[name]]
                taken = cells.iloc[index] if isinstance(cells, pd.Series) else cells[index]
                x[name][:, start:end] = columns.encode(taken, column)
            start = end
        return x, tuple(findings)


def read_table(source: Path, params: Table) -> RawTable:
    """Read a table; of its features nothing is learnt or understood yet.

    Columns of words, as params.yaml says, and classes are read as they are spelt: 007 and not 7.

    Raises:
        DataError: the file is no table, lacks a column that params.yaml names, or has no feature.
    """
    words = [name for name, said in params.columns.items() if said.order or said.type in ("categorical", "ordinal")]
    tasks = {params.target: params.task, **params.also}
    frame = read_frame(source, params.format, words, [name for name, task in tasks.items() if task == "classification"])
    special = "" if isinstance(params.split, RowSplit) else params.split.column
    need(frame, dict.fromkeys(params.columns, "columns") | dict.fromkeys(params.drop, "drop"), source)
    need(frame, {params.target: "target"} | ({special: "split.column"} if special else {}), source)
    need(frame, dict.fromkeys(params.also, "also"), source)
    y, classes = encode_target(frame[params.target], params.task, source)
    others, also = encode_also(frame, params.also, source)
    targets = [params.target, *params.also]
    left_out = {*targets, special, *params.drop}
    names = tuple(name for name in frame.columns if name not in left_out)
    if not names:
        raise DataError(f"{source} must have a feature beside {params.target!r}, but has none; bring more columns")
    keep = np.ones(len(frame), bool)
    if params.duplicates == "drop":
        keep = ~frame.duplicated([*names, *targets]).to_numpy()
    kept = np.flatnonzero(keep)
    keys = Keys(
        y[kept],
        classes,
        groups=groups_of(frame[special].iloc[kept], source) if params.split.by == "group" else None,
        time=moments(frame[special].iloc[kept], source) if params.split.by == "time" else None,
        given=given_parts(frame[special].iloc[kept], source) if isinstance(params.split, GivenSplit) else None,
        also=None if others is None else others[kept],
    )
    return RawTable(params, source, frame, names, keys, kept, also=also)
