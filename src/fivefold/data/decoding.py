"""Encoded rows of a table back to a frame as it stands in a source: words, units, whole numbers, dates.

Shapes: n rows, f features.

Rows of a table with their targets as columns like the others: what makes whole rows makes them too.

Shapes: n rows, f features, m targets that become features.
"""

import re

import numpy as np
import pandas as pd

from .columns.types import encode_column
from .dataset import Array, Dataset, Split
from .schema import Column, Schema
from .targets import TargetSpec, target_specs

OTHER_CATEGORY = "other"
"""Stands for all words that training rows have not, or too rarely."""

INTEGER = re.compile(r"0|-?[1-9]\d{0,17}")
"""A whole number as it is usually written."""


def round_to_schema(x: Array, schema: Schema) -> Array:
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
                out[:, place:end] = encode_column(_days_to_timestamps(values, column), column)
        place = end
    return out


def to_frame(x: Array, labels: Array, schema: Schema) -> pd.DataFrame:
    """Return rows x (n, f), as `settled` leaves them, as columns of a source: a missing category is empty.

    asked: classes, (n,), which become the column of the target; empty if none were asked for.
    """
    place, found = 0, {}
    for column in schema.columns:
        found[column.name] = _decode_column(x[:, place], column)
        place += len(column.features)
    return pd.DataFrame(found | ({schema.target: decode_categories(schema.classes, labels)} if len(labels) else {}))


def decode_categories(names: tuple[str, ...], codes: Array) -> pd.Series:
    """Return the names at codes (n,), empty where there is none: whole numbers if all names are."""
    words = pd.Series(np.array([*names, None], dtype=object)[np.minimum(codes, len(names))], dtype=object)
    whole = all(INTEGER.fullmatch(name) for name in names)
    return words.astype("Int64") if whole else words.astype("string")


def _decode_column(values: Array, column: Column) -> pd.Series:
    match column.type:
        case "categorical":
            codes, n = values.astype(np.int64), len(column.categories)
            names = column.categories if (codes != n).all() else (*column.categories, OTHER_CATEGORY)
            return decode_categories(names, np.where(codes > n, len(names), codes))
        case "ordinal":
            return decode_categories(column.categories, values.astype(np.int64))
        case "boolean":
            return pd.Series(values.astype(bool))
        case "date":
            return pd.Series(_days_to_timestamps(values, column))
    whole = column.decimals == 0 and bool((np.abs(values) < 2**53).all())
    return pd.Series(values.astype(np.int64) if whole else values)


def _days_to_timestamps(days: Array, column: Column) -> Array:
    """Return times of days since 1970."""
    days = days if column.decimals is None else np.round(days, column.decimals)
    return (days * 86_400_000).round().astype("timedelta64[ms]") + np.datetime64(0, "ms")


MAX_DECIMALS = 9
"""Digits behind the point up to which a column is looked at."""

DECIMALS_SAMPLE_ROWS = 10_000
"""Rows that say how many digits a column has."""


def join_targets(dataset: Dataset, *, exclude_primary: bool) -> Dataset:
    """Return a table's rows with their targets as last features; asked: but for the leading one, which is asked for."""
    schema = dataset.schema
    chosen = tuple(goal for goal in target_specs(schema)[int(exclude_primary) :] if goal.schema.target)
    features = (*schema.features, *(goal.schema.target for goal in chosen))
    sets = {name: _append_targets(records, chosen) for name, records in dataset.splits().items()}
    columns = _with_decimals((*schema.columns, *map(_column_of_target, chosen)), sets["train"].x)
    changed = {"features": features, "shape": (len(features),), "columns": columns}
    return Dataset(schema.model_copy(update=changed), **sets, checks=dataset.checks)


def match_schema(dataset: Dataset, schema: Schema) -> Dataset:
    """Return a dataset as a model of `schema` learnt it: whole, if the schema has targets among its features."""
    more = len(schema.features) - len(dataset.schema.features)
    return (
        join_targets(dataset, exclude_primary=more < len(target_specs(dataset.schema)))
        if schema.kind == "table" and more
        else dataset
    )


def _append_targets(split: Split, specs: tuple[TargetSpec, ...]) -> Split:
    targets = [split.y if goal.extra_index is None else _extra_target_column(split, goal.extra_index) for goal in specs]
    kept = {name: array for name, array in vars(split).items() if array is not None}
    return Split(**kept | {"x": np.column_stack([split.x, *targets])})


def _extra_target_column(split: Split, index: int) -> Array:
    assert split.extra_targets is not None
    return split.extra_targets[:, index]


def _column_of_target(spec: TargetSpec) -> Column:
    schema = spec.schema
    return Column(name=schema.target, type="categorical" if schema.classes else "numeric", categories=schema.classes)


def _with_decimals(columns: tuple[Column, ...], x: Array) -> tuple[Column, ...]:
    """Return columns with the digits that their numbers have in training rows x (n, f)."""
    found, place = [], 0
    for column in columns:
        if column.type in ("numeric", "date"):
            column = column.model_copy(update={"decimals": _count_decimals(x[:DECIMALS_SAMPLE_ROWS, place])})
        found.append(column)
        place += len(column.features)
    return tuple(found)


def _count_decimals(values: Array) -> int | None:
    """Return how many digits behind the point say all of a column's values (n,); None if `DECIMALS` do not suffice."""
    known = values[~np.isnan(values)]
    exact = (places for places in range(MAX_DECIMALS + 1) if np.array_equal(np.round(known, places), known))
    return next(exact, None)
