"""The two pruning rules."""

import numpy as np
import pytest
from scipy.stats import binom

from fivefold.tuning.pruners import P_THRESHOLD, compute_median_curve, is_below_median, paired_test_p_value

CURVES = [[0.1 * i] * 6 + [0.2 * i, 0.3 * i, 0.3 * i] for i in range(1, 6)]
"""Median of the best score so far: 0.3 six times, 0.6, 0.9, 0.9."""


def test_trial_below_the_median_is_pruned() -> None:
    assert is_below_median([0.1] * 6 + [0.59], compute_median_curve(CURVES), 9)
    assert not is_below_median([0.1] * 6 + [0.61], compute_median_curve(CURVES), 9)
    assert is_below_median([0.1] * 7 + [0.89], compute_median_curve(CURVES), 9)
    assert not is_below_median([0.95] + [0.3] * 7, compute_median_curve(CURVES), 9)  # its best score so far counts


def test_no_pruning_early_at_the_end_or_with_few_trials() -> None:
    assert not is_below_median([0.0] * 6, compute_median_curve(CURVES), 9)  # two thirds of the epochs
    assert not is_below_median([0.0] * 9, compute_median_curve(CURVES), 9)
    assert not is_below_median([0.0] * 7, compute_median_curve(CURVES[:4]), 9)


def test_epochs_without_validation_are_skipped() -> None:
    nan = float("nan")
    others = [[nan, value, nan, value + 0.1, nan, nan] for value in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert is_below_median([nan, 0.1, nan, 0.3, nan], compute_median_curve(others), 6)
    assert not is_below_median([nan, 0.45, nan, nan, nan], compute_median_curve(others), 6)


@pytest.mark.parametrize("worse", [2, 3, 4])
def test_p_value_of_folds_that_are_all_worse(worse: int) -> None:
    best = [0.9, 0.91, 0.92, 0.93, 0.94]
    scores = [value - 0.01 * (i + 1) for i, value in enumerate(best[:worse])]
    p = paired_test_p_value(scores, best)
    # all signs are negative: one of 2^n assignments
    assert p == pytest.approx(binom.pmf(0, worse, 0.5))
    assert p < P_THRESHOLD


def test_no_pruning_after_one_fold_or_all_folds() -> None:
    assert paired_test_p_value([0.1], [0.9, 0.9, 0.9]) is None
    assert paired_test_p_value([0.1, 0.1, 0.1], [0.9, 0.8, 0.7]) is None


def test_no_pruning_with_mixed_or_equal_folds() -> None:
    best = [0.9, 0.9, 0.9, 0.9, 0.9]
    assert paired_test_p_value([0.8, 0.95], best) is None
    assert paired_test_p_value([0.9, 0.9], best) is None
    assert paired_test_p_value([0.95, 0.95, 0.95], best) is None


def test_false_positive_rate_of_the_paired_test() -> None:
    rng = np.random.default_rng(0)
    rate = np.mean([paired_test_p_value(rng.normal(size=2), rng.normal(size=5)) is not None for _ in range(2000)])
    assert rate == pytest.approx(0.25, abs=0.03)
