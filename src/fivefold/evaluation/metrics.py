"""Metrics, each with its direction and unit.

Shapes: n rows, k classes.
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
"""Bins of confidence, as in Guo et al. 2017."""
UNIT_INTERVAL, NON_NEGATIVE = (0.0, 1.0), (0.0, math.inf)
"""Bounds of metrics."""


@dataclass(frozen=True)
class Metric:
    """How a number is computed from targets and predictions, and how to read it.

    Classes: (n,) and (n, k). The next token: (n,) and (n, 2), the true token's probability and the most probable one.
    Values: (n, k) and (n, k).
    bounds: between which it always lies.
    """

    name: str
    direction: Literal["higher", "lower"]
    unit: str
    compute: Callable[[Array, Array], float]
    bounds: tuple[float, float]


def accuracy(y: Array, p: Array) -> float:
    """Return the share of rows whose most probable class is the true one."""
    return float((p.argmax(axis=1) == y).mean())


def macro_f1(y: Array, p: Array) -> float:
    """Return the mean F1 of the classes that occur among targets or predictions."""
    return float(metrics.f1_score(y, p.argmax(axis=1), average="macro"))


def balanced_accuracy(y: Array, p: Array) -> float:
    """Return the mean, over the classes that occur, of the share of their rows that are recognised."""
    found = p.argmax(axis=1) == y
    return float(np.mean([found[y == index].mean() for index in np.unique(y)]))


def roc_auc(y: Array, p: Array) -> float:
    """Return the mean area under the ROC curves of the classes that have one; 0.5, which is chance, if none has."""
    areas = [metrics.roc_auc_score(y == index, p[:, index]) for index in ovr_classes(y, p.shape[1])]
    return float(np.mean(areas)) if areas else 0.5


def ovr_classes(y: Array, n_classes: int) -> list[int]:
    """Return which of k classes have a ROC curve, against the rest: some rows, but not all; of two the second alone."""
    indices = range(1, 2) if n_classes == 2 else range(n_classes)
    return [index for index in indices if 0 < (y == index).sum() < len(y)]


def bits_per_token(y: Array, p: Array) -> float:
    """Return the mean of -log2 of the true token's probability, p[:, 0]."""
    return float(-np.log2(np.maximum(p[:, 0], np.finfo(np.float64).tiny)).mean())


def perplexity(y: Array, p: Array) -> float:
    """Return 2 to the bits: among how many tokens, all alike, the choice would be as hard."""
    return float(2 ** bits_per_token(y, p))


def token_accuracy(y: Array, p: Array) -> float:
    """Return the share of rows whose most probable token, p[:, 1], is the true one."""
    return float((p[:, 1] == y).mean())


def log_loss(y: Array, p: Array) -> float:
    """Return the mean of -log of the true class's probability."""
    exact = p.astype(np.float64)  # float32 rows add up to 1 only nearly, and scikit-learn minds
    return float(metrics.log_loss(y, exact / exact.sum(axis=1, keepdims=True), labels=np.arange(p.shape[1])))


def brier(y: Array, p: Array) -> float:
    """Return the mean squared distance of the probabilities from the truth, over all classes (Brier 1950): 0 to 2."""
    truth = np.eye(p.shape[1])[y.astype(np.int64)]
    return float(((p - truth) ** 2).sum(axis=1).mean())


def ece(y: Array, p: Array) -> float:
    """Return the expected calibration error: |accuracy - confidence| of each bin, weighted (Guo et al. 2017)."""
    bins = calibration_curve(y, p)
    return float((bins["rows"] * np.abs(bins["accuracy"] - bins["confidence"])).sum() / len(y))


def calibration_curve(y: Array, p: Array) -> dict[str, NDArray[np.float64]]:
    """Return, for each bin of confidence that holds rows, its mean confidence, its accuracy and its number of rows."""
    confidence, hit = p.max(axis=1).astype(np.float64), p.argmax(axis=1) == y
    bins = np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)
    rows = np.bincount(bins, minlength=N_BINS).astype(np.float64)
    held = rows > 0
    sums = (np.bincount(bins, weights=values, minlength=N_BINS)[held] for values in (confidence, hit))
    mean_confidence, mean_hit = (total / rows[held] for total in sums)
    return {"confidence": mean_confidence, "accuracy": mean_hit, "rows": rows[held]}


def r2(y: Array, p: Array) -> float:
    """Return the share of the variance that is explained, the mean over several targets."""
    return float(metrics.r2_score(y.reshape(p.shape), p))


def rmse(y: Array, p: Array) -> float:
    """Return the root of the mean squared error, in the target's unit."""
    return float(np.sqrt(metrics.mean_squared_error(y.reshape(p.shape), p)))


def mae(y: Array, p: Array) -> float:
    """Return the mean absolute error, in the target's unit."""
    return float(metrics.mean_absolute_error(y.reshape(p.shape), p))


CLASSIFICATION_METRICS = (
    Metric("accuracy", "higher", "share of rows", accuracy, UNIT_INTERVAL),
    Metric("macro_f1", "higher", "0 to 1", macro_f1, UNIT_INTERVAL),
    Metric("balanced_accuracy", "higher", "0 to 1", balanced_accuracy, UNIT_INTERVAL),
    Metric("auc", "higher", "0 to 1", roc_auc, UNIT_INTERVAL),
    Metric("log_loss", "lower", "nats", log_loss, NON_NEGATIVE),
    Metric("brier", "lower", "0 to 2", brier, (0.0, 2.0)),
    Metric("ece", "lower", "share of rows", ece, UNIT_INTERVAL),
)

LANGUAGE_METRICS = (
    Metric("bits", "lower", "bits a token", bits_per_token, NON_NEGATIVE),
    Metric("perplexity", "lower", "tokens", perplexity, (1.0, math.inf)),
    Metric("accuracy", "higher", "share of tokens", token_accuracy, UNIT_INTERVAL),
)

REGRESSION_METRICS = (
    Metric("r2", "higher", "share of variance", r2, (-math.inf, 1.0)),
    Metric("rmse", "lower", "unit of the target", rmse, NON_NEGATIVE),
    Metric("mae", "lower", "unit of the target", mae, NON_NEGATIVE),
)


FORECASTING_METRICS = (REGRESSION_METRICS[1], REGRESSION_METRICS[2], REGRESSION_METRICS[0])


def metrics_for_task(schema: Schema) -> tuple[Metric, ...]:
    """Return the metrics that a task is scored with, the leading one first."""
    if schema.task == "language_modeling":
        return LANGUAGE_METRICS
    if schema.task == "forecasting":
        return FORECASTING_METRICS
    return CLASSIFICATION_METRICS if schema.classes else REGRESSION_METRICS


def metric_bounds(schema: Schema) -> dict[str, tuple[float, float]]:
    """Return between which values each score of `scores_of` always lies."""
    found = {
        f"{goal.prefix}{metric.name}": metric.bounds
        for goal in target_specs(schema)
        for metric in metrics_for_task(goal.schema)
    }
    errors = dict.fromkeys(("persistence_rmse", "seasonal_rmse"), NON_NEGATIVE)
    return found | {"pinball": NON_NEGATIVE, "coverage": UNIT_INTERVAL} | errors


def compute_scores(schema: Schema, split: Split, p: Array) -> dict[str, float]:
    """Return the value of each metric of each target by name, and the errors of naive forecasts.

    A further target's name stands before its metrics; rows that have it are scored.
    """
    found = {
        f"{goal.prefix}{name}": value
        for goal in target_specs(schema)
        for name, value in score_target(goal.schema, goal.select(split).y, goal.select_predictions(split, p)).items()
    }
    return found | naive_scores(schema, split)


def score_target(schema: Schema, y: Array, p: Array) -> dict[str, float]:
    """Return each metric's value by name; of quantiles the middle one is scored, and all of them as quantiles."""
    if schema.classes:
        return {metric.name: metric.compute(y, p) for metric in metrics_for_task(schema)}
    truth, told = y.reshape(len(y), -1), quantile_predictions(schema, p)
    scores = {metric.name: metric.compute(truth, median_prediction(schema, p)) for metric in metrics_for_task(schema)}
    if not schema.quantiles:
        return scores
    levels, over = np.array(schema.quantiles), truth[:, :, None] - told
    inside = (told[:, :, 0] <= truth) & (truth <= told[:, :, -1])
    return scores | {
        "pinball": float(np.maximum(levels * over, (levels - 1) * over).mean()),
        "coverage": float(inside.mean()),  # to be compared with the highest level less the lowest
    }


def quantile_predictions(schema: Schema, p: Array) -> Array:
    """Return values (n, k, levels); one level if no quantiles are told."""
    return p.reshape(len(p), len(schema.values), -1)


def median_prediction(schema: Schema, p: Array) -> Array:
    """Return the values themselves (n, k): of quantiles the one nearest to the median."""
    levels = np.array(schema.quantiles or (0.5,))
    return quantile_predictions(schema, p)[:, :, int(np.abs(levels - 0.5).argmin())]


def naive_forecasts(schema: Schema, split: Split) -> dict[str, Array]:
    """Return forecasts (n, k) that need no network, by name: the last value, and that of a season ago.

    The season may reach further back than the window; where it reaches before the series its value is NaN.
    """
    if not schema.horizon:
        return {}
    x = split.x.reshape(len(split), -1)
    found = {"persistence": x[:, naive_indices(schema, "last")]}
    if split.seasonal_naive is not None:
        found["seasonal"] = np.asarray(split.seasonal_naive)
    return found


def naive_scores(schema: Schema, split: Split) -> dict[str, float]:
    """Return the error of each naive forecast, in the target's unit, on the rows that have it: what is to be beaten."""
    truth = split.y.reshape(len(split), -1)
    known = {name: (p, ~np.isnan(p).any(axis=1)) for name, p in naive_forecasts(schema, split).items()}
    return {f"{name}_rmse": rmse(truth[rows], p[rows]) for name, (p, rows) in known.items() if rows.any()}
