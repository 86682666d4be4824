"""When a trial is given up: by the epochs of its first fold, then by a paired test over the folds that are done.

Median over epochs: Golovin et al. 2017, Google Vizier. Paired signed ranks over folds: Wilcoxon 1945, as Optuna's
WilcoxonPruner does it. Scores here are such that more is better.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import wilcoxon

STARTUP = 5
"""Trials that must have come to their end before epochs are compared."""
WARMUP = 2 / 3
"""Share of the epochs that are never compared: a schedule that rises and falls tells good from bad near its end only.
Of a third, a half and two thirds the last lost least in `benchmarks/bench_pruning.py`."""
LEVEL = 0.26
"""Of the paired test. Two folds that are both worse reach 0.25; at Optuna's default of 0.1 nothing is saved before the
fifth fold of five."""


def medians(curves: Sequence[Sequence[float]]) -> Sequence[float]:
    """Return, epoch by epoch, the median of the best scores that trials had reached by then; NaN where too few had.

    curves: of trials that have come to the end of their first fold; one that ended early stays where it was.
    """
    longest = max(map(len, curves), default=0)
    best = np.full((len(curves), longest), -math.inf)  # (trials, epochs)
    for row, curve in zip(best, curves, strict=True):
        row[: len(curve)] = np.where(np.isnan(curve), -math.inf, curve)
    best = np.maximum.accumulate(best, axis=1)
    best[np.isneginf(best)] = math.nan
    known = np.isfinite(best).sum(axis=0) >= STARTUP
    found = np.full(longest, math.nan)
    found[known] = np.nanmedian(best[:, known], axis=0)
    return list(found)


def behind_median(curve: Sequence[float], reached: Sequence[float], epochs: int) -> bool:
    """Return whether the best score so far is below what `medians` says that others had reached by this epoch.

    curve: score of each epoch so far.
    """
    done = len(curve)
    if not reached or done <= WARMUP * epochs or done >= epochs:
        return False
    best = max((score for score in curve if not math.isnan(score)), default=-math.inf)
    return best < reached[min(done, len(reached)) - 1]  # never below NaN


def behind_best(scores: Sequence[float], best: Sequence[float]) -> float | None:
    """Return the p-value by which finished folds are worse than those of the best trial, if that is below `LEVEL`."""
    gains = np.asarray(scores) - np.asarray(best[: len(scores)])
    if len(gains) < 2 or len(gains) >= len(best) or not gains.any():
        return None
    p = float(wilcoxon(gains, alternative="less", zero_method="zsplit", method="auto").pvalue)
    return p if p < LEVEL else None
