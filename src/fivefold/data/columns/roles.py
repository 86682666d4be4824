"""Columns that say of a row where it belongs, and are no features.

Rows that are left out of the set that they were drawn into, and what is said of it.

What a person says that a column may hold, checked by pandera.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config.base import Rule
from ...config.datasets import Column
from ...errors import DataError, shown
from ..dataset import SPLITS, Array, Keys, Parts
from ..schema import ColumnType, Finding
from ..splitting import suffice
from .types import parse

PARTS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
}


def given_parts(values: pd.Series, origin: object) -> Array:
    """Return train, validation or test for each row, as the source says it.

    Raises:
        DataError: a row says something else, or there is no training or test row.
    """
    codes, words = pd.factorize(values, use_na_sentinel=False)
    known = pd.Series([PARTS.get(str(word).strip().lower()) for word in words], dtype=object)
    parts = known.take(codes).reset_index(drop=True)
    if parts.isna().any():
        row = int(np.flatnonzero(parts.isna().to_numpy())[0])
        raise DataError(
            f"{origin}: column {values.name!r} must say train, validation or test, but row {values.index[row] + 1} says"
            f" {shown(values.iloc[row])}; mend it, or split another way"
        )
    for part in ("train", "test"):
        if part not in set(parts):
            raise DataError(
                f"{origin}: column {values.name!r} must name {part} rows, but names none; split another way"
            )
    return np.asarray(parts)


def groups_of(values: pd.Series, origin: object) -> Array:
    """Return a number for each row, the same for rows of one group; a `DataError` names the first without one."""
    gaps = np.flatnonzero(values.isna().to_numpy())
    if len(gaps):
        raise DataError(
            f"{origin}: every row must have a group, but row {values.index[gaps[0]] + 1} of column {values.name!r} is"
            f" empty ({len(gaps)} such rows); fill it in"
        )
    return np.asarray(pd.factorize(values)[0])


def repeats(frame: pd.DataFrame, names: Sequence[str], rows: Array, parts: Parts) -> Array:
    """Return (n,) which rows repeat another in the columns `names`: no training row does for a held-out one.

    rows: (n,) positions in the frame of the rows that `parts` speaks of.
    """
    order = np.concatenate([parts[name] for name in SPLITS])  # of equal rows the first stays: a training row, if any
    codes = frame.groupby(list(names), sort=False, dropna=False).ngroup().to_numpy()[rows]
    found = np.zeros(len(rows), bool)
    found[order] = pd.Series(codes[order]).duplicated()
    return found


def leave_out(
    parts: Parts, out: Array, keys: Keys, rule: Rule, source: Path, remedy: str
) -> tuple[Parts, tuple[Finding, ...]]:
    """Return the sets without the rows of which `out` (n,) says so, and how many those are.

    Raises:
        DataError: too few rows are left; says `remedy`.
    """
    left = {name: index[~out[index]] for name, index in parts.items()}
    drawn = {name: index for name, index in left.items() if len(parts[name])}
    counts = {name: len(parts[name]) - len(left[name]) for name in SPLITS}
    if not any(counts.values()):
        return parts, ()
    for name, index in drawn.items():
        if not len(index):
            raise DataError(f"{source}: `{rule}: drop` leaves no row of the {name} set; {remedy}")
    suffice(keys, drawn)
    each = ", ".join(f"{count} {name}" for name, count in counts.items())
    text = f"`{rule}: drop` leaves out {sum(counts.values())} rows: {each}"
    return left, (Finding(rule=rule, level="note", text=text),)


Kinds = Mapping[str, tuple[ColumnType, Sequence[str]]]
"""Type of each column, and the order of its values."""


def validate(frame: pd.DataFrame, kinds: Kinds, said: Mapping[str, Column], source: Path) -> None:
    """Check `min`, `max` and `values` of columns; a gap is allowed.

    Raises:
        DataError: a cell breaks them; names the first, and how many there are. Or a column of words has a `min`.
    """
    bound = {name: c for name, c in said.items() if c.min is not None or c.max is not None or c.values}
    if not bound:
        return
    import pandera.pandas as pa  # a second, paid only where there is something to check
    from pandera.errors import SchemaErrors

    schema = {name: pa.Column(nullable=True, checks=_checks(name, *kinds[name], bound[name])) for name in bound}
    cells = pd.DataFrame({name: parse(frame[name], *kinds[name])[0] for name in bound})
    try:
        pa.DataFrameSchema(schema).validate(cells, lazy=True)
    except SchemaErrors as errors:
        first = errors.failure_cases.iloc[0]
        cell = frame[first["column"]].iloc[int(first["index"])]
        raise DataError(
            f"{source}: column {first['column']!r} must be {first['check']}, but row {first['index'] + 1} holds"
            f" {shown(cell)} ({len(errors.failure_cases)} such cells); clean it, or mend `columns` in params.yaml"
        ) from None


def _checks(name: str, kind: ColumnType, order: Sequence[str], c: Column) -> list[Any]:
    import pandera.pandas as pa

    if kind != "numeric" and (c.min is not None or c.max is not None):
        raise DataError(f"column {name!r} must be numeric to have a `min` or `max`, but is {kind}; use `values`")
    checks = [pa.Check.ge(c.min, error=f"at least {c.min:g}")] if c.min is not None else []
    checks += [pa.Check.le(c.max, error=f"at most {c.max:g}")] if c.max is not None else []
    if c.values:
        allowed, bad = parse(pd.Series(c.values), kind, order)
        if len(bad):
            raise DataError(f"column {name!r} is {kind}, but `values` holds {c.values[bad[0]]!r}; mend `columns`")
        checks.append(pa.Check.isin(list(allowed), error=f"one of {', '.join(c.values)}"))
    return checks
