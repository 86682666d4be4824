"""Columns with a special role (predefined split, groups), rows to drop, and validation of columns with pandera."""

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
    """Return "train", "validation" or "test" for each row, as given by a column of the source.

    Raises:
        DataError: a row has another value, or there is no training or test row.
    """
    codes, words = pd.factorize(values, use_na_sentinel=False)
    known = pd.Series([SPLIT_ALIASES.get(str(word).strip().lower()) for word in words], dtype=object)
    splits = known.take(codes).reset_index(drop=True)
    if splits.isna().any():
        row = int(np.flatnonzero(splits.isna().to_numpy())[0])
        raise DataError(
            f"{origin}: column {values.name!r} must contain train, validation or test, but row {values.index[row] + 1}"
            f" contains {format_value(values.iloc[row])}; fix it, or use another `split.by`"
        )
    for split in ("train", "test"):
        if split not in set(splits):
            raise DataError(
                f"{origin}: column {values.name!r} must assign rows to {split}, but assigns none; use another"
                " `split.by`"
            )
    return np.asarray(splits)


def encode_groups(values: pd.Series, origin: object) -> Array:
    """Return the group index of each row; a `DataError` names the first row without a group."""
    missing = np.flatnonzero(values.isna().to_numpy())
    if len(missing):
        raise DataError(
            f"{origin}: every row must have a group, but row {values.index[missing[0]] + 1} of column {values.name!r}"
            f" is empty ({len(missing)} such rows); fill it in"
        )
    return np.asarray(pd.factorize(values)[0])


def duplicated(frame: pd.DataFrame, names: Sequence[str], rows: Array, indices: SplitIndices) -> Array:
    """Return a mask (n,) of rows that repeat another one in the columns `names`; training rows come first.

    Args:
        rows: (n,) positions in the frame of the rows that `indices` refers to.
    """
    order = np.concatenate(
        [indices[name] for name in SPLITS]
    )  # of equal rows the first is kept: a training row, if any
    codes = frame.groupby(list(names), sort=False, dropna=False).ngroup().to_numpy()[rows]
    mask = np.zeros(len(rows), bool)
    mask[order] = pd.Series(codes[order]).duplicated()
    return mask


def drop_rows(
    indices: SplitIndices, mask: Array, keys: SplitKeys, rule: CheckRule, source: Path, remedy: str
) -> tuple[SplitIndices, tuple[CheckResult, ...]]:
    """Return the splits without the rows in `mask` (n,), and a note with their number.

    Raises:
        DataError: too few rows remain; suggests `remedy`.
    """
    remaining = {name: index[~mask[index]] for name, index in indices.items()}
    nonempty = {name: index for name, index in remaining.items() if len(indices[name])}
    counts = {name: len(indices[name]) - len(remaining[name]) for name in SPLITS}
    if not any(counts.values()):
        return indices, ()
    for name, index in nonempty.items():
        if not len(index):
            raise DataError(f"{source}: `{rule}: drop` drops all rows of the {name} split; {remedy}")
    require_enough_rows(keys, nonempty)
    per_split = ", ".join(f"{count} {name}" for name, count in counts.items())
    text = f"`{rule}: drop` drops {sum(counts.values())} rows: {per_split}"
    return remaining, (CheckResult(rule=rule, level="note", message=text),)


ColumnTypes = Mapping[str, tuple[ColumnType, Sequence[str]]]
"""Type of each column, and its ordered categories."""


def validate_columns(
    frame: pd.DataFrame, column_types: ColumnTypes, configs: Mapping[str, ColumnOptions], source: Path
) -> None:
    """Check `min`, `max` and `allowed_values` of columns; missing values are allowed.

    Raises:
        DataError: a cell violates them; names the first one and their number. Or a column that is not numeric has a
            `min` or `max`.
    """
    constrained = {name: c for name, c in configs.items() if c.min is not None or c.max is not None or c.allowed_values}
    if not constrained:
        return
    import pandera.pandas as pa  # takes a second to import
    from pandera.errors import SchemaErrors

    schema = {
        name: pa.Column(nullable=True, checks=_pandera_checks(name, *column_types[name], constrained[name]))
        for name in constrained
    }
    cells = pd.DataFrame({name: parse_cells(frame[name], *column_types[name])[0] for name in constrained})
    try:
        pa.DataFrameSchema(schema).validate(cells, lazy=True)
    except SchemaErrors as errors:
        first = errors.failure_cases.iloc[0]
        cell = frame[first["column"]].iloc[int(first["index"])]
        raise DataError(
            f"{source}: column {first['column']!r} must be {first['check']}, but row {first['index'] + 1} contains"
            f" {format_value(cell)} ({len(errors.failure_cases)} such cells); clean it, or fix `columns` in params.yaml"
        ) from None


def _pandera_checks(name: str, kind: ColumnType, categories: Sequence[str], config: ColumnOptions) -> list[Any]:
    import pandera.pandas as pa

    if kind != "numeric" and (config.min is not None or config.max is not None):
        raise DataError(
            f"column {name!r} must be numeric to have a `min` or `max`, but is {kind}; use `allowed_values`"
        )
    checks = [pa.Check.ge(config.min, error=f"at least {config.min:g}")] if config.min is not None else []
    checks += [pa.Check.le(config.max, error=f"at most {config.max:g}")] if config.max is not None else []
    if config.allowed_values:
        allowed, bad = parse_cells(pd.Series(config.allowed_values), kind, categories)
        if len(bad):
            raise DataError(
                f"column {name!r} is {kind}, but its `allowed_values` contain {config.allowed_values[bad[0]]!r}; fix"
                " `columns`"
            )
        checks.append(pa.Check.isin(list(allowed), error=f"one of {', '.join(config.allowed_values)}"))
    return checks
