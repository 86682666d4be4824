"""Tables: columns of numbers, words and dates, one or more of them targets, or none."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ...config.datasets import Column as ColumnParams
from ...config.datasets import Table
from ...config.splits import GivenSplit, RowSplit
from ...errors import DataError
from ..columns import types
from ..columns.roles import Kinds, given_parts, groups_of, leave_out, repeats, validate
from ..columns.timestamps import moments
from ..dataset import SPLITS, Array, Dataset, Keys, Parts
from ..schema import Column, Finding, Further, Schema
from ..targets import encode_also, encode_target, has_target, suffice_also, target_column
from .csv import CELLS, need, read_frame

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

    def encode(self, parts: Parts, *, last: bool = False) -> Dataset:
        """Return float64 rows: types of columns and category tables are those of training rows.

        last: columns leave `frame` as they become numbers.

        Rows that `missing` drops are left out of the set that they were drawn into, since the type of a column says
        what is a gap in it.

        Raises:
            DataError: a cell breaks a rule of `columns`, or too few rows are left.
        """
        said, params = self.params.columns, self.params
        left_out: tuple[Finding, ...] = ()
        if params.duplicates == "drop":
            same = repeats(self.frame, [*self.names, *params.targets], self.rows, parts)
            remedy = "say `duplicates: keep`, or bring more rows"
            parts, left_out = leave_out(parts, same, self.keys, "duplicates", self.source, remedy)
        train = self.rows[parts["train"]]
        kinds = {name: types.infer(self.frame[name].iloc[train], said.get(name, ColumnParams())) for name in self.names}
        for name, (kind, _) in kinds.items():
            method = said[name].normalize if name in said else None
            if kind == "categorical" and method not in (None, "none"):
                raise DataError(
                    f"{self.source}: `normalize` scales numbers, but column {name!r} is categorical; leave"
                    f" `normalize: {method}` out of `columns`, or say its type there"
                )
        validate(self.frame, {**kinds, **self._of_targets()}, said, self.source)
        remedy = "impute instead, or name empty columns under `drop`"
        parts, gaps = leave_out(parts, self._gaps(kinds), self.keys, "missing", self.source, remedy)
        if self.keys.also is not None:
            suffice_also(self.keys.also, self.also, parts)
        train = self.rows[parts["train"]]
        fitted = [
            types.learn(self.frame[name].iloc[train], kind, order, params.rare) for name, (kind, order) in kinds.items()
        ]
        schema = Schema(
            kind="table",
            task=params.task,
            target=params.target,
            features=tuple(feature for column in fitted for feature in column.features),
            shape=(sum(len(column.features) for column in fitted),),
            classes=self.keys.classes,
            values=() if self.keys.classes else params.targets[:1],
            also=self.also,
            columns=tuple(fitted),
            log=self.params.log,
        )
        x, findings = self._filled(fitted, kinds, parts, last=last)
        sets = (self.keys.records(x[name], self.rows, parts[name]) for name in SPLITS)
        return Dataset(schema, *sets, findings=(*left_out, *gaps, *findings))

    def _of_targets(self) -> Kinds:
        """Return what each target is as a column."""
        found = [Further(name=self.params.target, classes=self.keys.classes), *self.also]
        return {target.name: ("categorical" if target.classes else "numeric", ()) for target in found}

    def _gaps(self, kinds: Kinds) -> Array:
        """Return (n,) which rows have a gap in a column of which `missing` says drop."""
        missing, gap = self.params.missing, np.zeros(len(self.frame), bool)
        for name, (kind, order) in kinds.items():
            if (missing.categorical if kind == "categorical" else missing.numeric) == "drop":
                gap |= np.asarray(pd.isna(types.parse(self.frame[name], kind, order)[0]))
        return gap[self.rows]

    def _filled(
        self, fitted: list[Column], kinds: Kinds, parts: Parts, *, last: bool
    ) -> tuple[dict[str, Array], tuple[Finding, ...]]:
        """Return the features of each set, and the cells of any set that mean nothing; one column at a time."""
        width = sum(len(column.features) for column in fitted)
        x = {name: np.empty((len(parts[name]), width)) for name in SPLITS}
        findings = []
        large = self.frame.size > CELLS  # of a small one of many columns pandas would copy the rest each time
        start = 0
        for column in fitted:
            kind, order = kinds[column.name]
            values = self.frame.pop(column.name) if large and last else self.frame[column.name]
            cells, bad = types.parse(values, kind, order)
            finding = types.doubts(column.name, values, kind, bad, f"{CLEAN} ({self.source})")
            if finding:
                findings.append(finding)
            end = start + len(column.features)
            for name in SPLITS:
                index = self.rows[parts[name]]
                taken = cells.iloc[index] if isinstance(cells, pd.Series) else cells[index]
                x[name][:, start:end] = types.encode(taken, column)
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
    need(frame, dict.fromkeys(params.targets[:1], "target") | ({special: "split.column"} if special else {}), source)
    need(frame, dict.fromkeys(params.also, "also"), source)
    others, also = encode_also(frame, params.also, source)
    left_out = {*params.targets, special, *params.drop}
    names = tuple(name for name in frame.columns if name not in left_out)
    if not names:
        beside = f" beside {params.target!r}" if params.target else ""
        raise DataError(f"{source} must have a feature{beside}, but has none; bring more columns")
    told = target_column(frame, params.targets)
    known = has_target(told, params.task, source)
    findings: tuple[Finding, ...] = ()
    if params.missing.target == "drop" and not known.all():
        text = f"`missing: {{target: drop}}` leaves out {(~known).sum()} rows without {params.target}"
        findings = (Finding(rule="missing", level="note", text=text),)
    kept = np.flatnonzero(known) if findings else np.arange(len(frame))
    remedy = "fill in or remove these rows, or set `missing: {target: drop}`"
    y, classes = encode_target(told.iloc[kept], params.task, source, remedy=remedy)
    keys = Keys(
        y,
        classes,
        groups=groups_of(frame[special].iloc[kept], source) if params.split.by == "group" else None,
        time=moments(frame[special].iloc[kept], source) if params.split.by == "time" else None,
        given=given_parts(frame[special].iloc[kept], source) if isinstance(params.split, GivenSplit) else None,
        also=None if others is None else others[kept],
    )
    return RawTable(params, source, frame, names, keys, kept, findings, also)
