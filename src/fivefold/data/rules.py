"""What a person says that a column may hold, checked by pandera."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..config.datasets import Column
from ..errors import DataError, shown
from .columns import parse
from .schema import ColumnType

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
