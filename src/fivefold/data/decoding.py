"""Decode encoded rows of a table back to a data frame, and append target columns to the features.

A generative model of whole rows is trained with the targets as features.

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
"""Category of all values that are missing from the training rows or too rare there."""

INTEGER = re.compile(r"0|-?[1-9]\d{0,17}")
"""An integer in its usual notation."""


def round_to_schema(x: Array, schema: Schema) -> Array:
    """Return generated rows x (n, f) rounded to the schema: booleans, integer ordinals, consistent date parts."""
    start, out = 0, x.copy()
    for column in schema.columns:
        end = start + len(column.features)
        values = x[:, start]
        match column.type:
            case "numeric" if column.decimals is not None:
                out[:, start] = np.round(values, column.decimals) + 0.0  # no -0.0
            case "boolean" | "ordinal":
                out[:, start] = np.clip(np.round(values), 0, max(len(column.categories) - 1, 1))
            case "date":
                out[:, start:end] = encode_column(_days_to_timestamps(values, column), column)
        start = end
    return out


def to_frame(x: Array, labels: Array, schema: Schema) -> pd.DataFrame:
    """Return rows x (n, f), as returned by `round_to_schema`, as a data frame; a missing category is an empty cell.

    Args:
        labels: class indices, (n,), of the target column; empty if x was not generated for given classes.
    """
    start, columns = 0, {}
    for column in schema.columns:
        columns[column.name] = _decode_column(x[:, start], column)
        start += len(column.features)
    return pd.DataFrame(columns | ({schema.target: decode_categories(schema.classes, labels)} if len(labels) else {}))


def decode_categories(names: tuple[str, ...], codes: Array) -> pd.Series:
    """Return the names at codes (n,), missing for larger codes; as integers if all names are integers."""
    words = pd.Series(np.array([*names, None], dtype=object)[np.minimum(codes, len(names))], dtype=object)
    all_integers = all(INTEGER.fullmatch(name) for name in names)
    return words.astype("Int64") if all_integers else words.astype("string")


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
    is_integer = column.decimals == 0 and bool((np.abs(values) < 2**53).all())
    return pd.Series(values.astype(np.int64) if is_integer else values)


def _days_to_timestamps(days: Array, column: Column) -> Array:
    """Return the timestamps of days since 1970."""
    days = days if column.decimals is None else np.round(days, column.decimals)
    return (days * 86_400_000).round().astype("timedelta64[ms]") + np.datetime64(0, "ms")


MAX_DECIMALS = 9
"""Largest number of decimal places that is tried for a column."""

DECIMALS_SAMPLE_ROWS = 10_000
"""Number of rows from which the decimal places of a column are inferred."""


def join_targets(dataset: Dataset, *, exclude_primary: bool) -> Dataset:
    """Return a table with its targets appended to the features.

    Args:
        exclude_primary: whether to leave out the primary target, which a conditional model is given as a condition.
    """
    schema = dataset.schema
    targets = tuple(spec for spec in target_specs(schema)[int(exclude_primary) :] if spec.schema.target)
    features = (*schema.features, *(spec.schema.target for spec in targets))
    splits = {name: _append_targets(split, targets) for name, split in dataset.splits().items()}
    columns = _with_decimals((*schema.columns, *map(_column_of_target, targets)), splits["train"].x)
    update = {"features": features, "shape": (len(features),), "columns": columns}
    return Dataset(schema.model_copy(update=update), **splits, checks=dataset.checks)


def match_schema(dataset: Dataset, schema: Schema) -> Dataset:
    """Return a dataset in the form of a trained model's schema: with its targets as features if the schema has them."""
    n_targets = len(schema.features) - len(dataset.schema.features)
    return (
        join_targets(dataset, exclude_primary=n_targets < len(target_specs(dataset.schema)))
        if schema.kind == "table" and n_targets
        else dataset
    )


def _append_targets(split: Split, specs: tuple[TargetSpec, ...]) -> Split:
    targets = [split.y if spec.extra_index is None else _extra_target_column(split, spec.extra_index) for spec in specs]
    arrays = {name: array for name, array in vars(split).items() if array is not None}
    return Split(**arrays | {"x": np.column_stack([split.x, *targets])})


def _extra_target_column(split: Split, index: int) -> Array:
    assert split.extra_targets is not None
    return split.extra_targets[:, index]


def _column_of_target(spec: TargetSpec) -> Column:
    schema = spec.schema
    return Column(name=schema.target, type="categorical" if schema.classes else "numeric", categories=schema.classes)


def _with_decimals(columns: tuple[Column, ...], x: Array) -> tuple[Column, ...]:
    """Return the columns with the decimal places that their values have in training rows x (n, f)."""
    result, start = [], 0
    for column in columns:
        if column.type in ("numeric", "date"):
            column = column.model_copy(update={"decimals": _count_decimals(x[:DECIMALS_SAMPLE_ROWS, start])})
        result.append(column)
        start += len(column.features)
    return tuple(result)


def _count_decimals(values: Array) -> int | None:
    """Return the decimal places of a column's values (n,); None if there are more than `MAX_DECIMALS`."""
    known = values[~np.isnan(values)]
    exact = (decimals for decimals in range(MAX_DECIMALS + 1) if np.array_equal(np.round(known, decimals), known))
    return next(exact, None)
