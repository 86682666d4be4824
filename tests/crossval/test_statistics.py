"""Statistics of folds, compared with computations by hand, a closed form, and a simulation."""

import math

import numpy as np
import pytest

from fivefold.crossval.statistics import corrected_resampled_ttest, difference_bounds, estimate_mean, holm_correction

DIFFERENCES = [0.02, 0.01, 0.03, 0.0, 0.04]
"""Mean 0.02, variance 0.001 / 4 = 0.00025."""

T_4 = 2.776445
"""97.5 % quantile of t with 4 degrees of freedom, from a printed table."""


def tail_of_t_4(t: float) -> float:
    """P(T > t) with 4 degrees of freedom, in closed form."""
    a = 1 + t * t / 4
    return 0.5 - 3 / 8 * t / math.sqrt(a) * (1 - t * t / a / 12)


def test_difference_by_hand() -> None:
    other = [0.9, 0.92, 0.88, 0.95, 0.91]
    difference = corrected_resampled_ttest(np.add(other, DIFFERENCES).tolist(), other, test_train_ratio=1 / 4)
    error = math.sqrt((1 / 5 + 1 / 4) * 0.00025)  # the uncorrected test uses 1 / 5
    assert difference.mean == pytest.approx(0.02)
    assert difference.t_statistic == pytest.approx(0.02 / error)
    assert difference.t_statistic == pytest.approx(1.885618, abs=1e-6)
    assert difference.p_value == pytest.approx(2 * tail_of_t_4(0.02 / error))
    assert (difference.low, difference.high) == pytest.approx((0.02 - T_4 * error, 0.02 + T_4 * error), rel=1e-6)


def test_estimate_has_the_same_correction() -> None:
    estimate = estimate_mean(DIFFERENCES, test_train_ratio=1 / 4)
    half_width = T_4 * math.sqrt(0.45 * 0.00025)
    assert estimate == pytest.approx((0.02, math.sqrt(0.00025), 0.02 - half_width, 0.02 + half_width), rel=1e-6)


def test_interval_is_clipped_to_possible_scores() -> None:
    full, clipped = estimate_mean([0.99, 1.0, 0.9], 0.5), estimate_mean([0.99, 1.0, 0.9], 0.5, (0.0, 1.0))
    assert full.high > 1 == clipped.high
    assert (clipped.mean, clipped.std, clipped.low) == (full.mean, full.std, full.low)
    assert estimate_mean([0.01, 0.2, 0.0], 0.5, (0.0, math.inf)).low == 0
    assert difference_bounds((0.0, 1.0)) == (-1.0, 1.0)
    assert difference_bounds((-math.inf, 1.0)) == (-math.inf, math.inf)
    difference = corrected_resampled_ttest([1.0, 0.0, 1.0], [0.0, 0.1, 0.0], 0.5, (-1.0, 1.0))
    assert (difference.low, difference.high) == (-1.0, 1.0)
    assert difference.p_value == corrected_resampled_ttest([1.0, 0.0, 1.0], [0.0, 0.1, 0.0], 0.5).p_value


def test_swapping_models_changes_the_sign() -> None:
    one, other = [0.5, 0.7, 0.6], [0.4, 0.65, 0.62]
    forward, backward = corrected_resampled_ttest(one, other, 0.5), corrected_resampled_ttest(other, one, 0.5)
    assert backward == pytest.approx(
        (-forward.mean, -forward.high, -forward.low, -forward.t_statistic, forward.p_value)
    )


def test_constant_differences() -> None:
    assert corrected_resampled_ttest([1.0, 2.0], [1.0, 2.0], 1.0) == (0.0, 0.0, 0.0, 0.0, 1.0)
    assert corrected_resampled_ttest([1.5, 2.5], [2.0, 3.0], 1.0) == (-0.5, -0.5, -0.5, -math.inf, 0.0)


def test_holm_correction_by_hand() -> None:
    assert holm_correction([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_correction([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm_correction([0.02]) == [0.02]
    assert holm_correction([]) == []


def errors(x: np.ndarray, y: np.ndarray, folds: list[np.ndarray]) -> list[float]:  # type: ignore[type-arg]
    """Return the mean squared error of a line through the origin on each fold, fitted to the others."""
    mse = []
    for held in folds:
        slope = (np.dot(x, y) - np.dot(x[held], y[held])) / (np.dot(x, x) - np.dot(x[held], x[held]))
        mse.append(float(((y[held] - slope * x[held]) ** 2).mean()))
    return mse


def test_false_positive_rate_for_equally_good_models() -> None:
    random = np.random.default_rng(0)
    times, corrected, plain = 300, 0, 0
    for _ in range(times):
        x = random.normal(size=(2, 60))
        y = x.sum(axis=0) + random.normal(size=60)  # both features explain the same share
        folds = [held for _ in range(4) for held in np.array_split(random.permutation(60), 5)]
        one, other = errors(x[0], y, folds), errors(x[1], y, folds)
        corrected += corrected_resampled_ttest(one, other, 1 / 4).p_value < 0.05
        plain += corrected_resampled_ttest(one, other, 0.0).p_value < 0.05
    assert corrected / times < 0.1
    assert plain / times > 0.3
