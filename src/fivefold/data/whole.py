"""Rows of a table with their targets as columns like the others: what makes whole rows makes them too.

Shapes: n rows, f features, m targets that become features.
"""

import numpy as np

from .goals import Goal, goals
from .records import Array, Dataset, Records
from .schema import Column, Schema

DECIMALS = 9
"""Digits behind the point up to which a column is looked at."""

LOOKED_AT = 10_000
"""Rows that say how many digits a column has."""


def whole(dataset: Dataset, *, asked: bool) -> Dataset:
    """Return a table's rows with their targets as last features; asked: but for the leading one, which is asked for."""
    schema = dataset.schema
    chosen = tuple(goal for goal in goals(schema)[int(asked) :] if goal.schema.target)
    features = (*schema.features, *(goal.schema.target for goal in chosen))
    sets = {name: _joined(records, chosen) for name, records in dataset.splits().items()}
    columns = _exact((*schema.columns, *map(_column, chosen)), sets["train"].x)
    changed = {"features": features, "shape": (len(features),), "columns": columns}
    return Dataset(schema.model_copy(update=changed), **sets, findings=dataset.findings)


def fitting(dataset: Dataset, schema: Schema) -> Dataset:
    """Return a dataset as a model of `schema` learnt it: whole, if the schema has targets among its features."""
    more = len(schema.features) - len(dataset.schema.features)
    return whole(dataset, asked=more < len(goals(dataset.schema))) if schema.kind == "table" and more else dataset


def _joined(records: Records, chosen: tuple[Goal, ...]) -> Records:
    targets = [records.y if goal.place is None else _also(records, goal.place) for goal in chosen]
    kept = {name: array for name, array in vars(records).items() if array is not None}
    return Records(**kept | {"x": np.column_stack([records.x, *targets])})


def _also(records: Records, place: int) -> Array:
    assert records.also is not None
    return records.also[:, place]


def _column(goal: Goal) -> Column:
    schema = goal.schema
    return Column(name=schema.target, type="categorical" if schema.classes else "numeric", categories=schema.classes)


def _exact(columns: tuple[Column, ...], x: Array) -> tuple[Column, ...]:
    """Return columns with the digits that their numbers have in training rows x (n, f)."""
    found, place = [], 0
    for column in columns:
        if column.type in ("numeric", "date"):
            column = column.model_copy(update={"decimals": _decimals(x[:LOOKED_AT, place])})
        found.append(column)
        place += len(column.features)
    return tuple(found)


def _decimals(values: Array) -> int | None:
    """Return how many digits behind the point say all of a column's values (n,); None if `DECIMALS` do not suffice."""
    known = values[~np.isnan(values)]
    exact = (places for places in range(DECIMALS + 1) if np.array_equal(np.round(known, places), known))
    return next(exact, None)
