"""What a person says that a column may hold, checked by pandera."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import DataError, shown
from ..params.datasets import Column


def validate(cells: Mapping[str, Any], said: Mapping[str, Column], source: Path) -> None:
    """Check `min`, `max` and `values` of columns; `cells` are parsed.

    Raises:
        DataError: a cell breaks them; names the first, and how many there are.
    """
    bound = {name: c for name, c in said.items() if c.min is not None or c.max is not None or c.values}
    if not bound:
        return
    import pandera.pandas as pa  # a second, paid only where there is something to check
    from pandera.errors import SchemaErrors

    def checks(c: Column) -> list[Any]:
        limits = [pa.Check.ge(c.min)] if c.min is not None else []
        limits += [pa.Check.le(c.max)] if c.max is not None else []
        return [*limits, pa.Check.isin(c.values)] if c.values else limits

    schema = pa.DataFrameSchema({name: pa.Column(nullable=True, checks=checks(c)) for name, c in bound.items()})
    try:
        schema.validate(pd.DataFrame({name: cells[name] for name in bound}), lazy=True)
    except SchemaErrors as errors:
        first = errors.failure_cases.iloc[0]
        raise DataError(
            f"{source}: column {first['column']!r} must be {first['check'].replace('_', ' ')}, but row"
            f" {first['index'] + 1} holds {shown(first['failure_case'])} ({len(errors.failure_cases)} such cells);"
            " clean it, or mend `columns` in params.yaml"
        ) from None
