"""What scores of folds tell of a mean and of a difference, and how surely.

Folds share training rows, so their scores are not independent: the variance of their mean is larger than the variance
of the scores over their number, and no estimator of it is unbiased. It is taken as

    (1 / n + test rows / training rows) * variance of the n scores

and the mean over its root follows a t distribution with n - 1 degrees of freedom.

Source: Nadeau & Bengio 2003, Inference for the generalization error; for folds that are repeated, n of them in all,
Bouckaert & Frank 2004. Several comparisons: Holm 1979. Shapes: n scores, one of each fold.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

CONFIDENCE_LEVEL = 0.95
"""Share of such intervals that hold the true value."""
Bounds = tuple[float, float]
UNBOUNDED: Bounds = (-math.inf, math.inf)


class MeanEstimate(NamedTuple):
    """A mean of folds. deviation: of single folds. low, high: the interval of the mean, within its bounds."""

    mean: float
    std: float
    low: float
    high: float


class MeanDifference(NamedTuple):
    """A mean difference over folds. low, high: its interval. p: how likely chance alone gives one as far from zero."""

    mean: float
    low: float
    high: float
    t_statistic: float
    p_value: float


def estimate_mean(scores: Sequence[float], test_train_ratio: float, bounds: Bounds = UNBOUNDED) -> MeanEstimate:
    """Return mean, deviation and interval of scores (n,).

    ratio: rows held out of a fold over those learnt. bounds: between which scores always lie.
    """
    mean, error = float(np.mean(scores)), _standard_error(scores, test_train_ratio)
    return MeanEstimate(
        mean, float(np.std(scores, ddof=1)), *_clip_interval(mean, _critical_t(len(scores)) * error, bounds)
    )


def corrected_resampled_ttest(
    scores_a: Sequence[float], scores_b: Sequence[float], test_train_ratio: float, bounds: Bounds = UNBOUNDED
) -> MeanDifference:
    """Return by how much `one` (n,) is above `other` (n,) on the same folds: the corrected resampled t-test.

    ratio: rows held out of a fold over those learnt. bounds: between which differences always lie.
    """
    gains = np.asarray(scores_a) - np.asarray(scores_b)
    mean, error = float(gains.mean()), _standard_error(gains, test_train_ratio)
    if not error:  # all folds differ by the same
        t = math.copysign(math.inf, mean) if mean else 0.0
        return MeanDifference(mean, mean, mean, t, 0.0 if mean else 1.0)
    reach = _critical_t(len(gains)) * error
    p = 2 * float(student.sf(abs(mean) / error, len(gains) - 1))
    return MeanDifference(mean, *_clip_interval(mean, reach, bounds), mean / error, p)


def difference_bounds(bounds: Bounds) -> Bounds:
    """Return between which values two scores always differ that lie within bounds."""
    return bounds[0] - bounds[1], bounds[1] - bounds[0]


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """Return p-values of several comparisons such that one below 0.05 is by chance in one family of twenty at most."""
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(value) for value in adjusted]


def _standard_error(scores: Sequence[float] | np.ndarray, test_train_ratio: float) -> float:
    """Return the deviation of the mean of scores (n,)."""
    return math.sqrt((1 / len(scores) + test_train_ratio) * float(np.var(scores, ddof=1)))


def _clip_interval(mean: float, half_width: float, bounds: Bounds) -> Bounds:
    """Return the ends of an interval; what lies beyond the bounds is cut off, since no score is there."""
    return max(mean - half_width, bounds[0]), min(mean + half_width, bounds[1])


def _critical_t(n: int) -> float:
    return float(student.ppf((1 + CONFIDENCE_LEVEL) / 2, n - 1))
