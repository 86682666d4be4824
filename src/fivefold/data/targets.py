"""Encode target columns, and select single targets of a dataset and of its predictions.

Shapes: n rows, m extra targets, k model outputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..config.datasets import ColumnOptions, Task
from ..errors import DataError, format_value
from .columns.types import MAX_EXACT_INTEGER, check_cells, infer_type, parse_cells
from .dataset import Array, Split, SplitIndices
from .schema import ExtraTarget, Schema

MIN_ROWS_FOR_CLASS_CHECK = 20
"""Number of rows from which a target with more classes than half of them is rejected."""


def target_column(frame: pd.DataFrame, targets: Sequence[str]) -> pd.Series:
    """Return the primary target, the first of `targets`; a constant column without targets."""
    return frame[targets[0]] if targets else pd.Series(0.0, frame.index, name="")


def has_target(values: pd.Series, task: Task, origin: object) -> Array:
    """Return whether each row has a target, (n,).

    Raises:
        DataError: a value of a regression target is not a number; names the first.
    """
    return ~np.isnan(parse_numeric(values, origin)) if task == "regression" else values.notna().to_numpy()


def encode_target(
    values: pd.Series,
    task: Task,
    origin: object,
    config_key: str = "target",
    remedy: str = "fill in or remove these rows",
) -> tuple[Array, tuple[str, ...]]:
    """Return the target as an array, and the class names.

    Args:
        values: (n,), classes of any type or numbers, of all rows: stratified splits and class-wise metrics need every
            class before there are training rows.
        config_key: key of params.yaml that names the column.
        remedy: what to do about rows without a target.

    Returns:
        int64 indices into the sorted class names, or float64 values and no names. For an unsupervised task (n, 0) and
        no names, whatever the values are.

    Raises:
        DataError: a value is missing, is not a number (regression), or all values are equal.
    """
    if task == "unsupervised":
        return np.empty((len(values), 0)), ()
    values = values if task == "regression" else normalize_boolean_spelling(values)
    numbers = parse_numeric(values, origin) if task == "regression" else None
    missing = values.isna().to_numpy() if numbers is None else np.isnan(numbers)
    if missing.any():
        raise DataError(
            f"{origin}: every row must have a target, but row {np.flatnonzero(missing)[0] + 1} of column"
            f" {values.name!r} is empty ({missing.sum()} in total); {remedy}"
        )
    if values.nunique() < 2:
        only = format_value(values.iloc[0]) if len(values) else "missing values"
        raise DataError(
            f"{origin}: the target must have at least 2 distinct values, but column {values.name!r} contains only"
            f" {only}; set `{config_key}` to another column or add more rows"
        )
    if numbers is not None:
        return numbers, ()
    if pd.api.types.is_float_dtype(values):
        invalid = values[(values != values.round()) | (values.abs() > MAX_EXACT_INTEGER)]
        if len(invalid):
            raise DataError(
                f"{origin}: classes must be text or integers, but column {values.name!r} contains"
                f" {format_value(invalid.iloc[0])}; set `task: regression`, or set `{config_key}` to another column"
            )
        values = values.astype("int64")  # so that a class is named 3, not 3.0
    codes, uniques = pd.factorize(values, sort=True)
    if len(values) >= MIN_ROWS_FOR_CLASS_CHECK and len(uniques) > len(values) / 2:
        raise DataError(
            f"{origin}: classes must repeat, but column {values.name!r} has {len(uniques)} classes"
            f" in {len(values)} rows, such as {format_value(uniques[0])}; set `{config_key}` to another column, or, if"
            " the values are numbers, clean them and set `task: regression`"
        )
    return codes.astype(np.int64), tuple(str(name) for name in uniques)


def normalize_boolean_spelling(values: pd.Series) -> pd.Series:
    """Return boolean words in their most frequent spelling: Yes for yes and YES too; other values unchanged."""
    if not isinstance(values.dtype, pd.StringDtype) or infer_type(values, ColumnOptions())[0] != "boolean":
        return values
    plain = values.str.strip().str.lower()
    if plain.nunique() == values.nunique():
        return values
    most_frequent = {word: cells.mode().iloc[0] for word, cells in values.groupby(plain)}
    return plain.map(most_frequent).astype(values.dtype)


def encode_extra_targets(
    frame: pd.DataFrame, tasks: Mapping[str, Task], origin: object
) -> tuple[Array | None, tuple[ExtraTarget, ...]]:
    """Return the extra targets, (n, m) float64, class indices or values, NaN where missing, and their descriptions."""
    columns, extra_targets = [], []
    for name, task in tasks.items():
        values = frame[name]
        known = has_target(values, task, origin)
        y, classes = encode_target(values[known], task, origin, "extra_targets")
        column = np.full(len(frame), np.nan)
        column[known] = y
        columns.append(column)
        extra_targets.append(ExtraTarget(name=name, classes=classes))
    return (np.column_stack(columns) if columns else None), tuple(extra_targets)


def require_varying_targets(schema: Schema, y: Array) -> None:
    """Raise a `DataError` if a numeric target is constant in training rows; y: (n,), or (n, h * k) for h steps."""
    steps = max(schema.horizon, 1)
    values_by_target = y.reshape(len(y) * steps, -1)  # (n, h * k) -> (n * h, k)
    names = schema.features[: values_by_target.shape[1]] if schema.horizon else schema.values
    for name, values in zip(names, values_by_target.T, strict=True):
        if (values == values[0]).all():
            key = "targets" if schema.horizon else "target"
            raise DataError(
                f"targets must have at least 2 distinct values in training rows, but column {name!r} contains only"
                f" {format_value(values[0])}; set `{key}` to another column, add more rows, or change `split`"
            )


def require_varying_extra_targets(y: Array, extra_targets: tuple[ExtraTarget, ...], indices: SplitIndices) -> None:
    """Raise a `DataError` if an extra target is missing or constant in a split; y: (n, m), NaN where missing."""
    for column, extra_target in zip(y.T, extra_targets, strict=True):
        for name, index in indices.items():
            values = column[index]
            n_distinct = len(np.unique(values[~np.isnan(values)]))
            needed = 1 if extra_target.classes and name != "train" else 2  # R2 is undefined for one distinct value
            if len(values) and n_distinct < needed:
                raise DataError(
                    f"each target must have at least {needed} distinct values in the {name} split, but"
                    f" {extra_target.name!r} has {n_distinct}; add more rows, change `split`, or remove it from"
                    " `extra_targets`"
                )


def require_positive(values: Array, name: str, origin: object) -> None:
    """Raise a `DataError` if a value has no logarithm; NaN is ignored."""
    bad = np.flatnonzero(values <= 0)
    if len(bad):
        raise DataError(
            f"{origin}: `log_target` needs values above 0, but column {name!r} contains"
            f" {format_value(float(values[bad[0]]))} in row {bad[0] + 1}; remove `log_target`, or clean the column"
        )


def parse_numeric(values: pd.Series, origin: object, remedy: str = "clean it, or set another column") -> Array:
    """Return a column as float64; a `DataError` names the first rows that are not finite numbers."""
    parsed, bad = parse_cells(values, "numeric")
    result = check_cells(str(values.name), values, "numeric", bad, remedy)
    if result:
        raise DataError(f"{origin}: {result.message}")
    return np.asarray(parsed)


@dataclass(frozen=True)
class TargetSpec:
    """One target of a dataset.

    Attributes:
        schema: schema of a dataset with this target only.
        columns: columns of this target in a model's predictions (n, k).
        extra_index: column in `Split.extra_targets`; None for the primary target.
    """

    schema: Schema
    columns: slice
    extra_index: int | None = None

    @property
    def prefix(self) -> str:
        """Prefix of the metric and column names of this target."""
        return "" if self.extra_index is None else f"{self.schema.target}."

    def known_mask(self, split: Split) -> Array:
        """Return whether each row has this target, (n,)."""
        if self.extra_index is None or split.extra_targets is None:
            return np.ones(len(split), bool)
        return np.asarray(~np.isnan(split.extra_targets[:, self.extra_index]))

    def select(self, split: Split) -> Split:
        """Return the rows that have this target, with the target as y."""
        if self.extra_index is None or split.extra_targets is None:
            return split
        rows = split.take(np.flatnonzero(self.known_mask(split)))
        assert rows.extra_targets is not None
        y = rows.extra_targets[:, self.extra_index]
        return Split(rows.x, y.astype(np.int64) if self.schema.classes else y, rows.rows, rows.groups)

    def select_predictions(self, split: Split, predictions: Array) -> Array:
        """Return this target's columns of `predictions` (n, k), for the rows that have the target."""
        return predictions if self.columns == slice(None) else predictions[self.known_mask(split), self.columns]


def target_specs(schema: Schema) -> tuple[TargetSpec, ...]:
    """Return all targets, the primary target first."""
    if not schema.extra_targets:
        return (TargetSpec(schema, slice(None)),)
    primary = schema.model_copy(update={"extra_targets": ()})
    specs, end = [TargetSpec(primary, slice(0, primary.n_outputs))], primary.n_outputs
    for index, extra_target in enumerate(schema.extra_targets):
        update = {
            "task": "classification" if extra_target.classes else "regression",
            "target": extra_target.name,
            "classes": extra_target.classes,
            "values": () if extra_target.classes else (extra_target.name,),
            "log_target": False,
        }
        start, end = end, end + (len(extra_target.classes) or 1)
        specs.append(TargetSpec(primary.model_copy(update=update), slice(start, end), index))
    return tuple(specs)


def output_metadata(schema: Schema) -> dict[str, Any]:
    """Return the description of a model's outputs that is stored in its file, as plain values.

    Extra targets have `columns`: their first column and the one past their last; the primary target has the columns
    before them.
    """
    return {
        "target": schema.target,
        "task": schema.task,
        "classes": schema.classes,
        "values": schema.values,
        "extra_targets": [
            {
                "target": spec.schema.target,
                "classes": spec.schema.classes,
                "columns": [spec.columns.start, spec.columns.stop],
            }
            for spec in target_specs(schema)[1:]
        ],
    }
