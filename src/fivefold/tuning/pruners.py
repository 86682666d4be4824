"""When a trial is given up: by the epochs of its first fold, then by a paired test over the folds that are done.

Median over epochs: Golovin et al. 2017, Google Vizier. Paired signed ranks over folds: Wilcoxon 1945, as Optuna's
WilcoxonPruner does it. Scores here are such that more is better.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import wilcoxon

N_STARTUP_TRIALS = 5
"""Trials that must have come to their end before epochs are compared."""
WARMUP_FRACTION = 2 / 3
"""Share of the epochs that are never compared: a schedule that rises and falls tells good from bad near its end only.
Of a third, a half and two thirds the last lost least in `benchmarks/bench_pruning.py`."""
P_THRESHOLD = 0.26
"""Of the paired test. Two folds that are both worse reach 0.25; at Optuna's default of 0.1 nothing is saved before the
fifth fold of five."""


def compute_median_curve(curves: Sequence[Sequence[float]]) -> Sequence[float]:
    """Return, epoch by epoch, the median of the best scores that trials had reached by then; NaN where too few had.

    curves: of trials that have come to the end of their first fold; one that ended early stays where it was.
    """
    longest = max(map(len, curves), default=0)
    best = np.full((len(curves), longest), -math.inf)  # (trials, epochs)
    for row, curve in zip(best, curves, strict=True):
        row[: len(curve)] = np.where(np.isnan(curve), -math.inf, curve)
    best = np.maximum.accumulate(best, axis=1)
    best[np.isneginf(best)] = math.nan
    known = np.isfinite(best).sum(axis=0) >= N_STARTUP_TRIALS
    found = np.full(longest, math.nan)
    found[known] = np.nanmedian(best[:, known], axis=0)
    return list(found)


def is_below_median(curve: Sequence[float], median_curve: Sequence[float], max_epochs: int) -> bool:
    """Return whether the best score so far is below what `medians` says that others had reached by this epoch.

    curve: score of each epoch so far.
    """
    done = len(curve)
    if not median_curve or done <= WARMUP_FRACTION * max_epochs or done >= max_epochs:
        return False
    best = max((score for score in curve if not math.isnan(score)), default=-math.inf)
    return best < median_curve[min(done, len(median_curve)) - 1]  # never below NaN


def paired_test_p_value(scores: Sequence[float], best_scores: Sequence[float]) -> float | None:
    """Return the p-value by which finished folds are worse than those of the best trial, if that is below `LEVEL`."""
    gains = np.asarray(scores) - np.asarray(best_scores[: len(scores)])
    if len(gains) < 2 or len(gains) >= len(best_scores) or not gains.any():
        return None
    p = float(wilcoxon(gains, alternative="less", zero_method="zsplit", method="auto").pvalue)
    return p if p < P_THRESHOLD else None
