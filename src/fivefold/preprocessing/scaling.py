"""Imputation, clipping, normalization and one-hot encoding, fitted on training rows.

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
"""Columns per call of a scikit-learn scaler, which copies its input."""


def fit_scaling(x: Array, schema: Schema, params: DatasetConfig) -> Pipeline:
    """Return the preprocessing of a dataset block, fitted on training samples x (n, ...) in raw units."""
    match params:
        case Table():
            return _fit_table(x, schema, params)
        case Images():
            return Pipeline("float32", ()).with_steps(*_image_steps(x, params.normalize))
        case Sequences() | Series():
            log_steps, values = _log_steps(schema, params), x.reshape(-1, x.shape[-1])
            for step in log_steps:
                values = step(values)
            affine = _affine_step(
                *_fit_columns(values[~np.isnan(values).all(axis=1)], [params.normalize] * x.shape[-1])
            )
            if isinstance(params, Series):
                pipeline = Pipeline("float64", ()).with_steps(
                    _forward_fill_step(x.mean(axis=(0, 1)), fill_past_end=True), *log_steps, affine
                )
                return pipeline.with_steps(feature_names=schema.features)
            # a value missing in a whole sequence is left to the mask; steps past the end of a sequence stay missing
            pipeline = Pipeline("float64", ()).with_steps(
                _forward_fill_step(np.full(x.shape[-1], np.nan), fill_past_end=False), affine
            )
            return pipeline.with_steps(Step("mask", {}), feature_names=(*schema.features, "is_step"))
        case _:
            return Pipeline("int32", ())  # tokens are already encoded


def _forward_fill_step(fill: Array, *, fill_past_end: bool) -> Step:
    """Return the step that fills missing values: readers fill them, but inputs of an exported model may have some."""
    return Step("forward_fill", {"fill": fill, "fill_past_end": np.array([fill_past_end], np.int64)})


def _log_steps(schema: Schema, params: Sequences | Series) -> tuple[Step, ...]:
    """Return the log step for the targets of a series, which are its first columns, if `log_target` is set."""
    if not (isinstance(params, Series) and params.log_target):
        return ()
    is_log = np.arange(len(schema.features)) < len(params.targets)
    return (Step("log", {"log_columns": is_log.astype(np.float64)}),)


def _fit_table(x: Array, schema: Schema, params: Table) -> Pipeline:
    """Fit imputation (of all columns, also without missing values), clipping, scaling and one-hot encoding."""
    types = [column.type for column in schema.columns for _ in column.features]
    names = list(schema.features)
    missing_is_category = params.missing.categorical == "missing_category"
    has_missing = np.isnan(x).any(axis=0) & ~np.array([missing_is_category and kind == "categorical" for kind in types])
    pipeline = Pipeline("float64", ())
    if params.missing.add_indicator and has_missing.any():
        index = np.flatnonzero(has_missing)
        pipeline = pipeline.with_steps(Step("missing_indicator", {"index": index}))
        x = np.concatenate([x, np.isnan(x[:, index])], axis=1)
        names += [f"{names[i]} missing" for i in index]
        types += ["boolean"] * len(index)
    fill = _fill_values(x, schema, types, params.missing)
    pipeline = pipeline.with_steps(Step("impute", {"fill": fill}))
    x = _fill_missing(x, fill)
    numeric = np.array([kind in ("numeric", "date", "ordinal") for kind in types])
    if params.clip:
        low, high = _clip_limits(x, numeric, params.clip)
        pipeline = pipeline.with_steps(Step("clip", {"low": low, "high": high}))
        x = np.clip(x, low, high)
    if params.normalize != "l2":
        pipeline = pipeline.with_steps(_affine_step(*_fit_columns(x, _column_methods(schema, types, params))))
    one_hot, names = _one_hot_steps(x, schema, types, names)
    pipeline = pipeline.with_steps(*one_hot, feature_names=names)
    return pipeline.with_steps(Step("unit_norm", {})) if params.normalize == "l2" else pipeline


def _column_methods(schema: Schema, types: Sequence[str], params: Table) -> list[str]:
    """Return the scaling method of each column: its own, else the dataset's; categories and booleans are not scaled."""
    configured = {name: column.normalize for name, column in params.columns.items()}
    methods = [configured.get(column.name) for column in schema.columns for _ in column.features]
    methods += [None] * (len(types) - len(methods))
    default = {"categorical": "none", "boolean": "none"}
    pairs = zip(methods, types, strict=True)  # the code of a category is not a quantity, so it is never scaled
    return [m if m and kind != "categorical" else default.get(kind, params.normalize) for m, kind in pairs]


def _fill_values(x: Array, schema: Schema, types: Sequence[str], missing: MissingValues) -> Array:
    """Return the imputed value of each column."""
    strategy = "median" if missing.numeric == "drop" else missing.numeric
    by_type = {"categorical": "most_frequent", "boolean": "most_frequent"}
    if strategy == "constant":  # the constant is meant for measurements, not for ranks or dates
        by_type |= {"ordinal": "median", "date": "median"}
    strategies = [by_type.get(kind, strategy) for kind in types]
    fill = np.array([_fill_value(column, s, missing.fill_value) for column, s in zip(x.T, strategies, strict=True)])
    if missing.categorical == "missing_category":
        index = 0
        for column in schema.columns:
            if column.type == "categorical":
                fill[index] = len(column.categories) + 1  # after the known categories and `other`
            index += len(column.features)
    return fill


def _fill_missing(x: Array, fill: Array) -> Array:
    """Return x (n, f) with missing values replaced by `fill` (f,); x itself, not a copy, if none is missing."""
    missing = np.isnan(x)
    return np.where(missing, fill, x) if missing.any() else x


def _fill_value(column: Array, strategy: str, constant: float) -> float:
    """Return the imputed value of a column (n,); 0 if it has no values.

    One column at a time, because scikit-learn's `SimpleImputer` needs several times the memory of the table.
    """
    known = column[~np.isnan(column)]
    match strategy:
        case "constant":
            return constant
        case _ if not len(known):
            return 0.0
        case "most_frequent":
            values, counts = np.unique(known, return_counts=True)
            return float(values[counts.argmax()])  # the smallest in case of a tie
    return float(np.median(known) if strategy == "median" else known.mean())


def _clip_limits(x: Array, numeric: Array, iqr_factor: float) -> tuple[Array, Array]:
    """Return lower and upper limits, `iqr_factor` times the IQR beyond the quartiles; no limits if the IQR is 0."""
    lower, upper = np.array([np.quantile(column, [0.25, 0.75]) for column in x.T]).T
    iqr = upper - lower
    unlimited = ~numeric | (iqr == 0)
    return np.where(unlimited, -np.inf, lower - iqr_factor * iqr), np.where(unlimited, np.inf, upper + iqr_factor * iqr)


def _fit_columns(x: Array, methods: Sequence[str]) -> tuple[Array, Array]:
    """Return shift and scale of each column of x (n, f), ignoring missing values."""
    shift, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    empty = np.isnan(x).all(axis=0)
    if empty.any():
        x = np.where(empty, 0.0, x)  # a column without any value is not scaled
    for method, indices in _column_blocks(methods):
        block = x[:, indices]
        match method:
            case "standard":
                standard = StandardScaler().fit(block)
                shift[indices], scale[indices] = standard.mean_, 1 / standard.scale_
            case "minmax":
                minmax = MinMaxScaler().fit(block)
                shift[indices], scale[indices] = minmax.data_min_, minmax.scale_
            case _:
                robust = RobustScaler().fit(block)
                shift[indices], scale[indices] = robust.center_, 1 / robust.scale_
    return shift, scale


def _column_blocks(methods: Sequence[str]) -> Iterator[tuple[str, Array]]:
    """Yield each method with a few of its columns at a time, because scikit-learn copies its input several times."""
    for method in sorted(set(methods) - {"none"}):
        indices = np.flatnonzero(np.array(methods) == method)
        for block in np.array_split(indices, -(-len(indices) // BLOCK_COLUMNS)):
            yield method, block


def _one_hot_steps(
    x: Array, schema: Schema, types: Sequence[str], names: Sequence[str]
) -> tuple[tuple[Step, ...], list[str]]:
    """Return the one-hot step for the categories that occur in the training rows, and the names of all features."""
    if "categorical" not in types:
        return (), list(names)
    keep = [i for i, kind in enumerate(types) if kind != "categorical"]
    column, code, one_hot_names = [], [], []
    index = 0
    for spec in schema.columns:
        if spec.type == "categorical":
            labels = (*spec.categories, "other", "missing")
            for value in np.unique(x[:, index]).astype(np.int64):
                column.append(index)
                code.append(float(value))
                one_hot_names.append(f"{spec.name}={labels[value]}")
        index += len(spec.features)
    step = Step("one_hot", {"keep": np.array(keep, np.int64), "column": np.array(column), "code": np.array(code)})
    return (step,), [*(names[i] for i in keep), *one_hot_names]


def _image_steps(x: Array, normalize: str) -> tuple[Step, ...]:
    axes = (0, 2, 3)
    match normalize:
        case "standard":
            shift, spread = x.mean(axis=axes, dtype=np.float64), x.std(axis=axes, dtype=np.float64)
        case "minmax":
            shift = x.min(axis=axes).astype(np.float64)
            spread = x.max(axis=axes) - shift
        case _:
            return ()
    scale = 1 / np.where(spread == 0, 1.0, spread)
    return (_affine_step(shift[:, None, None], scale[:, None, None]),)


def _affine_step(shift: Array, scale: Array) -> Step:
    return Step("affine", {"shift": shift, "scale": scale})
