"""Metrics of supervised models, each with its direction and unit.

Shapes: n rows, k classes or target values.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from ..data.baselines import naive_indices
from ..data.dataset import Array, Split
from ..data.schema import Schema
from ..data.targets import target_specs

N_BINS = 15
"""Number of confidence bins, as in Guo et al. 2017."""
UNIT_INTERVAL, NON_NEGATIVE = (0.0, 1.0), (0.0, math.inf)
"""Bounds of metrics."""
NAIVE_METRICS = ("naive_rmse", "seasonal_naive_rmse")
"""Errors of the forecasts of `naive_forecasts`."""


@dataclass(frozen=True)
class Metric:
    """How a metric is computed from targets and predictions, and how to read it.

    Shapes of targets and predictions are (n,) and (n, k) for classes, (n, k) and (n, k) for values, (n,) and (n, 2) for
    the next token: the true token's probability and the most probable token.

    Attributes:
        name: Key of the metric.
        direction: Whether higher or lower values are better.
        unit: Unit or range, as shown on the console.
        compute: Function of targets and predictions.
        bounds: Smallest and largest possible value.
    """

    name: str
    direction: Literal["higher", "lower"]
    unit: str
    compute: Callable[[Array, Array], float]
    bounds: tuple[float, float]


def accuracy(y: Array, p: Array) -> float:
    """Return the fraction of rows whose most probable class is the true one."""
    return float((p.argmax(axis=1) == y).mean())


def macro_f1(y: Array, p: Array) -> float:
    """Return the mean F1 of the classes that occur among targets or predictions."""
    return float(metrics.f1_score(y, p.argmax(axis=1), average="macro"))


def balanced_accuracy(y: Array, p: Array) -> float:
    """Return the mean recall of the classes that occur among targets."""
    correct = p.argmax(axis=1) == y
    return float(np.mean([correct[y == index].mean() for index in np.unique(y)]))


def roc_auc(y: Array, p: Array) -> float:
    """Return the mean area under the one-vs-rest ROC curves of `ovr_classes`; 0.5 (chance level) without any."""
    areas = [metrics.roc_auc_score(y == index, p[:, index]) for index in ovr_classes(y, p.shape[1])]
    return float(np.mean(areas)) if areas else 0.5


def ovr_classes(y: Array, n_classes: int) -> list[int]:
    """Return the classes with a one-vs-rest ROC curve: those of some but not all rows; of two classes, the second."""
    indices = range(1, 2) if n_classes == 2 else range(n_classes)
    return [index for index in indices if 0 < (y == index).sum() < len(y)]


def bits_per_token(y: Array, p: Array) -> float:
    """Return the mean -log2 of the true token's probability, p[:, 0]."""
    return float(-np.log2(np.maximum(p[:, 0], np.finfo(np.float64).tiny)).mean())


def perplexity(y: Array, p: Array) -> float:
    """Return 2 to the power of `bits_per_token`: the number of equally likely tokens with the same entropy."""
    return float(2 ** bits_per_token(y, p))


def token_accuracy(y: Array, p: Array) -> float:
    """Return the fraction of rows whose most probable token, p[:, 1], is the true one."""
    return float((p[:, 1] == y).mean())


def log_loss(y: Array, p: Array) -> float:
    """Return the mean negative log-probability of the true class."""
    p64 = p.astype(np.float64)  # scikit-learn rejects float32 rows, which sum to 1 only approximately
    return float(metrics.log_loss(y, p64 / p64.sum(axis=1, keepdims=True), labels=np.arange(p.shape[1])))


def brier(y: Array, p: Array) -> float:
    """Return the Brier score, from 0 to 2: the mean squared distance of probabilities and one-hot classes (1950)."""
    one_hot = np.eye(p.shape[1])[y.astype(np.int64)]
    return float(((p - one_hot) ** 2).sum(axis=1).mean())


def ece(y: Array, p: Array) -> float:
    """Return the expected calibration error: the weighted mean |accuracy - confidence| of bins (Guo et al. 2017)."""
    bins = calibration_curve(y, p)
    return float((bins["rows"] * np.abs(bins["accuracy"] - bins["confidence"])).sum() / len(y))


def calibration_curve(y: Array, p: Array) -> dict[str, NDArray[np.float64]]:
    """Return mean confidence, accuracy and number of rows of each confidence bin that is not empty."""
    confidence, correct = p.max(axis=1).astype(np.float64), p.argmax(axis=1) == y
    bins = np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)
    rows = np.bincount(bins, minlength=N_BINS).astype(np.float64)
    nonempty = rows > 0
    sums = (np.bincount(bins, weights=values, minlength=N_BINS)[nonempty] for values in (confidence, correct))
    mean_confidence, bin_accuracy = (total / rows[nonempty] for total in sums)
    return {"confidence": mean_confidence, "accuracy": bin_accuracy, "rows": rows[nonempty]}


def r2(y: Array, p: Array) -> float:
    """Return the coefficient of determination, averaged over target values."""
    return float(metrics.r2_score(y.reshape(p.shape), p))


def rmse(y: Array, p: Array) -> float:
    """Return the root mean squared error, in the target's unit."""
    return float(np.sqrt(metrics.mean_squared_error(y.reshape(p.shape), p)))


def mae(y: Array, p: Array) -> float:
    """Return the mean absolute error, in the target's unit."""
    return float(metrics.mean_absolute_error(y.reshape(p.shape), p))


CLASSIFICATION_METRICS = (
    Metric("accuracy", "higher", "fraction of rows", accuracy, UNIT_INTERVAL),
    Metric("macro_f1", "higher", "0 to 1", macro_f1, UNIT_INTERVAL),
    Metric("balanced_accuracy", "higher", "0 to 1", balanced_accuracy, UNIT_INTERVAL),
    Metric("roc_auc", "higher", "0 to 1", roc_auc, UNIT_INTERVAL),
    Metric("log_loss", "lower", "nats", log_loss, NON_NEGATIVE),
    Metric("brier", "lower", "0 to 2", brier, (0.0, 2.0)),
    Metric("ece", "lower", "0 to 1", ece, UNIT_INTERVAL),
)

LANGUAGE_METRICS = (
    Metric("bits_per_token", "lower", "bits", bits_per_token, NON_NEGATIVE),
    Metric("perplexity", "lower", "tokens", perplexity, (1.0, math.inf)),
    Metric("accuracy", "higher", "fraction of tokens", token_accuracy, UNIT_INTERVAL),
)

REGRESSION_METRICS = (
    Metric("r2", "higher", "1 at most", r2, (-math.inf, 1.0)),
    Metric("rmse", "lower", "unit of the target", rmse, NON_NEGATIVE),
    Metric("mae", "lower", "unit of the target", mae, NON_NEGATIVE),
)

FORECASTING_METRICS = (REGRESSION_METRICS[1], REGRESSION_METRICS[2], REGRESSION_METRICS[0])


def metrics_for_task(schema: Schema) -> tuple[Metric, ...]:
    """Return the metrics of a task, the main metric first."""
    if schema.task == "language_modeling":
        return LANGUAGE_METRICS
    if schema.task == "forecasting":
        return FORECASTING_METRICS
    return CLASSIFICATION_METRICS if schema.classes else REGRESSION_METRICS


def metric_bounds(schema: Schema) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest possible value of each score of `compute_scores`."""
    bounds = {
        f"{target.prefix}{metric.name}": metric.bounds
        for target in target_specs(schema)
        for metric in metrics_for_task(target.schema)
    }
    naive_bounds = dict.fromkeys(NAIVE_METRICS, NON_NEGATIVE)
    return bounds | {"pinball": NON_NEGATIVE, "coverage": UNIT_INTERVAL} | naive_bounds


def compute_scores(schema: Schema, split: Split, p: Array) -> dict[str, float]:
    """Return each metric of each target by name, and the errors of naive forecasts.

    Metrics of an extra target are prefixed with its name and computed on the rows where it is known.
    """
    scores: dict[str, float] = {}
    for target in target_specs(schema):
        target_scores = score_target(target.schema, target.select(split).y, target.select_predictions(split, p))
        scores |= {f"{target.prefix}{name}": value for name, value in target_scores.items()}
    return scores | naive_scores(schema, split)


def score_target(schema: Schema, y: Array, p: Array) -> dict[str, float]:
    """Return each metric by name; of quantiles those of the median prediction, pinball loss and coverage."""
    if schema.classes:
        return {metric.name: metric.compute(y, p) for metric in metrics_for_task(schema)}
    actual, quantiles = y.reshape(len(y), -1), quantile_predictions(schema, p)
    scores = {metric.name: metric.compute(actual, median_prediction(schema, p)) for metric in metrics_for_task(schema)}
    if not schema.quantiles:
        return scores
    levels, difference = np.array(schema.quantiles), actual[:, :, None] - quantiles
    inside = (quantiles[:, :, 0] <= actual) & (actual <= quantiles[:, :, -1])
    return scores | {
        "pinball": float(np.maximum(levels * difference, (levels - 1) * difference).mean()),
        "coverage": float(inside.mean()),  # nominal: highest level minus lowest level
    }


def quantile_predictions(schema: Schema, p: Array) -> Array:
    """Return predicted values (n, k, levels); a single level if the model predicts no quantiles."""
    return p.reshape(len(p), len(schema.values), -1)


def median_prediction(schema: Schema, p: Array) -> Array:
    """Return point predictions (n, k): of quantiles the one nearest to the median."""
    levels = np.array(schema.quantiles or (0.5,))
    return quantile_predictions(schema, p)[:, :, int(np.abs(levels - 0.5).argmin())]


def naive_forecasts(schema: Schema, split: Split) -> dict[str, Array]:
    """Return naive forecasts (n, k) by name: the last value, and the value one season earlier.

    A season may be longer than the window; values before the start of the series are NaN.
    """
    if not schema.horizon:
        return {}
    x = split.x.reshape(len(split), -1)
    forecasts = {"naive": x[:, naive_indices(schema, "last")]}
    if split.seasonal_naive is not None:
        forecasts["seasonal_naive"] = np.asarray(split.seasonal_naive)
    return forecasts


def naive_scores(schema: Schema, split: Split) -> dict[str, float]:
    """Return the RMSE of each naive forecast, in the target's unit, on the rows where it is known."""
    actual = split.y.reshape(len(split), -1)
    known = {name: (p, ~np.isnan(p).any(axis=1)) for name, p in naive_forecasts(schema, split).items()}
    return {f"{name}_rmse": rmse(actual[rows], p[rows]) for name, (p, rows) in known.items() if rows.any()}
