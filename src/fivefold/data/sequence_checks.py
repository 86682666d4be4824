"""Checks of sequences and time series.

Shapes: n samples, t steps, f values per step, k targets.
"""

from collections.abc import Iterator

import numpy as np

from .dataset import Array, Dataset, Split
from .schema import CheckResult

OUTLIER_IQR_FACTOR = 10.0
"""Distance from the quartiles, in interquartile ranges, beyond which a value is an outlier."""

LEAK_CORRELATION = 1 - 1e-6
"""Absolute correlation from which two columns count as the same."""


def check_constant_steps(dataset: Dataset) -> Iterator[CheckResult]:
    """Yield columns that are constant over all training steps."""
    for name, values in _iter_columns(dataset):
        if len(values) and (values == values[0]).all():
            text = f"{name} is constant in training steps and has no predictive value"
            yield CheckResult(rule="constant", level="warning", message=text, column=name)


def check_step_outliers(dataset: Dataset) -> Iterator[CheckResult]:
    """Yield columns with values far beyond the quartiles of the training steps."""
    for name, values in _iter_columns(dataset):
        lower, upper = np.quantile(values, [0.25, 0.75]) if len(values) else (0.0, 0.0)
        reach = OUTLIER_IQR_FACTOR * (upper - lower)
        count = ((values < lower - reach) | (values > upper + reach)).sum()
        if reach and count:
            text = (
                f"{count} of {len(values)} values of {name} are outliers (> {OUTLIER_IQR_FACTOR:.0f} IQR); fix errors"
            )
            yield CheckResult(rule="outliers", level="note", message=text, column=name)


def check_exogenous_leakage(dataset: Dataset) -> Iterator[CheckResult]:
    """Yield exogenous columns of a series that equal a target, at the same step or at a forecast step."""
    schema, last = dataset.schema, dataset.train.x[:, -1]
    k = len(schema.values) // schema.horizon
    targets = np.concatenate([last[:, :k], dataset.train.y], axis=1)
    for name, values in zip(schema.features[k:], last[:, k:].T, strict=True):
        matches = np.flatnonzero([_is_correlated(values, target) for target in targets.T])
        if len(matches):
            ahead, target = divmod(int(matches[0]), k)
            steps = f", {ahead} step{'s' * (ahead > 1)} ahead" if ahead else ""
            text = f"{name} is {schema.features[target]}{steps}: is it known at prediction time? if not, remove it"
            yield CheckResult(rule="leakage", level="warning", message=f"{text} from `exogenous`", column=name)


def constant_within_sequences(split: Split) -> Array:
    """Return a mask (f,) of the columns that are constant within every sequence."""
    x, first = split.x, split.x[:, :1]
    return np.asarray(((x == first) | np.isnan(x)).all(axis=(0, 1)))


def _is_correlated(a: Array, b: Array) -> bool:
    return bool(np.ptp(a) and np.ptp(b) and abs(np.corrcoef(a, b)[0, 1]) >= LEAK_CORRELATION)


def _iter_columns(dataset: Dataset) -> Iterator[tuple[str, Array]]:
    """Yield each column with its values in training steps; a series counts each step of its windows once."""
    x = dataset.train.x
    for i, name in enumerate(dataset.schema.features):
        values = np.concatenate([x[0, :, i], x[1:, -1, i]]) if dataset.schema.kind == "series" else x[..., i].ravel()
        yield name, values[~np.isnan(values)]
