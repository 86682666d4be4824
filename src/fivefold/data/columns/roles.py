"""Columns that say of a row where it belongs, and are no features.

Rows that are left out of the set that they were drawn into, and what is said of it.

What a person says that a column may hold, checked by pandera.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config.base import CheckRule
from ...config.datasets import ColumnOptions
from ...errors import DataError, format_value
from ..dataset import SPLITS, Array, SplitIndices, SplitKeys
from ..schema import CheckResult, ColumnType
from ..splitting import require_enough_rows
from .types import parse_cells

SPLIT_ALIASES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
}


def parse_predefined_split(values: pd.Series, origin: object) -> Array:
    """Return train, validation or test for each row, as the source says it.

    Raises:
        DataError: a row says something else, or there is no training or test row.
    """
    codes, words = pd.factorize(values, use_na_sentinel=False)
    known = pd.Series([SPLIT_ALIASES.get(str(word).strip().lower()) for word in words], dtype=object)
    parts = known.take(codes).reset_index(drop=True)
    if parts.isna().any():
        row = int(np.flatnonzero(parts.isna().to_numpy())[0])
        raise DataError(
            f"{origin}: column {values.name!r} must say train, validation or test, but row {values.index[row] + 1} says"
            f" {format_value(values.iloc[row])}; mend it, or split another way"
        )
    for part in ("train", "test"):
        if part not in set(parts):
            raise DataError(
                f"{origin}: column {values.name!r} must name {part} rows, but names none; split another way"
            )
    return np.asarray(parts)


def encode_groups(values: pd.Series, origin: object) -> Array:
    """Return a number for each row, the same for rows of one group; a `DataError` names the first without one."""
    gaps = np.flatnonzero(values.isna().to_numpy())
    if len(gaps):
        raise DataError(
            f"{origin}: every row must have a group, but row {values.index[gaps[0]] + 1} of column {values.name!r} is"
            f" empty ({len(gaps)} such rows); fill it in"
        )
    return np.asarray(pd.factorize(values)[0])


def duplicated(frame: pd.DataFrame, names: Sequence[str], rows: Array, indices: SplitIndices) -> Array:
    """Return (n,) which rows repeat another in the columns `names`: no training row does for a held-out one.

    rows: (n,) positions in the frame of the rows that `parts` speaks of.
    """
    order = np.concatenate([indices[name] for name in SPLITS])  # of equal rows the first stays: a training row, if any
    codes = frame.groupby(list(names), sort=False, dropna=False).ngroup().to_numpy()[rows]
    found = np.zeros(len(rows), bool)
    found[order] = pd.Series(codes[order]).duplicated()
    return found


def drop_rows(
    indices: SplitIndices, mask: Array, keys: SplitKeys, rule: CheckRule, source: Path, remedy: str
) -> tuple[SplitIndices, tuple[CheckResult, ...]]:
    """Return the sets without the rows of which `out` (n,) says so, and how many those are.

    Raises:
        DataError: too few rows are left; says `remedy`.
    """
    left = {name: index[~mask[index]] for name, index in indices.items()}
    drawn = {name: index for name, index in left.items() if len(indices[name])}
    counts = {name: len(indices[name]) - len(left[name]) for name in SPLITS}
    if not any(counts.values()):
        return indices, ()
    for name, index in drawn.items():
        if not len(index):
            raise DataError(f"{source}: `{rule}: drop` leaves no row of the {name} set; {remedy}")
    require_enough_rows(keys, drawn)
    each = ", ".join(f"{count} {name}" for name, count in counts.items())
    text = f"`{rule}: drop` leaves out {sum(counts.values())} rows: {each}"
    return left, (CheckResult(rule=rule, level="note", message=text),)


ColumnTypes = Mapping[str, tuple[ColumnType, Sequence[str]]]
"""Type of each column, and the order of its values."""


def validate_columns(
    frame: pd.DataFrame, column_types: ColumnTypes, configs: Mapping[str, ColumnOptions], source: Path
) -> None:
    """Check `min`, `max` and `values` of columns; a gap is allowed.

    Raises:
        DataError: a cell breaks them; names the first, and how many there are. Or a column of words has a `min`.
    """
    bound = {name: c for name, c in configs.items() if c.min is not None or c.max is not None or c.allowed_values}
    if not bound:
        return
    import pandera.pandas as pa  # a second, paid only where there is something to check
    from pandera.errors import SchemaErrors

    schema = {
        name: pa.Column(nullable=True, checks=_pandera_checks(name, *column_types[name], bound[name])) for name in bound
    }
    cells = pd.DataFrame({name: parse_cells(frame[name], *column_types[name])[0] for name in bound})
    try:
        pa.DataFrameSchema(schema).validate(cells, lazy=True)
    except SchemaErrors as errors:
        first = errors.failure_cases.iloc[0]
        cell = frame[first["column"]].iloc[int(first["index"])]
        raise DataError(
            f"{source}: column {first['column']!r} must be {first['check']}, but row {first['index'] + 1} holds"
            f" {format_value(cell)} ({len(errors.failure_cases)} such cells); clean it, or mend `columns` in params.yaml"
        ) from None


def _pandera_checks(name: str, kind: ColumnType, categories: Sequence[str], config: ColumnOptions) -> list[Any]:
    import pandera.pandas as pa

    if kind != "numeric" and (config.min is not None or config.max is not None):
        raise DataError(f"column {name!r} must be numeric to have a `min` or `max`, but is {kind}; use `values`")
    checks = [pa.Check.ge(config.min, error=f"at least {config.min:g}")] if config.min is not None else []
    checks += [pa.Check.le(config.max, error=f"at most {config.max:g}")] if config.max is not None else []
    if config.allowed_values:
        allowed, bad = parse_cells(pd.Series(config.allowed_values), kind, categories)
        if len(bad):
            raise DataError(
                f"column {name!r} is {kind}, but `values` holds {config.allowed_values[bad[0]]!r}; mend `columns`"
            )
        checks.append(pa.Check.isin(list(allowed), error=f"one of {', '.join(config.allowed_values)}"))
    return checks
