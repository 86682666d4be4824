"""The target column as numbers, and columns of further targets.

Each target of a dataset by itself, and where a model's predictions have it.

Shapes: n rows, k numbers that a model gives for a row.
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
"""Rows from which more classes than half of them are none."""


def target_column(frame: pd.DataFrame, targets: Sequence[str]) -> pd.Series:
    """Return the leading target of those named; where none is, a column that says nothing."""
    return frame[targets[0]] if targets else pd.Series(0.0, frame.index, name="")


def has_target(values: pd.Series, task: Task, origin: object) -> Array:
    """Return whether each row has a target, (n,); a `DataError` names the first that is no number in a regression."""
    return ~np.isnan(parse_numeric(values, origin)) if task == "regression" else values.notna().to_numpy()


def encode_target(
    values: pd.Series,
    task: Task,
    origin: object,
    config_key: str = "target",
    remedy: str = "fill in or remove these rows",
) -> tuple[Array, tuple[str, ...]]:
    """Return the target as an array, and the class names.

    values: (n,), classes of any type or numbers, of all rows: a split by class, and what scores count, ask for every
    class before there are training rows.
    key: of params.yaml, which names the column.
    remedy: what to do about rows without a target.
    Returns int64 indices into the sorted class names, or float64 values and no names; of an unsupervised task (n, 0)
    and no names, whatever the values are.

    Raises:
        DataError: a value is missing, is not a number (regression), or all are equal.
    """
    if task == "unsupervised":
        return np.empty((len(values), 0)), ()
    values = values if task == "regression" else normalize_boolean_spelling(values)
    found = parse_numeric(values, origin) if task == "regression" else None
    missing = values.isna().to_numpy() if found is None else np.isnan(found)
    if missing.any():
        raise DataError(
            f"{origin}: every row must have a target, but row {np.flatnonzero(missing)[0] + 1} of column"
            f" {values.name!r} is empty ({missing.sum()} in all); {remedy}"
        )
    if values.nunique() < 2:
        only = format_value(values.iloc[0]) if len(values) else "nothing"
        raise DataError(
            f"{origin}: the target must take two values or more, but column {values.name!r} holds only {only};"
            f" name another column under `{config_key}` or bring more rows"
        )
    if found is not None:
        return found, ()
    if pd.api.types.is_float_dtype(values):
        odd = values[(values != values.round()) | (values.abs() > MAX_EXACT_INTEGER)]
        if len(odd):
            raise DataError(
                f"{origin}: classes must be names or whole numbers, but column {values.name!r} holds"
                f" {format_value(odd.iloc[0])}; let it be a regression, or name another column under `{config_key}`"
            )
        values = values.astype("int64")  # so that a class is named 3, not 3.0
    codes, uniques = pd.factorize(values, sort=True)
    if len(values) >= MIN_ROWS_FOR_CLASS_CHECK and len(uniques) > len(values) / 2:
        raise DataError(
            f"{origin}: a class must come back in several rows, but column {values.name!r} has {len(uniques)} classes"
            f" in {len(values)} rows, such as {format_value(uniques[0])}; name another column under `{config_key}`, or, if these are"
            " numbers, clean them and let it be a regression"
        )
    return codes.astype(np.int64), tuple(str(name) for name in uniques)


def normalize_boolean_spelling(values: pd.Series) -> pd.Series:
    """Return flags as each is written most often: Yes for yes and YES too; other values as they are."""
    if not isinstance(values.dtype, pd.StringDtype) or infer_type(values, ColumnOptions())[0] != "boolean":
        return values
    plain = values.str.strip().str.lower()
    if plain.nunique() == values.nunique():
        return values
    usual = {word: cells.mode().iloc[0] for word, cells in values.groupby(plain)}
    return plain.map(usual).astype(values.dtype)


def encode_extra_targets(
    frame: pd.DataFrame, tasks: Mapping[str, Task], origin: object
) -> tuple[Array | None, tuple[ExtraTarget, ...]]:
    """Return further targets (n, m) float64, class indices or values, NaN where missing, and what they are."""
    columns, found = [], []
    for name, task in tasks.items():
        values = frame[name]
        known = has_target(values, task, origin)
        y, classes = encode_target(values[known], task, origin, "extra_targets")
        column = np.full(len(frame), np.nan)
        column[known] = y
        columns.append(column)
        found.append(ExtraTarget(name=name, classes=classes))
    return (np.column_stack(columns) if columns else None), tuple(found)


def require_varying_targets(schema: Schema, y: Array) -> None:
    """Refuse training rows of which a target that is a value never changes; y: (n,), or (n, h * k) of h steps."""
    steps = max(schema.horizon, 1)
    told = y.reshape(len(y) * steps, -1)  # (n, h * k) -> (n * h, k)
    names = schema.features[: told.shape[1]] if schema.horizon else schema.values
    for name, values in zip(names, told.T, strict=True):
        if (values == values[0]).all():
            key = "targets" if schema.horizon else "target"
            raise DataError(
                f"training rows must have two values or more of a target, but column {name!r} holds only"
                f" {format_value(values[0])}; name another column under `{key}`, bring more rows, or split another way"
            )


def require_varying_extra_targets(y: Array, extra_targets: tuple[ExtraTarget, ...], indices: SplitIndices) -> None:
    """Refuse sets with rows in which a further target is missing, or tells nothing; y: (n, m), NaN where missing."""
    for column, further in zip(y.T, extra_targets, strict=True):
        for name, index in indices.items():
            values = column[index]
            different = len(np.unique(values[~np.isnan(values)]))
            needed = 1 if further.classes and name != "train" else 2  # of one value there is no variance to explain
            if len(values) and different < needed:
                raise DataError(
                    f"the {name} set must hold {needed} or more different values of each target, but has {different}"
                    f" of {further.name!r}; bring more rows, split another way, or take it out of `also`"
                )


def require_positive(values: Array, name: str, origin: object) -> None:
    """Refuse values of which there is no logarithm; NaN is passed over."""
    bad = np.flatnonzero(values <= 0)
    if len(bad):
        raise DataError(
            f"{origin}: `log` needs values above 0, but column {name!r} holds {format_value(float(values[bad[0]]))} in row"
            f" {bad[0] + 1}; leave `log` out, or clean it"
        )


def parse_numeric(values: pd.Series, origin: object, remedy: str = "clean it, or name another column") -> Array:
    """Return a column as float64; a `DataError` names the first row that is no usable number."""
    parsed, bad = parse_cells(values, "numeric")
    finding = check_cells(str(values.name), values, "numeric", bad, remedy)
    if finding:
        raise DataError(f"{origin}: {finding.message}")
    return np.asarray(parsed)


@dataclass(frozen=True)
class TargetSpec:
    """One target.

    schema: that of a dataset with this target alone.
    columns: of a model's predictions (n, k), those of this target.
    place: column of `Records.also`; None for the leading target.
    """

    schema: Schema
    columns: slice
    extra_index: int | None = None

    @property
    def prefix(self) -> str:
        """What stands before the name of a score or a column of this target."""
        return "" if self.extra_index is None else f"{self.schema.target}."

    def known_mask(self, split: Split) -> Array:
        """Return whether each row has this target, (n,)."""
        if self.extra_index is None or split.extra_targets is None:
            return np.ones(len(split), bool)
        return np.asarray(~np.isnan(split.extra_targets[:, self.extra_index]))

    def select(self, split: Split) -> Split:
        """Return the rows that have this target, which is their y."""
        if self.extra_index is None or split.extra_targets is None:
            return split
        rows = split.take(np.flatnonzero(self.known_mask(split)))
        assert rows.extra_targets is not None
        y = rows.extra_targets[:, self.extra_index]
        return Split(rows.x, y.astype(np.int64) if self.schema.classes else y, rows.rows, rows.groups)

    def select_predictions(self, split: Split, predictions: Array) -> Array:
        """Return of predictions p (n, k) those of this target, of the rows that have it."""
        return predictions if self.columns == slice(None) else predictions[self.known_mask(split), self.columns]


def target_specs(schema: Schema) -> tuple[TargetSpec, ...]:
    """Return every target, the leading one first."""
    if not schema.extra_targets:
        return (TargetSpec(schema, slice(None)),)
    leading = schema.model_copy(update={"extra_targets": ()})
    found, end = [TargetSpec(leading, slice(0, leading.n_outputs))], leading.n_outputs
    for place, further in enumerate(schema.extra_targets):
        alone = {
            "task": "classification" if further.classes else "regression",
            "target": further.name,
            "classes": further.classes,
            "values": () if further.classes else (further.name,),
            "log_target": False,
        }
        start, end = end, end + (len(further.classes) or 1)
        found.append(TargetSpec(leading.model_copy(update=alone), slice(start, end), place))
    return tuple(found)


def output_metadata(schema: Schema) -> dict[str, Any]:
    """Return what is said of a model's predictions to those who have only its file, as plain values.

    Further targets have their first column and the one past their last; the leading target has those before them.
    """
    return {
        "target": schema.target,
        "task": schema.task,
        "classes": schema.classes,
        "values": schema.values,
        "extra_targets": [
            {
                "target": goal.schema.target,
                "classes": goal.schema.classes,
                "columns": [goal.columns.start, goal.columns.stop],
            }
            for goal in target_specs(schema)[1:]
        ],
    }
