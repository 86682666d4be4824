"""The target column as numbers, and columns of further targets.

Each target of a dataset by itself, and where a model's predictions have it.

Shapes: n rows, k numbers that a model gives for a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..config.datasets import Column, Task
from ..errors import DataError, shown
from .columns.types import WHOLE, doubts, infer, parse
from .dataset import Array, Parts, Records
from .schema import Further, Schema

ROWS = 20
"""Rows from which more classes than half of them are none."""


def target_column(frame: pd.DataFrame, targets: Sequence[str]) -> pd.Series:
    """Return the leading target of those named; where none is, a column that says nothing."""
    return frame[targets[0]] if targets else pd.Series(0.0, frame.index, name="")


def has_target(values: pd.Series, task: Task, origin: object) -> Array:
    """Return whether each row has a target, (n,); a `DataError` names the first that is no number in a regression."""
    return ~np.isnan(numbers(values, origin)) if task == "regression" else values.notna().to_numpy()


def encode_target(
    values: pd.Series,
    task: Task,
    origin: object,
    key: str = "target",
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
    values = values if task == "regression" else one_spelling(values)
    found = numbers(values, origin) if task == "regression" else None
    missing = values.isna().to_numpy() if found is None else np.isnan(found)
    if missing.any():
        raise DataError(
            f"{origin}: every row must have a target, but row {np.flatnonzero(missing)[0] + 1} of column"
            f" {values.name!r} is empty ({missing.sum()} in all); {remedy}"
        )
    if values.nunique() < 2:
        only = shown(values.iloc[0]) if len(values) else "nothing"
        raise DataError(
            f"{origin}: the target must take two values or more, but column {values.name!r} holds only {only};"
            f" name another column under `{key}` or bring more rows"
        )
    if found is not None:
        return found, ()
    if pd.api.types.is_float_dtype(values):
        odd = values[(values != values.round()) | (values.abs() > WHOLE)]
        if len(odd):
            raise DataError(
                f"{origin}: classes must be names or whole numbers, but column {values.name!r} holds"
                f" {shown(odd.iloc[0])}; let it be a regression, or name another column under `{key}`"
            )
        values = values.astype("int64")  # so that a class is named 3, not 3.0
    codes, uniques = pd.factorize(values, sort=True)
    if len(values) >= ROWS and len(uniques) > len(values) / 2:
        raise DataError(
            f"{origin}: a class must come back in several rows, but column {values.name!r} has {len(uniques)} classes"
            f" in {len(values)} rows, such as {shown(uniques[0])}; name another column under `{key}`, or, if these are"
            " numbers, clean them and let it be a regression"
        )
    return codes.astype(np.int64), tuple(str(name) for name in uniques)


def one_spelling(values: pd.Series) -> pd.Series:
    """Return flags as each is written most often: Yes for yes and YES too; other values as they are."""
    if not isinstance(values.dtype, pd.StringDtype) or infer(values, Column())[0] != "boolean":
        return values
    plain = values.str.strip().str.lower()
    if plain.nunique() == values.nunique():
        return values
    usual = {word: cells.mode().iloc[0] for word, cells in values.groupby(plain)}
    return plain.map(usual).astype(values.dtype)


def encode_also(
    frame: pd.DataFrame, tasks: Mapping[str, Task], origin: object
) -> tuple[Array | None, tuple[Further, ...]]:
    """Return further targets (n, m) float64, class indices or values, NaN where missing, and what they are."""
    columns, found = [], []
    for name, task in tasks.items():
        values = frame[name]
        known = has_target(values, task, origin)
        y, classes = encode_target(values[known], task, origin, "also")
        column = np.full(len(frame), np.nan)
        column[known] = y
        columns.append(column)
        found.append(Further(name=name, classes=classes))
    return (np.column_stack(columns) if columns else None), tuple(found)


def suffice_values(schema: Schema, y: Array) -> None:
    """Refuse training rows of which a target that is a value never changes; y: (n,), or (n, h * k) of h steps."""
    steps = max(schema.horizon, 1)
    told = y.reshape(len(y) * steps, -1)  # (n, h * k) -> (n * h, k)
    names = schema.features[: told.shape[1]] if schema.horizon else schema.values
    for name, values in zip(names, told.T, strict=True):
        if (values == values[0]).all():
            key = "targets" if schema.horizon else "target"
            raise DataError(
                f"training rows must have two values or more of a target, but column {name!r} holds only"
                f" {shown(values[0])}; name another column under `{key}`, bring more rows, or split another way"
            )


def suffice_also(y: Array, also: tuple[Further, ...], parts: Parts) -> None:
    """Refuse sets with rows in which a further target is missing, or tells nothing; y: (n, m), NaN where missing."""
    for column, further in zip(y.T, also, strict=True):
        for name, index in parts.items():
            values = column[index]
            different = len(np.unique(values[~np.isnan(values)]))
            needed = 1 if further.classes and name != "train" else 2  # of one value there is no variance to explain
            if len(values) and different < needed:
                raise DataError(
                    f"the {name} set must hold {needed} or more different values of each target, but has {different}"
                    f" of {further.name!r}; bring more rows, split another way, or take it out of `also`"
                )


def positive(values: Array, name: str, origin: object) -> None:
    """Refuse values of which there is no logarithm; NaN is passed over."""
    bad = np.flatnonzero(values <= 0)
    if len(bad):
        raise DataError(
            f"{origin}: `log` needs values above 0, but column {name!r} holds {shown(float(values[bad[0]]))} in row"
            f" {bad[0] + 1}; leave `log` out, or clean it"
        )


def numbers(values: pd.Series, origin: object, remedy: str = "clean it, or name another column") -> Array:
    """Return a column as float64; a `DataError` names the first row that is no usable number."""
    parsed, bad = parse(values, "numeric")
    finding = doubts(str(values.name), values, "numeric", bad, remedy)
    if finding:
        raise DataError(f"{origin}: {finding.text}")
    return np.asarray(parsed)


@dataclass(frozen=True)
class Goal:
    """One target.

    schema: that of a dataset with this target alone.
    columns: of a model's predictions (n, k), those of this target.
    place: column of `Records.also`; None for the leading target.
    """

    schema: Schema
    columns: slice
    place: int | None = None

    @property
    def prefix(self) -> str:
        """What stands before the name of a score or a column of this target."""
        return "" if self.place is None else f"{self.schema.target}."

    def known(self, records: Records) -> Array:
        """Return whether each row has this target, (n,)."""
        if self.place is None or records.also is None:
            return np.ones(len(records), bool)
        return np.asarray(~np.isnan(records.also[:, self.place]))

    def records(self, records: Records) -> Records:
        """Return the rows that have this target, which is their y."""
        if self.place is None or records.also is None:
            return records
        rows = records.take(np.flatnonzero(self.known(records)))
        assert rows.also is not None
        y = rows.also[:, self.place]
        return Records(rows.x, y.astype(np.int64) if self.schema.classes else y, rows.rows, rows.groups)

    def told(self, records: Records, p: Array) -> Array:
        """Return of predictions p (n, k) those of this target, of the rows that have it."""
        return p if self.columns == slice(None) else p[self.known(records), self.columns]


def goals(schema: Schema) -> tuple[Goal, ...]:
    """Return every target, the leading one first."""
    if not schema.also:
        return (Goal(schema, slice(None)),)
    leading = schema.model_copy(update={"also": ()})
    found, end = [Goal(leading, slice(0, leading.n_outputs))], leading.n_outputs
    for place, further in enumerate(schema.also):
        alone = {
            "task": "classification" if further.classes else "regression",
            "target": further.name,
            "classes": further.classes,
            "values": () if further.classes else (further.name,),
            "log": False,
        }
        start, end = end, end + (len(further.classes) or 1)
        found.append(Goal(leading.model_copy(update=alone), slice(start, end), place))
    return tuple(found)


def gives(schema: Schema) -> dict[str, Any]:
    """Return what is said of a model's predictions to those who have only its file, as plain values.

    Further targets have their first column and the one past their last; the leading target has those before them.
    """
    return {
        "target": schema.target,
        "task": schema.task,
        "classes": schema.classes,
        "values": schema.values,
        "also": [
            {
                "target": goal.schema.target,
                "classes": goal.schema.classes,
                "columns": [goal.columns.start, goal.columns.stop],
            }
            for goal in goals(schema)[1:]
        ],
    }
