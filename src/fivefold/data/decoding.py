"""Encoded rows of a table back to a frame as it stands in a source: words, units, whole numbers, dates.

Shapes: n rows, f features.

Rows of a table with their targets as columns like the others: what makes whole rows makes them too.

Shapes: n rows, f features, m targets that become features.
"""

import re

import numpy as np
import pandas as pd

from .columns.types import encode
from .dataset import Array, Dataset, Records
from .schema import Column, Schema
from .targets import Goal, goals

OTHER = "other"
"""Stands for all words that training rows have not, or too rarely."""

NUMBER = re.compile(r"0|-?[1-9]\d{0,17}")
"""A whole number as it is usually written."""


def settled(x: Array, schema: Schema) -> Array:
    """Return made rows x (n, f) as they are written: rounded, flags 0 or 1, ranks whole, a date's parts its own."""
    place, out = 0, x.copy()
    for column in schema.columns:
        end = place + len(column.features)
        values = x[:, place]
        match column.type:
            case "numeric" if column.decimals is not None:
                out[:, place] = np.round(values, column.decimals) + 0.0  # no -0.0
            case "boolean" | "ordinal":
                out[:, place] = np.clip(np.round(values), 0, max(len(column.categories) - 1, 1))
            case "date":
                out[:, place:end] = encode(_times(values, column), column)
        place = end
    return out


def written(x: Array, asked: Array, schema: Schema) -> pd.DataFrame:
    """Return rows x (n, f), as `settled` leaves them, as columns of a source: a missing category is empty.

    asked: classes, (n,), which become the column of the target; empty if none were asked for.
    """
    place, found = 0, {}
    for column in schema.columns:
        found[column.name] = _cells(x[:, place], column)
        place += len(column.features)
    return pd.DataFrame(found | ({schema.target: spelt(schema.classes, asked)} if len(asked) else {}))


def spelt(names: tuple[str, ...], codes: Array) -> pd.Series:
    """Return the names at codes (n,), empty where there is none: whole numbers if all names are."""
    words = pd.Series(np.array([*names, None], dtype=object)[np.minimum(codes, len(names))], dtype=object)
    whole = all(NUMBER.fullmatch(name) for name in names)
    return words.astype("Int64") if whole else words.astype("string")


def _cells(values: Array, column: Column) -> pd.Series:
    match column.type:
        case "categorical":
            codes, n = values.astype(np.int64), len(column.categories)
            names = column.categories if (codes != n).all() else (*column.categories, OTHER)
            return spelt(names, np.where(codes > n, len(names), codes))
        case "ordinal":
            return spelt(column.categories, values.astype(np.int64))
        case "boolean":
            return pd.Series(values.astype(bool))
        case "date":
            return pd.Series(_times(values, column))
    whole = column.decimals == 0 and bool((np.abs(values) < 2**53).all())
    return pd.Series(values.astype(np.int64) if whole else values)


def _times(days: Array, column: Column) -> Array:
    """Return times of days since 1970."""
    days = days if column.decimals is None else np.round(days, column.decimals)
    return (days * 86_400_000).round().astype("timedelta64[ms]") + np.datetime64(0, "ms")


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
