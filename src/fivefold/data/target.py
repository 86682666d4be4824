"""The target column as numbers."""

import numpy as np
import pandas as pd

from ..errors import DataError, shown
from ..params.datasets import Task
from .records import Array

LARGEST_CLASS = 2.0**53
"""Whole numbers up to here are exact as floats."""

LARGEST = 1e37
"""Networks compute in float32, which ends a little above."""


def encode_target(values: pd.Series, task: Task, origin: object) -> tuple[Array, tuple[str, ...]]:
    """Return the target as an array, and the class names.

    values: (n,), classes of any type or numbers.
    Returns int64 indices into the sorted class names, or float64 values and no names.

    Raises:
        DataError: a value is missing, is not a number (regression), or all are equal.
    """
    missing = values.isna().to_numpy()
    if missing.any():
        raise DataError(
            f"{origin}: every row must have a target, but row {np.flatnonzero(missing)[0] + 1} of column"
            f" {values.name!r} is empty ({missing.sum()} in all); fill in or remove these rows"
        )
    if values.nunique() < 2:
        only = shown(values.iloc[0]) if len(values) else "nothing"
        raise DataError(
            f"{origin}: the target must take two values or more, but column {values.name!r} holds only {only};"
            " name another column under `target` or bring more rows"
        )
    if task == "regression":
        return numbers(values, origin), ()
    if pd.api.types.is_float_dtype(values):
        odd = values[(values != values.round()) | (values.abs() > LARGEST_CLASS)]
        if len(odd):
            raise DataError(
                f"{origin}: classes must be names or whole numbers, but column {values.name!r} holds"
                f" {shown(odd.iloc[0])}; set `task: regression`, or name another column under `target`"
            )
        values = values.astype("int64")  # so that a class is named 3, not 3.0
    codes, uniques = pd.factorize(values, sort=True)
    return codes.astype(np.int64), tuple(str(name) for name in uniques)


def numbers(values: pd.Series, origin: object) -> Array:
    """Return a column as float64, NaN where it is empty; a `DataError` names the first row that is no usable number."""
    parsed: Array = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero((np.isnan(parsed) & ~values.isna().to_numpy()) | (np.abs(parsed) > LARGEST))
    if len(wrong):
        raise DataError(
            f"{origin}: column {values.name!r} must hold finite numbers up to {LARGEST:g}, but row {wrong[0] + 1} holds"
            f" {shown(values.iloc[wrong[0]])} ({len(wrong)} such rows); clean it, or name the column under `drop`"
        )
    return parsed
