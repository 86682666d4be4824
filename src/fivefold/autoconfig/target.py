"""The column to predict: which it is, what it asks for, and whether every row has it."""

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
"""Names by which a target is known without being told, the surest first."""

MAX_INTEGER_CLASSES = 20
"""Different whole numbers up to which a target is taken for classes."""

MIN_ROWS_PER_CLASS = 10
"""Rows of each whole number from which they may number classes."""

MIN_TAIL_RATIO = 20.0
"""Medians beyond which the largest value of a target has a long tail."""

MAX_LISTED = 12
"""Names or rows that a message lists at most."""


def find_target(frame: pd.DataFrame, split_column: str | None, source: Path) -> str:
    """Return the column whose name says that it is the target.

    Raises:
        DataError: none does.
    """
    known = [name for name in frame if name.lower() in TARGET_NAMES and name != split_column]
    if known:
        return str(min(known, key=lambda name: TARGET_NAMES.index(name.lower())))
    last = [name for name in frame if name != split_column][-1]
    raise DataError(
        f"{source}: say which column to predict with --target; the columns are {format_list(frame.columns)}"
        f" (for the last one: --target {_quote_name(last)}); or, if nothing is to be predicted: --task unsupervised"
    )


def check_columns(frame: pd.DataFrame, column_options: Sequence[tuple[str, str]], source: Path) -> None:
    """Refuse an option that names no column, with the column that may be meant, or one that another names too."""
    for option, name in column_options:
        if name in frame.columns:
            continue
        lower = {name.lower(): name for name in frame.columns}
        near = difflib.get_close_matches(name.strip().lower(), list(lower), n=1)
        meant = f"; is {lower[near[0]]!r} meant?" if near else ""
        raise DataError(
            f"{source}: {option} must name a column, but {name!r} is none; the columns are {format_list(frame.columns)}"
            f"{meant}"
        )
    for (option, name), (other, again) in combinations(column_options, 2):
        if name == again:
            raise DataError(f"{option} and {other} must name two columns, but both name {name!r}; mend one of them")


def check_task(target: pd.Series, task: str, source: Path) -> None:
    """Refuse to tell words as values."""
    kind, _ = types.infer_type(target.dropna(), ColumnOptions())
    if task == "regression" and kind not in ("numeric", "boolean"):
        raise DataError(
            f"{source}: --task regression needs numbers, but column {target.name!r} is {kind}, such as"
            f" {format_value(target.dropna().iloc[0])}; say --task classification, or another --target"
        )


def missing_targets(target: pd.Series, task: str) -> Array:
    """Return which rows have no target, (n,)."""
    empty = target.isna()
    if task == "regression" and not pd.api.types.is_numeric_dtype(target.dtype):
        empty |= target.astype(str).str.strip().str.lower().isin(types.NA_VALUES | types.NUMERIC_NA_VALUES)
    return np.asarray(empty)


def raise_missing_targets(target: pd.Series, is_missing: Array, source: Path, *, is_table: bool = True) -> NoReturn:
    """Refuse rows without a target, of which there are some; of a table they can be left out."""
    rows = np.flatnonzero(is_missing) + 1
    which = "row" if len(rows) == 1 else "rows"
    remedy = "fill them in, or delete these rows and add the file again"
    if len(rows) > len(target) / 2:
        remedy = "is another column meant by --target? if not, delete these rows"
    raise DataError(
        f"{source}: every row must have a target, but column {target.name!r} is empty in {len(rows)} of {len(target)}"
        f" rows ({which} {format_list(rows.tolist())}): {remedy}{', or say --accept to leave them out' if is_table else ''}"
    )


def infer_task(values: pd.Series) -> str:
    """Return classification for words, booleans and few whole numbers, else regression."""
    known = values.dropna()
    if not pd.api.types.is_numeric_dtype(known.dtype) or pd.api.types.is_bool_dtype(known.dtype):
        kind, _ = types.infer_type(known, ColumnOptions())
        return "regression" if kind == "numeric" else "classification"
    whole = bool((known == known.round()).all())
    return (
        "classification"
        if whole and known.nunique() <= min(MAX_INTEGER_CLASSES, max(2, len(known) // 5))
        else "regression"
    )


def note_possible_classes(values: pd.Series) -> tuple[str, ...]:
    """Return what to say of whole numbers that are learnt as values, but repeat as classes do; nothing of others."""
    known = values.dropna()
    if not pd.api.types.is_numeric_dtype(known.dtype) or (known != known.round()).any():
        return ()
    if known.nunique() * MIN_ROWS_PER_CLASS > len(known):
        return ()
    named = "labels" if values.name is None else values.name
    what = f"{known.nunique()} different whole numbers in {len(known)} rows"
    return (f"{named}: {what}, learnt as values; if they number classes, say --task classification",)


def is_skewed(target: pd.Series) -> bool:
    """Say whether values are learnt better by their logarithms: positive, a few of them far above the rest.

    The largest is over `FAR` times the median, while the logarithms lie about evenly around their mean. In their own
    unit a few incomes of millions would be all that the loss sees.
    """
    values = np.sort(types.parse_cells(target, "numeric")[0])
    if not len(values) or not values[0] > 0 or values[-1] <= MIN_TAIL_RATIO * np.median(values):
        return False
    logs = np.log(values)
    return bool(abs(((logs - logs.mean()) ** 3).mean()) < logs.std() ** 3)  # a skewness below 1


def format_list(names: Sequence[object]) -> str:
    """Return names as a message lists them: all of a few, else the first and the last ones."""
    if len(names) <= MAX_LISTED:
        return ", ".join(map(str, names))
    first, last = names[: MAX_LISTED - 4], names[-3:]
    return f"{', '.join(map(str, first))}, ... {', '.join(map(str, last))}"


def _quote_name(name: str) -> str:
    return name if name.isalnum() or name.replace("_", "").isalnum() else f"'{name}'"
