"""Pruning rules: a median rule over the epochs of the first fold, then a paired test over the finished folds.

Median over epochs: Golovin et al. 2017, Google Vizier. Paired signed ranks over folds: Wilcoxon 1945, as in Optuna's
WilcoxonPruner. Scores are oriented such that higher is better.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import wilcoxon

N_STARTUP_TRIALS = 5
"""Finished trials required before epochs are compared."""
WARMUP_FRACTION = 2 / 3
"""Fraction of the epochs that are never compared: with a schedule that rises and falls, a score is informative only
near the end. Of 1/3, 1/2 and 2/3, the last one lost least in `benchmarks/bench_pruning.py`."""
P_THRESHOLD = 0.26
"""p-value of the paired test below which a trial is pruned. Two folds that are both worse have p = 0.25; with Optuna's
default of 0.1, only the fifth of five folds could be saved."""


def compute_median_curve(curves: Sequence[Sequence[float]]) -> Sequence[float]:
    """Return, per epoch, the median over trials of the best score so far; NaN where fewer than 5 trials have one.

    curves: score per epoch of the first fold, of finished trials; a trial that ended early keeps its last best score.
    """
    longest = max(map(len, curves), default=0)
    best = np.full((len(curves), longest), -math.inf)  # (trials, epochs)
    for row, curve in zip(best, curves, strict=True):
        row[: len(curve)] = np.where(np.isnan(curve), -math.inf, curve)
    best = np.maximum.accumulate(best, axis=1)
    best[np.isneginf(best)] = math.nan
    known = np.isfinite(best).sum(axis=0) >= N_STARTUP_TRIALS
    medians = np.full(longest, math.nan)
    medians[known] = np.nanmedian(best[:, known], axis=0)
    return list(medians)


def is_below_median(curve: Sequence[float], median_curve: Sequence[float], max_epochs: int) -> bool:
    """Return whether the best score so far is below the median at this epoch.

    curve: score of each epoch so far. median_curve: see `compute_median_curve`. max_epochs: of the training.
    """
    done = len(curve)
    if not median_curve or done <= WARMUP_FRACTION * max_epochs or done >= max_epochs:
        return False
    best = max((score for score in curve if not math.isnan(score)), default=-math.inf)
    return best < median_curve[min(done, len(median_curve)) - 1]  # never below NaN


def paired_test_p_value(scores: Sequence[float], best_scores: Sequence[float]) -> float | None:
    """Return the p-value of the finished folds being worse than the best trial's, or None from `P_THRESHOLD` on."""
    differences = np.asarray(scores) - np.asarray(best_scores[: len(scores)])
    if len(differences) < 2 or len(differences) >= len(best_scores) or not differences.any():
        return None
    p = float(wilcoxon(differences, alternative="less", zero_method="zsplit", method="auto").pvalue)
    return p if p < P_THRESHOLD else None
