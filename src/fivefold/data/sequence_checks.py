"""What is worth knowing of sequences and series, whose records are steps.

Shapes: n records, t steps of each, f values a step, k values that are told.
"""

from collections.abc import Iterator

import numpy as np

from .dataset import Array, Dataset, Split
from .schema import CheckResult

OUTLIER_IQR_FACTOR = 10.0
"""Quartile ranges beyond the quartiles from which a value is an outlier."""

LEAK_CORRELATION = 1 - 1e-6
"""Correlation from which one column is taken for another in disguise."""


def check_constant_steps(dataset: Dataset) -> Iterator[CheckResult]:
    """Tell of columns that have one value in all training steps."""
    for name, values in _iter_columns(dataset):
        if len(values) and (values == values[0]).all():
            text = f"{name} never changes in training steps, and so tells nothing"
            yield CheckResult(rule="constant", level="warning", message=text, column=name)


def check_step_outliers(dataset: Dataset) -> Iterator[CheckResult]:
    """Tell of columns with values far beyond the quartiles of training steps."""
    for name, values in _iter_columns(dataset):
        lower, upper = np.quantile(values, [0.25, 0.75]) if len(values) else (0.0, 0.0)
        reach = OUTLIER_IQR_FACTOR * (upper - lower)
        count = ((values < lower - reach) | (values > upper + reach)).sum()
        if reach and count:
            text = f"{count} of {len(values)} values of {name} lie over {OUTLIER_IQR_FACTOR:.0f} quartile ranges out; mend mistakes"
            yield CheckResult(rule="outliers", level="note", message=text, column=name)


def check_exogenous_leakage(dataset: Dataset) -> Iterator[CheckResult]:
    """Tell of columns beside the targets of a series that are a target, of the same step or of one to be told."""
    schema, last = dataset.schema, dataset.train.x[:, -1]
    k = len(schema.values) // schema.horizon
    told = np.concatenate([last[:, :k], dataset.train.y], axis=1)
    for name, values in zip(schema.features[k:], last[:, k:].T, strict=True):
        found = np.flatnonzero([_is_correlated(values, target) for target in told.T])
        if len(found):
            ahead, target = divmod(int(found[0]), k)
            steps = f", {ahead} step{'s' * (ahead > 1)} ahead" if ahead else ""
            text = f"{name} is {schema.features[target]}{steps}: is it known beforehand? if not, take it out"
            yield CheckResult(rule="leakage", level="warning", message=f"{text} of `exogenous`", column=name)


def constant_within_sequences(split: Split) -> Array:
    """Return which columns (f,) do not change within any sequence."""
    x, first = split.x, split.x[:, :1]
    return np.asarray(((x == first) | np.isnan(x)).all(axis=(0, 1)))


def _is_correlated(a: Array, b: Array) -> bool:
    return bool(np.ptp(a) and np.ptp(b) and abs(np.corrcoef(a, b)[0, 1]) >= LEAK_CORRELATION)


def _iter_columns(dataset: Dataset) -> Iterator[tuple[str, Array]]:
    """Yield each column with its values in training steps; those of a series stand in several windows."""
    x = dataset.train.x
    for i, name in enumerate(dataset.schema.features):
        values = np.concatenate([x[0, :, i], x[1:, -1, i]]) if dataset.schema.kind == "series" else x[..., i].ravel()
        yield name, values[~np.isnan(values)]
