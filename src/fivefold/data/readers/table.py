"""Read tables of numeric, text and date columns, with one target, several or none."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ...config.datasets import ColumnOptions, Table
from ...config.splits import PredefinedSplit, RandomSplit
from ...errors import DataError
from ..columns import types
from ..columns.roles import ColumnTypes, drop_rows, duplicated, encode_groups, parse_predefined_split, validate_columns
from ..columns.timestamps import parse_times
from ..dataset import SPLITS, Array, Dataset, SplitIndices, SplitKeys
from ..schema import CheckResult, Column, ExtraTarget, Schema
from ..targets import encode_extra_targets, encode_target, has_target, require_varying_extra_targets, target_column
from .csv import CHUNK_CELLS, read_frame, require_columns

CLEAN_REMEDY = "clean it, set its type under `columns`, or add it to `drop`"


@dataclass(frozen=True)
class RawTable:
    """A table as read from its source.

    Attributes:
        feature_columns: columns that are features.
        rows: row index in the source of each row of `keys`.
        extra_targets: descriptions of the extra targets in `keys`.
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
        """Return float64 rows; column types and categories are those of training rows.

        Rows with missing values that `missing` drops are removed after the split, since the type of a column determines
        which of its cells are missing.

        Args:
            free_source: whether columns are removed from `frame` as they are encoded.

        Raises:
            DataError: a cell violates a rule of `columns`, or too few rows remain.
        """
        options, params = self.params.columns, self.params
        dropped: tuple[CheckResult, ...] = ()
        if params.duplicates == "drop":
            mask = duplicated(self.frame, [*self.feature_columns, *params.targets], self.rows, indices)
            remedy = "set `duplicates: keep`, or add rows"
            indices, dropped = drop_rows(indices, mask, self.keys, "duplicates", self.source, remedy)
        train = self.rows[indices["train"]]
        column_types = {
            name: types.infer_type(self.frame[name].iloc[train], options.get(name, ColumnOptions()))
            for name in self.feature_columns
        }
        for name, (kind, _) in column_types.items():
            method = options[name].normalize if name in options else None
            if kind == "categorical" and method not in (None, "none"):
                raise DataError(
                    f"{self.source}: `normalize` applies to numbers, but column {name!r} is categorical; remove"
                    f" `normalize: {method}` from `columns`, or set its type there"
                )
        validate_columns(self.frame, {**column_types, **self._target_types()}, options, self.source)
        remedy = "impute instead, or add empty columns to `drop`"
        missing = self._missing_mask(column_types)
        indices, dropped_missing = drop_rows(indices, missing, self.keys, "missing", self.source, remedy)
        if self.keys.extra_targets is not None:
            require_varying_extra_targets(self.keys.extra_targets, self.extra_targets, indices)
        train = self.rows[indices["train"]]
        fitted = [
            types.parse_and_fit(self.frame[name].iloc[train], kind, categories, params.min_frequency)
            for name, (kind, categories) in column_types.items()
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
        x, checks = self._encode_features(fitted, column_types, indices, free_source=free_source)
        splits = (self.keys.build_split(x[name], self.rows, indices[name]) for name in SPLITS)
        return Dataset(schema, *splits, checks=(*dropped, *dropped_missing, *checks))

    def _target_types(self) -> ColumnTypes:
        """Return the column type of each target."""
        targets = [ExtraTarget(name=self.params.target, classes=self.keys.classes), *self.extra_targets]
        return {target.name: ("categorical" if target.classes else "numeric", ()) for target in targets}

    def _missing_mask(self, column_types: ColumnTypes) -> Array:
        """Return a mask (n,) of rows with a missing value in a column for which `missing` is drop."""
        options, mask = self.params.missing, np.zeros(len(self.frame), bool)
        for name, (kind, categories) in column_types.items():
            if (options.categorical if kind == "categorical" else options.numeric) == "drop":
                mask |= np.asarray(pd.isna(types.parse_cells(self.frame[name], kind, categories)[0]))
        return mask[self.rows]

    def _encode_features(
        self, fitted_columns: list[Column], column_types: ColumnTypes, indices: SplitIndices, *, free_source: bool
    ) -> tuple[dict[str, Array], tuple[CheckResult, ...]]:
        """Return the features of each split, and check results on invalid cells; encodes one column at a time."""
        width = sum(len(column.features) for column in fitted_columns)
        x = {name: np.empty((len(indices[name]), width)) for name in SPLITS}
        checks = []
        large = self.frame.size > CHUNK_CELLS  # removing columns from a small, wide frame copies the rest each time
        start = 0
        for column in fitted_columns:
            kind, categories = column_types[column.name]
            values = self.frame.pop(column.name) if large and free_source else self.frame[column.name]
            cells, bad = types.parse_cells(values, kind, categories)
            result = types.check_cells(column.name, values, kind, bad, f"{CLEAN_REMEDY} ({self.source})")
            if result:
                checks.append(result)
            end = start + len(column.features)
            for name in SPLITS:
                index = self.rows[indices[name]]
                selected = cells.iloc[index] if isinstance(cells, pd.Series) else cells[index]
                x[name][:, start:end] = types.encode_column(selected, column)
            start = end
        return x, tuple(checks)


def read_table(source: Path, params: Table) -> RawTable:
    """Return a table with encoded targets; its features are not parsed yet.

    Text columns set in params.yaml and classes are read as text: 007, not 7.

    Raises:
        DataError: the file is not a table, lacks a column that params.yaml names, or has no feature.
    """
    text_columns = [
        name
        for name, options in params.columns.items()
        if options.categories or options.type in ("categorical", "ordinal")
    ]
    tasks = {params.target: params.task, **params.extra_targets}
    label_columns = [name for name, task in tasks.items() if task == "classification"]
    frame = read_frame(source, params.format, text_columns, label_columns)
    split_column = "" if isinstance(params.split, RandomSplit) else params.split.column
    require_columns(frame, dict.fromkeys(params.columns, "columns") | dict.fromkeys(params.drop, "drop"), source)
    required = dict.fromkeys(params.targets[:1], "target") | ({split_column: "split.column"} if split_column else {})
    require_columns(frame, required, source)
    require_columns(frame, dict.fromkeys(params.extra_targets, "extra_targets"), source)
    extra_y, extra_targets = encode_extra_targets(frame, params.extra_targets, source)
    excluded = {*params.targets, split_column, *params.drop}
    names = tuple(name for name in frame.columns if name not in excluded)
    if not names:
        besides = f" besides {params.target!r}" if params.target else ""
        raise DataError(f"{source} must have a feature{besides}, but has none; add columns")
    target = target_column(frame, params.targets)
    known = has_target(target, params.task, source)
    checks: tuple[CheckResult, ...] = ()
    if params.missing.target == "drop" and not known.all():
        text = f"`missing: {{target: drop}}` drops {(~known).sum()} rows without {params.target}"
        checks = (CheckResult(rule="missing", level="note", message=text),)
    rows = np.flatnonzero(known) if checks else np.arange(len(frame))
    remedy = "fill in or remove these rows, or set `missing: {target: drop}`"
    y, classes = encode_target(target.iloc[rows], params.task, source, remedy=remedy)
    keys = SplitKeys(
        y,
        classes,
        groups=encode_groups(frame[split_column].iloc[rows], source) if params.split.by == "group" else None,
        time=parse_times(frame[split_column].iloc[rows], source) if params.split.by == "time" else None,
        predefined=parse_predefined_split(frame[split_column].iloc[rows], source)
        if isinstance(params.split, PredefinedSplit)
        else None,
        extra_targets=None if extra_y is None else extra_y[rows],
    )
    return RawTable(params, source, frame, names, keys, rows, checks, extra_targets)
