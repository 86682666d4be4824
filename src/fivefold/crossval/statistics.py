"""Confidence intervals and tests for the scores of folds.

Folds share training rows, so their scores are not independent: the variance of their mean is larger than the variance
of the scores divided by their number, and no estimator of it is unbiased. It is estimated as

    (1 / n + test rows / training rows) * variance of the n scores

and the mean divided by its square root follows a t distribution with n - 1 degrees of freedom.

Source: Nadeau & Bengio 2003, Inference for the generalization error; for repeated folds, n of them in all,
Bouckaert & Frank 2004. Several comparisons: Holm 1979. Shapes: n scores, one per fold.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

CONFIDENCE_LEVEL = 0.95
"""Probability that an interval contains the true value."""
Bounds = tuple[float, float]
UNBOUNDED: Bounds = (-math.inf, math.inf)


class MeanEstimate(NamedTuple):
    """A mean over folds. std: over the folds. low, high: confidence interval of the mean, clipped to its bounds."""

    mean: float
    std: float
    low: float
    high: float


class MeanDifference(NamedTuple):
    """A mean difference over folds. low, high: its confidence interval. p_value: two-sided, of no difference."""

    mean: float
    low: float
    high: float
    t_statistic: float
    p_value: float


def estimate_mean(scores: Sequence[float], test_train_ratio: float, bounds: Bounds = UNBOUNDED) -> MeanEstimate:
    """Return the mean, standard deviation and confidence interval of scores (n,).

    test_train_ratio: test rows divided by training rows of a fold. bounds: lower and upper bound of a score.
    """
    mean, error = float(np.mean(scores)), _standard_error(scores, test_train_ratio)
    return MeanEstimate(
        mean, float(np.std(scores, ddof=1)), *_clip_interval(mean, _critical_t(len(scores)) * error, bounds)
    )


def corrected_resampled_ttest(
    scores_a: Sequence[float], scores_b: Sequence[float], test_train_ratio: float, bounds: Bounds = UNBOUNDED
) -> MeanDifference:
    """Return the mean of `scores_a` - `scores_b` (n,) on the same folds, by the corrected resampled t-test.

    test_train_ratio: test rows divided by training rows of a fold. bounds: lower and upper bound of a difference.
    """
    differences = np.asarray(scores_a) - np.asarray(scores_b)
    mean, error = float(differences.mean()), _standard_error(differences, test_train_ratio)
    if not error:  # the difference is the same in all folds
        t = math.copysign(math.inf, mean) if mean else 0.0
        return MeanDifference(mean, mean, mean, t, 0.0 if mean else 1.0)
    half_width = _critical_t(len(differences)) * error
    p = 2 * float(student.sf(abs(mean) / error, len(differences) - 1))
    return MeanDifference(mean, *_clip_interval(mean, half_width, bounds), mean / error, p)


def difference_bounds(bounds: Bounds) -> Bounds:
    """Return the bounds of the difference of two scores with the given bounds."""
    return bounds[0] - bounds[1], bounds[1] - bounds[0]


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for several comparisons (Holm): the family-wise error rate is controlled."""
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return [float(value) for value in adjusted]


def _standard_error(scores: Sequence[float] | np.ndarray, test_train_ratio: float) -> float:
    """Return the corrected standard error of the mean of scores (n,)."""
    return math.sqrt((1 / len(scores) + test_train_ratio) * float(np.var(scores, ddof=1)))


def _clip_interval(mean: float, half_width: float, bounds: Bounds) -> Bounds:
    """Return the limits of an interval, clipped to the bounds of a score."""
    return max(mean - half_width, bounds[0]), min(mean + half_width, bounds[1])


def _critical_t(n: int) -> float:
    return float(student.ppf((1 + CONFIDENCE_LEVEL) / 2, n - 1))
