"""When a trial is given up."""

import numpy as np
import pytest
from scipy.stats import binom

from fivefold.tuning.pruners import P_THRESHOLD, compute_median_curve, is_below_median, paired_test_p_value

OTHERS = [[0.1 * i] * 6 + [0.2 * i, 0.3 * i, 0.3 * i] for i in range(1, 6)]
"""Medians of the best so far: 0.3 six times, 0.6, 0.9, 0.9."""


def test_below_the_median_it_is_given_up() -> None:
    assert is_below_median([0.1] * 6 + [0.59], compute_median_curve(OTHERS), 9)
    assert not is_below_median([0.1] * 6 + [0.61], compute_median_curve(OTHERS), 9)
    assert is_below_median([0.1] * 7 + [0.89], compute_median_curve(OTHERS), 9)
    assert not is_below_median([0.95] + [0.3] * 7, compute_median_curve(OTHERS), 9)  # its best so far counts


def test_neither_early_nor_at_the_end_nor_with_few_to_compare() -> None:
    assert not is_below_median([0.0] * 6, compute_median_curve(OTHERS), 9)  # two thirds of the epochs
    assert not is_below_median([0.0] * 9, compute_median_curve(OTHERS), 9)
    assert not is_below_median([0.0] * 7, compute_median_curve(OTHERS[:4]), 9)


def test_epochs_that_were_not_looked_at_are_passed_over() -> None:
    nan = float("nan")
    others = [[nan, value, nan, value + 0.1, nan, nan] for value in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert is_below_median([nan, 0.1, nan, 0.3, nan], compute_median_curve(others), 6)
    assert not is_below_median([nan, 0.45, nan, nan, nan], compute_median_curve(others), 6)


@pytest.mark.parametrize("worse", [2, 3, 4])
def test_folds_that_are_all_worse_are_given_up_at_their_exact_level(worse: int) -> None:
    best = [0.9, 0.91, 0.92, 0.93, 0.94]
    scores = [value - 0.01 * (i + 1) for i, value in enumerate(best[:worse])]
    p = paired_test_p_value(scores, best)
    # all signs against it: one of 2^n assignments
    assert p == pytest.approx(binom.pmf(0, worse, 0.5))
    assert p < P_THRESHOLD


def test_one_fold_or_all_folds_are_never_given_up() -> None:
    assert paired_test_p_value([0.1], [0.9, 0.9, 0.9]) is None
    assert paired_test_p_value([0.1, 0.1, 0.1], [0.9, 0.8, 0.7]) is None


def test_folds_that_are_mixed_or_alike_go_on() -> None:
    best = [0.9, 0.9, 0.9, 0.9, 0.9]
    assert paired_test_p_value([0.8, 0.95], best) is None
    assert paired_test_p_value([0.9, 0.9], best) is None
    assert paired_test_p_value([0.95, 0.95, 0.95], best) is None


def test_of_trials_that_are_as_good_few_are_given_up_by_chance() -> None:
    rng = np.random.default_rng(0)
    given_up = np.mean([paired_test_p_value(rng.normal(size=2), rng.normal(size=5)) is not None for _ in range(2000)])
    assert given_up == pytest.approx(0.25, abs=0.03)
