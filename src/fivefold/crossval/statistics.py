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

LEVEL = 0.95
"""Share of such intervals that hold the true value."""
Bounds = tuple[float, float]
ENDLESS: Bounds = (-math.inf, math.inf)


class Estimate(NamedTuple):
    """A mean of folds. deviation: of single folds. low, high: the interval of the mean, within its bounds."""

    mean: float
    deviation: float
    low: float
    high: float


class Difference(NamedTuple):
    """A mean difference over folds. low, high: its interval. p: how likely chance alone gives one as far from zero."""

    mean: float
    low: float
    high: float
    t: float
    p: float


def estimate(scores: Sequence[float], ratio: float, bounds: Bounds = ENDLESS) -> Estimate:
    """Return mean, deviation and interval of scores (n,).

    ratio: rows held out of a fold over those learnt. bounds: between which scores always lie.
    """
    mean, error = float(np.mean(scores)), _error(scores, ratio)
    return Estimate(mean, float(np.std(scores, ddof=1)), *_interval(mean, _reach(len(scores)) * error, bounds))


def difference(one: Sequence[float], other: Sequence[float], ratio: float, bounds: Bounds = ENDLESS) -> Difference:
    """Return by how much `one` (n,) is above `other` (n,) on the same folds: the corrected resampled t-test.

    ratio: rows held out of a fold over those learnt. bounds: between which differences always lie.
    """
    gains = np.asarray(one) - np.asarray(other)
    mean, error = float(gains.mean()), _error(gains, ratio)
    if not error:  # all folds differ by the same
        t = math.copysign(math.inf, mean) if mean else 0.0
        return Difference(mean, mean, mean, t, 0.0 if mean else 1.0)
    reach = _reach(len(gains)) * error
    p = 2 * float(student.sf(abs(mean) / error, len(gains) - 1))
    return Difference(mean, *_interval(mean, reach, bounds), mean / error, p)


def of_differences(bounds: Bounds) -> Bounds:
    """Return between which values two scores always differ that lie within bounds."""
    return bounds[0] - bounds[1], bounds[1] - bounds[0]


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values of several comparisons such that one below 0.05 is by chance in one family of twenty at most."""
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(value) for value in adjusted]


def _error(scores: Sequence[float] | np.ndarray, ratio: float) -> float:
    """Return the deviation of the mean of scores (n,)."""
    return math.sqrt((1 / len(scores) + ratio) * float(np.var(scores, ddof=1)))


def _interval(mean: float, reach: float, bounds: Bounds) -> Bounds:
    """Return the ends of an interval; what lies beyond the bounds is cut off, since no score is there."""
    return max(mean - reach, bounds[0]), min(mean + reach, bounds[1])


def _reach(n: int) -> float:
    return float(student.ppf((1 + LEVEL) / 2, n - 1))
