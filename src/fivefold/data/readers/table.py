"""Tables: columns of numbers, words and dates, one or more of them targets, or none."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ...config.datasets import ColumnOptions as ColumnParams
from ...config.datasets import Table
from ...config.splits import PredefinedSplit, RandomSplit
from ...errors import DataError
from ..columns import types
from ..columns.roles import ColumnTypes, drop_rows, duplicated, encode_groups, parse_predefined_split, validate_columns
from ..columns.timestamps import parse_times
from ..dataset import SPLITS, Array, Dataset, SplitIndices, SplitKeys
from ..schema import CheckResult, Column, ExtraTarget, Schema
from ..targets import encode_extra_targets, encode_target, has_target, require_varying_extra_targets, target_column
from .csv import CHUNK_CELLS, read_frame, require_columns

CLEAN_REMEDY = "clean it, say its type under `columns`, or name it under `drop`"


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in its source.

    names: columns that are features.
    rows: position in the source of each row of `keys`.
    extra_targets: what the further targets of `keys` are.
    """

    params: Table
    source: Path
    frame: pd.DataFrame
    feature_columns: tuple[str, ...]
    keys: SplitKeys
    rows: Array
    checks: tuple[CheckResult, ...] = ()
    extra_targets: tuple[ExtraTarget, ...] = ()

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return float64 rows: types of columns and category tables are those of training rows.

        last: columns leave `frame` as they become numbers.

        Rows that `missing` drops are left out of the set that they were drawn into, since the type of a column says
        what is a gap in it.

        Raises:
            DataError: a cell breaks a rule of `columns`, or too few rows are left.
        """
        said, params = self.params.columns, self.params
        left_out: tuple[CheckResult, ...] = ()
        if params.duplicates == "drop":
            same = duplicated(self.frame, [*self.feature_columns, *params.targets], self.rows, indices)
            remedy = "say `duplicates: keep`, or bring more rows"
            indices, left_out = drop_rows(indices, same, self.keys, "duplicates", self.source, remedy)
        train = self.rows[indices["train"]]
        kinds = {
            name: types.infer_type(self.frame[name].iloc[train], said.get(name, ColumnParams()))
            for name in self.feature_columns
        }
        for name, (kind, _) in kinds.items():
            method = said[name].normalize if name in said else None
            if kind == "categorical" and method not in (None, "none"):
                raise DataError(
                    f"{self.source}: `normalize` scales numbers, but column {name!r} is categorical; leave"
                    f" `normalize: {method}` out of `columns`, or say its type there"
                )
        validate_columns(self.frame, {**kinds, **self._target_types()}, said, self.source)
        remedy = "impute instead, or name empty columns under `drop`"
        indices, gaps = drop_rows(indices, self._missing_mask(kinds), self.keys, "missing", self.source, remedy)
        if self.keys.extra_targets is not None:
            require_varying_extra_targets(self.keys.extra_targets, self.extra_targets, indices)
        train = self.rows[indices["train"]]
        fitted = [
            types.parse_and_fit(self.frame[name].iloc[train], kind, order, params.min_frequency)
            for name, (kind, order) in kinds.items()
        ]
        schema = Schema(
            kind="table",
            task=params.task,
            target=params.target,
            features=tuple(feature for column in fitted for feature in column.features),
            shape=(sum(len(column.features) for column in fitted),),
            classes=self.keys.classes,
            values=() if self.keys.classes else params.targets[:1],
            extra_targets=self.extra_targets,
            columns=tuple(fitted),
            log_target=self.params.log_target,
        )
        x, findings = self._encode_features(fitted, kinds, indices, free_source=free_source)
        sets = (self.keys.build_split(x[name], self.rows, indices[name]) for name in SPLITS)
        return Dataset(schema, *sets, checks=(*left_out, *gaps, *findings))

    def _target_types(self) -> ColumnTypes:
        """Return what each target is as a column."""
        found = [ExtraTarget(name=self.params.target, classes=self.keys.classes), *self.extra_targets]
        return {target.name: ("categorical" if target.classes else "numeric", ()) for target in found}

    def _missing_mask(self, column_types: ColumnTypes) -> Array:
        """Return (n,) which rows have a gap in a column of which `missing` says drop."""
        missing, gap = self.params.missing, np.zeros(len(self.frame), bool)
        for name, (kind, order) in column_types.items():
            if (missing.categorical if kind == "categorical" else missing.numeric) == "drop":
                gap |= np.asarray(pd.isna(types.parse_cells(self.frame[name], kind, order)[0]))
        return gap[self.rows]

    def _encode_features(
        self, fitted_columns: list[Column], column_types: ColumnTypes, indices: SplitIndices, *, free_source: bool
    ) -> tuple[dict[str, Array], tuple[CheckResult, ...]]:
        """Return the features of each set, and the cells of any set that mean nothing; one column at a time."""
        width = sum(len(column.features) for column in fitted_columns)
        x = {name: np.empty((len(indices[name]), width)) for name in SPLITS}
        findings = []
        large = self.frame.size > CHUNK_CELLS  # of a small one of many columns pandas would copy the rest each time
        start = 0
        for column in fitted_columns:
            kind, order = column_types[column.name]
            values = self.frame.pop(column.name) if large and free_source else self.frame[column.name]
            cells, bad = types.parse_cells(values, kind, order)
            finding = types.check_cells(column.name, values, kind, bad, f"{CLEAN_REMEDY} ({self.source})")
            if finding:
                findings.append(finding)
            end = start + len(column.features)
            for name in SPLITS:
                index = self.rows[indices[name]]
                taken = cells.iloc[index] if isinstance(cells, pd.Series) else cells[index]
                x[name][:, start:end] = types.encode_column(taken, column)
            start = end
        return x, tuple(findings)


def read_table(source: Path, params: Table) -> RawTable:
    """Read a table; of its features nothing is learnt or understood yet.

    Columns of words, as params.yaml says, and classes are read as they are spelt: 007 and not 7.

    Raises:
        DataError: the file is no table, lacks a column that params.yaml names, or has no feature.
    """
    words = [
        name for name, said in params.columns.items() if said.categories or said.type in ("categorical", "ordinal")
    ]
    tasks = {params.target: params.task, **params.extra_targets}
    frame = read_frame(source, params.format, words, [name for name, task in tasks.items() if task == "classification"])
    special = "" if isinstance(params.split, RandomSplit) else params.split.column
    require_columns(frame, dict.fromkeys(params.columns, "columns") | dict.fromkeys(params.drop, "drop"), source)
    require_columns(
        frame, dict.fromkeys(params.targets[:1], "target") | ({special: "split.column"} if special else {}), source
    )
    require_columns(frame, dict.fromkeys(params.extra_targets, "extra_targets"), source)
    others, also = encode_extra_targets(frame, params.extra_targets, source)
    left_out = {*params.targets, special, *params.drop}
    names = tuple(name for name in frame.columns if name not in left_out)
    if not names:
        beside = f" beside {params.target!r}" if params.target else ""
        raise DataError(f"{source} must have a feature{beside}, but has none; bring more columns")
    told = target_column(frame, params.targets)
    known = has_target(told, params.task, source)
    findings: tuple[CheckResult, ...] = ()
    if params.missing.target == "drop" and not known.all():
        text = f"`missing: {{target: drop}}` leaves out {(~known).sum()} rows without {params.target}"
        findings = (CheckResult(rule="missing", level="note", message=text),)
    kept = np.flatnonzero(known) if findings else np.arange(len(frame))
    remedy = "fill in or remove these rows, or set `missing: {target: drop}`"
    y, classes = encode_target(told.iloc[kept], params.task, source, remedy=remedy)
    keys = SplitKeys(
        y,
        classes,
        groups=encode_groups(frame[special].iloc[kept], source) if params.split.by == "group" else None,
        time=parse_times(frame[special].iloc[kept], source) if params.split.by == "time" else None,
        predefined=parse_predefined_split(frame[special].iloc[kept], source)
        if isinstance(params.split, PredefinedSplit)
        else None,
        extra_targets=None if others is None else others[kept],
    )
    return RawTable(params, source, frame, names, keys, kept, findings, also)
