"""Imputation, clipping, normalization and the encoding of categories, fitted on training rows.

Shapes: n rows, f columns.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from ..config.datasets import DatasetConfig, Images, MissingValues, Sequences, Series, Table
from ..data.dataset import Array
from ..data.schema import Schema
from .pipeline import Pipeline, Step

BLOCK_COLUMNS = 8
"""Columns that are scaled at once."""


def fit_scaling(x: Array, schema: Schema, params: DatasetConfig) -> Pipeline:
    """Return the chain that a dataset block asks for, fitted on training records x (n, ...) in raw units."""
    match params:
        case Table():
            return _fit_table(x, schema, params)
        case Images():
            return Pipeline("float32", ()).with_steps(*_image_steps(x, params.normalize))
        case Sequences() | Series():
            logs, steps = _log_steps(schema, params), x.reshape(-1, x.shape[-1])
            for step in logs:
                steps = step(steps)
            scaled = _affine_step(*_fit_columns(steps[~np.isnan(steps).all(axis=1)], [params.normalize] * x.shape[-1]))
            if isinstance(params, Series):
                chain = Pipeline("float64", ()).with_steps(
                    _forward_fill_step(x.mean(axis=(0, 1)), fill_past_end=True), *logs, scaled
                )
                return chain.with_steps(feature_names=schema.features)
            # what is missing in all of a sequence is left to the mask, and steps behind its end stay missing
            chain = Pipeline("float64", ()).with_steps(
                _forward_fill_step(np.full(x.shape[-1], np.nan), fill_past_end=False), scaled
            )
            return chain.with_steps(Step("mask", {}), feature_names=(*schema.features, "is_step"))
        case _:
            return Pipeline("int32", ())  # tokens are numbers already


def _forward_fill_step(fill: Array, *, fill_past_end: bool) -> Step:
    """Return the step that fills in gaps; rows were read without, but an exported model is given what there is."""
    return Step("carry", {"fill": fill, "whole": np.array([fill_past_end], np.int64)})


def _log_steps(schema: Schema, params: Sequences | Series) -> tuple[Step, ...]:
    """Return the step that takes logarithms of a series' targets, its first columns, if it asks for them."""
    if not (isinstance(params, Series) and params.log_target):
        return ()
    which = np.arange(len(schema.features)) < len(params.targets)
    return (Step("log", {"which": which.astype(np.float64)}),)


def _fit_table(x: Array, schema: Schema, params: Table) -> Pipeline:
    """Gaps, outliers, scale, categories, in this order; a gap is filled also where training rows have none."""
    types = [column.type for column in schema.columns for _ in column.features]
    names = list(schema.features)
    own = params.missing.categorical == "missing_category"
    gaps = np.isnan(x).any(axis=0) & ~np.array([own and kind == "categorical" for kind in types])
    chain = Pipeline("float64", ())
    if params.missing.add_indicator and gaps.any():
        index = np.flatnonzero(gaps)
        chain = chain.with_steps(Step("indicate", {"index": index}))
        x = np.concatenate([x, np.isnan(x[:, index])], axis=1)
        names += [f"{names[i]} missing" for i in index]
        types += ["boolean"] * len(index)
    fill = _fill_values(x, schema, types, params.missing)
    chain = chain.with_steps(Step("impute", {"fill": fill}))
    x = _fill_missing(x, fill)
    numeric = np.array([kind in ("numeric", "date", "ordinal") for kind in types])
    if params.clip:
        low, high = _clip_limits(x, numeric, params.clip)
        chain = chain.with_steps(Step("clip", {"low": low, "high": high}))
        x = np.clip(x, low, high)
    if params.normalize != "l2":
        chain = chain.with_steps(_affine_step(*_fit_columns(x, _column_methods(schema, types, params))))
    hot, names = _one_hot_steps(x, schema, types, names)
    chain = chain.with_steps(*hot, feature_names=names)
    return chain.with_steps(Step("unit_norm", {})) if params.normalize == "l2" else chain


def _column_methods(schema: Schema, types: Sequence[str], params: Table) -> list[str]:
    """Return how each column is scaled: as its own entry says, else as the dataset's; words and flags are not."""
    said = {name: column.normalize for name, column in params.columns.items()}
    own = [said.get(column.name) for column in schema.columns for _ in column.features]
    own += [None] * (len(types) - len(own))
    usual = {"categorical": "none", "boolean": "none"}
    pairs = zip(own, types, strict=True)  # the code of a category is no number to be scaled
    return [m if m and kind != "categorical" else usual.get(kind, params.normalize) for m, kind in pairs]


def _fill_values(x: Array, schema: Schema, types: Sequence[str], missing: MissingValues) -> Array:
    """Return what stands in for a gap in each column."""
    strategy = "median" if missing.numeric == "drop" else missing.numeric
    own = {"categorical": "most_frequent", "boolean": "most_frequent"}
    if strategy == "constant":  # of measures; a rank or a day it is not
        own |= {"ordinal": "median", "date": "median"}
    usual = [own.get(kind, strategy) for kind in types]
    fill = np.array([_fill_value(column, how, missing.fill_value) for column, how in zip(x.T, usual, strict=True)])
    if missing.categorical == "missing_category":
        place = 0
        for column in schema.columns:
            if column.type == "categorical":
                fill[place] = len(column.categories) + 1  # behind the known ones, and behind the unknown
            place += len(column.features)
    return fill


def _fill_missing(x: Array, fill: Array) -> Array:
    """Return x (n, f) with `fill` (f,) in its gaps: x itself if it has none, since it is large."""
    gaps = np.isnan(x)
    return np.where(gaps, fill, x) if gaps.any() else x


def _fill_value(column: Array, strategy: str, constant: float) -> float:
    """Return what stands in for a gap in a column (n,), 0 where nothing is known.

    The whole table at once, as scikit-learn's `SimpleImputer` takes it, costs several times its memory.
    """
    known = column[~np.isnan(column)]
    match strategy:
        case "constant":
            return constant
        case _ if not len(known):
            return 0.0
        case "most_frequent":
            values, counts = np.unique(known, return_counts=True)
            return float(values[counts.argmax()])  # the smallest of several
    return float(np.median(known) if strategy == "median" else known.mean())


def _clip_limits(x: Array, numeric: Array, iqr_factor: float) -> tuple[Array, Array]:
    """Return how far values may lie: so many quartile ranges beyond the quartiles; a column without range is free."""
    lower, upper = np.array([np.quantile(column, [0.25, 0.75]) for column in x.T]).T
    spread = upper - lower
    free = ~numeric | (spread == 0)
    return np.where(free, -np.inf, lower - iqr_factor * spread), np.where(free, np.inf, upper + iqr_factor * spread)


def _fit_columns(x: Array, methods: Sequence[str]) -> tuple[Array, Array]:
    """Return shift and scale of each column of x (n, f); missing values are passed over."""
    shift, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    unknown = np.isnan(x).all(axis=0)
    if unknown.any():
        x = np.where(unknown, 0.0, x)  # a column without any value stays as it is
    for method, chosen in _column_blocks(methods):
        part = x[:, chosen]
        match method:
            case "standard":
                standard = StandardScaler().fit(part)
                shift[chosen], scale[chosen] = standard.mean_, 1 / standard.scale_
            case "minmax":
                minmax = MinMaxScaler().fit(part)
                shift[chosen], scale[chosen] = minmax.data_min_, minmax.scale_
            case _:
                robust = RobustScaler().fit(part)
                shift[chosen], scale[chosen] = robust.center_, 1 / robust.scale_
    return shift, scale


def _column_blocks(methods: Sequence[str]) -> Iterator[tuple[str, Array]]:
    """Yield each method with a few of its columns: scikit-learn copies what it is given, and more than once."""
    for method in sorted(set(methods) - {"none"}):
        chosen = np.flatnonzero(np.array(methods) == method)
        for block in np.array_split(chosen, -(-len(chosen) // BLOCK_COLUMNS)):
            yield method, block


def _one_hot_steps(
    x: Array, schema: Schema, types: Sequence[str], names: Sequence[str]
) -> tuple[tuple[Step, ...], list[str]]:
    """Return the step that gives each category that training rows hold a column of its own, and the features' names."""
    if "categorical" not in types:
        return (), list(names)
    keep = [i for i, kind in enumerate(types) if kind != "categorical"]
    column, code, hot = [], [], []
    place = 0
    for known in schema.columns:
        if known.type == "categorical":
            labels = (*known.categories, "other", "missing")
            for value in np.unique(x[:, place]).astype(np.int64):
                column.append(place)
                code.append(float(value))
                hot.append(f"{known.name}={labels[value]}")
        place += len(known.features)
    step = Step("one_hot", {"keep": np.array(keep, np.int64), "column": np.array(column), "code": np.array(code)})
    return (step,), [*(names[i] for i in keep), *hot]


def _image_steps(x: Array, normalize: str) -> tuple[Step, ...]:
    over = (0, 2, 3)
    match normalize:
        case "standard":
            shift, width = x.mean(axis=over, dtype=np.float64), x.std(axis=over, dtype=np.float64)
        case "minmax":
            shift = x.min(axis=over).astype(np.float64)
            width = x.max(axis=over) - shift
        case _:
            return ()
    scale = 1 / np.where(width == 0, 1.0, width)
    return (_affine_step(shift[:, None, None], scale[:, None, None]),)


def _affine_step(shift: Array, scale: Array) -> Step:
    return Step("affine", {"shift": shift, "scale": scale})
