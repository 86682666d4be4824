"""Find the target column, infer its task, and check it."""

import difflib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from ..config.datasets import ColumnOptions
from ..data.columns import types
from ..data.dataset import Array
from ..errors import DataError, format_value

TARGET_NAMES = ("target", "label", "class", "y")
"""Names of a target column, in order of preference."""

MAX_INTEGER_CLASSES = 20
"""Maximum number of distinct integers that are interpreted as classes."""

MIN_ROWS_PER_CLASS = 10
"""Minimum mean rows per distinct integer of values that may be classes."""

MIN_TAIL_RATIO = 20.0
"""Minimum ratio of the largest value to the median of a target with a long tail."""

MAX_LISTED = 12
"""Maximum number of names or rows listed in a message."""


def find_target(frame: pd.DataFrame, split_column: str | None, source: Path) -> str:
    """Return the column whose name is typical of a target.

    Raises:
        DataError: there is no such column.
    """
    candidates = [name for name in frame if name.lower() in TARGET_NAMES and name != split_column]
    if candidates:
        return str(min(candidates, key=lambda name: TARGET_NAMES.index(name.lower())))
    last = [name for name in frame if name != split_column][-1]
    raise DataError(
        f"{source}: the target must be known, but no column is named {', '.join(TARGET_NAMES)}; set --target to one of"
        f" {format_list(frame.columns)} (for the last one: --target {_quote_name(last)}), or, if there is no target,"
        " --task unsupervised"
    )


def check_columns(frame: pd.DataFrame, column_options: Sequence[tuple[str, str]], source: Path) -> None:
    """Raise a `DataError` if an option is not a column, suggesting a similar one, or if two options are equal."""
    for option, name in column_options:
        if name in frame.columns:
            continue
        lower = {name.lower(): name for name in frame.columns}
        matches = difflib.get_close_matches(name.strip().lower(), list(lower), n=1)
        suggestion = f"; did you mean {lower[matches[0]]!r}?" if matches else ""
        raise DataError(
            f"{source}: {option} must be a column, but is {name!r}; the columns are {format_list(frame.columns)}"
            f"{suggestion}"
        )
    for (option, name), (other_option, other_name) in combinations(column_options, 2):
        if name == other_name:
            raise DataError(
                f"{option} and {other_option} must be different columns, but both are {name!r}; fix one of them"
            )


def check_task(target: pd.Series, task: str, source: Path) -> None:
    """Raise a `DataError` for a regression whose target is not numeric."""
    kind, _ = types.infer_type(target.dropna(), ColumnOptions())
    if task == "regression" and kind not in ("numeric", "boolean"):
        raise DataError(
            f"{source}: --task regression needs numbers, but column {target.name!r} is {kind}, such as"
            f" {format_value(target.dropna().iloc[0])}; use --task classification, or another --target"
        )


def missing_targets(target: pd.Series, task: str) -> Array:
    """Return a boolean mask of rows without a target, (n,)."""
    empty = target.isna()
    if task == "regression" and not pd.api.types.is_numeric_dtype(target.dtype):
        empty |= target.astype(str).str.strip().str.lower().isin(types.NA_VALUES | types.NUMERIC_NA_VALUES)
    return np.asarray(empty)


def raise_missing_targets(target: pd.Series, is_missing: Array, source: Path, *, is_table: bool = True) -> NoReturn:
    """Raise a `DataError` that lists the rows without a target; rows of a table can be skipped."""
    rows = np.flatnonzero(is_missing) + 1
    listed = f"{'row' if len(rows) == 1 else 'rows'} {format_list(rows.tolist())}"
    remedy = "fill them in, or delete these rows and add the file again"
    if len(rows) > len(target) / 2:
        remedy = "choose another --target, or delete these rows"
    if is_table:
        remedy += ", or use --skip-invalid to drop them"
    raise DataError(
        f"{source}: every row must have a target, but column {target.name!r} is empty in {len(rows)} of {len(target)}"
        f" rows ({listed}); {remedy}"
    )


def infer_task(values: pd.Series) -> str:
    """Return classification for categories, booleans and few distinct integers, else regression."""
    known = values.dropna()
    if not pd.api.types.is_numeric_dtype(known.dtype) or pd.api.types.is_bool_dtype(known.dtype):
        kind, _ = types.infer_type(known, ColumnOptions())
        return "regression" if kind == "numeric" else "classification"
    is_integer = bool((known == known.round()).all())
    return (
        "classification"
        if is_integer and known.nunique() <= min(MAX_INTEGER_CLASSES, max(2, len(known) // 5))
        else "regression"
    )


def note_possible_classes(values: pd.Series) -> tuple[str, ...]:
    """Return a note on a regression target of integers that may be classes; () for other targets."""
    known = values.dropna()
    if not pd.api.types.is_numeric_dtype(known.dtype) or (known != known.round()).any():
        return ()
    if known.nunique() * MIN_ROWS_PER_CLASS > len(known):
        return ()
    name = "labels" if values.name is None else values.name
    counts = f"{known.nunique()} distinct integers in {len(known)} rows"
    return (f"{name}: {counts} are predicted as numbers; if they are classes, use --task classification",)


def is_skewed(target: pd.Series) -> bool:
    """Return whether the logarithm of a target should be predicted: positive values with a long tail, such as incomes.

    The largest value is more than `MIN_TAIL_RATIO` times the median and the logarithms are about symmetric. On the
    original scale, a few large values would dominate the loss.
    """
    values = np.sort(types.parse_cells(target, "numeric")[0])
    if not len(values) or not values[0] > 0 or values[-1] <= MIN_TAIL_RATIO * np.median(values):
        return False
    logs = np.log(values)
    return bool(abs(((logs - logs.mean()) ** 3).mean()) < logs.std() ** 3)  # a skewness below 1


def format_list(names: Sequence[object]) -> str:
    """Return names as text: all if there are few, else the first and the last ones."""
    if len(names) <= MAX_LISTED:
        return ", ".join(map(str, names))
    first, last = names[: MAX_LISTED - 4], names[-3:]
    return f"{', '.join(map(str, first))}, ... {', '.join(map(str, last))}"


def _quote_name(name: str) -> str:
    return name if name.isalnum() or name.replace("_", "").isalnum() else f"'{name}'"
