"""Which features a method keeps, and how surely: scikit-learn on normalized training rows.

Shapes: n rows, f features.
"""

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.feature_selection import (
    RFE,
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
    chi2,
    f_classif,
    f_regression,
    mutual_info_classif,
    mutual_info_regression,
)
from sklearn.linear_model import Lasso, LogisticRegression, Ridge, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier

from ..config.selection import L1, KBest, Percentile, Rfe, Variance
from ..data.dataset import Array

Choosing = KBest | Percentile | Variance | L1 | Rfe

CELLS = 2_000_000
"""Numbers that a costly method looks at, at most: it is fitted on fewer rows where there are more."""

RESAMPLES = 20
"""Where nobody says how many; a costly method does without."""

ROUNDING = 1e-6
"""Share by which a variance must be above the threshold: that of float32 numbers is not known better."""

RESAMPLE = 2_000
"""Rows of a resample, at most."""


@dataclass(frozen=True)
class Choice:
    """What a method says of each feature.

    kept:    (f,) whether it is kept; it may be none
    scores:  (f,) the more the better; NaN where a feature has none
    p_value: (f,) or NaN where the method knows none
    order:   (f,) the features, best first
    """

    kept: Array
    scores: Array
    p_value: Array | float
    order: Array


def choose(x: Array, y: Array, params: Choosing, classes: bool, seed: int) -> Choice:
    """Return what the method says of features x (n, f) whose targets are y (n,), indices of classes or values."""
    with warnings.catch_warnings(action="ignore"):  # of constant features: prepare's checks name them
        match params:
            case KBest():
                return _one_by_one(SelectKBest(_score(params.score, classes, seed), k=params.k).fit(x, y))
            case Percentile():
                score = _score(params.score, classes, seed)
                return _one_by_one(SelectPercentile(score, percentile=params.percent).fit(x, y))
            case Variance():
                selector = VarianceThreshold(params.threshold)
                with suppress(ValueError):  # nothing is kept
                    selector.fit(x)
                variances = selector.variances_
                kept = variances > params.threshold * (1 + ROUNDING)
                return Choice(kept, variances, np.nan, np.argsort(-variances, kind="stable"))
            case L1():
                return _l1(x, y, params, classes, seed)
            case Rfe():
                return _rfe(x, y, params, classes)


def stability(x: Array, y: Array, params: Choosing, classes: bool, seed: int) -> Array:
    """Return the share of resamples that keep each feature (f,), NaN where no resample is drawn.

    A resample is half of the rows, drawn without putting back (Meinshausen & Buehlmann 2010), at most `RESAMPLE`.
    """
    resamples = (0 if _costly(params) else RESAMPLES) if params.stability is None else params.stability
    random = np.random.default_rng(seed)
    drawn = (draw(y, min(0.5, RESAMPLE / len(y)), classes, random) for _ in range(resamples))
    kept = [choose(x[rows], y[rows], params, classes, seed).kept for rows in drawn]
    return np.mean(kept, axis=0) if kept else np.full(x.shape[1], np.nan)


def rows_to_fit(x: Array, y: Array, params: Choosing, classes: bool, seed: int) -> Array | slice:
    """Return the rows that the method is fitted on: all, or so many that a costly one sees `CELLS` numbers."""
    if not _costly(params) or x.size <= CELLS:
        return slice(None)
    return draw(y, CELLS / x.size, classes, np.random.default_rng(seed))


def _costly(params: Choosing) -> bool:
    return isinstance(params, L1 | Rfe) or (isinstance(params, KBest | Percentile) and params.score == "mutual_info")


def draw(y: Array, share: float, classes: bool, random: np.random.Generator) -> Array:
    """Return the indices of a share of rows, in order: the same of each class, but the four that mutual_info needs."""
    groups = [np.flatnonzero(y == label) for label in np.unique(y)] if classes else [np.arange(len(y))]
    return np.sort(np.concatenate([random.permutation(g)[: max(4, int(len(g) * share))] for g in groups]))


def _score(name: str, classes: bool, seed: int) -> Callable[..., object]:
    match name:
        case "chi2":
            score: Callable[..., object] = chi2
        case "f":
            score = partial(_varying, f_classif if classes else _f_of_values)
        case _:
            score = partial(mutual_info_classif if classes else mutual_info_regression, random_state=seed)
    return score


def _varying(function: Callable[..., tuple[Array, Array]], x: Array, y: Array) -> tuple[Array, Array]:
    """Scores and p of each feature; one that never changes has none, where rounding would give it any F."""
    scores, p_value = function(x, y)
    same = np.ptp(x, axis=0) == 0
    return np.where(same, np.nan, scores), np.where(same, np.nan, p_value)


def _f_of_values(x: Array, y: Array) -> tuple[Array, Array]:
    """F and p of each feature; of one that tells the target exactly, rounding can give a negative F: it is infinite."""
    scores, p_value = f_regression(x, y)
    exact = (scores < 0) | (scores >= np.finfo(np.float32).max)
    return np.where(exact, np.inf, scores), np.where(exact, 0.0, p_value)


def _one_by_one(fitted: SelectKBest | SelectPercentile) -> Choice:
    kept, scores = fitted.get_support(), fitted.scores_
    p_value = np.nan if fitted.pvalues_ is None else fitted.pvalues_
    return Choice(kept, scores, p_value, np.lexsort((~kept, -scores)))  # of equal ones those that are kept first


def _l1(x: Array, y: Array, params: L1, classes: bool, seed: int) -> Choice:
    """Scores are absolute weights, over classes their sum: one class against the rest each, as liblinear does it.

    liblinear finds in a second what saga needs minutes for, but penalizes the intercept too; features of mean 0 and an
    intercept of large scale leave it as good as free.
    """
    x = x - x.mean(axis=0, dtype=np.float64)
    if classes:
        model = LogisticRegression(
            l1_ratio=1,
            C=1 / (params.strength * len(x)),
            solver="liblinear",
            tol=1e-6,
            max_iter=1000,
            intercept_scaling=100,
            random_state=seed,
        )
        weights = np.concatenate([one.coef_ for one in OneVsRestClassifier(model).fit(x, y).estimators_])
    else:
        weights = Lasso(alpha=params.strength).fit(x, (y - y.mean()) / (y.std() or 1)).coef_[None]
    scores = np.abs(weights).sum(axis=0)
    order = np.argsort(-scores, kind="stable")
    kept = scores > 0
    if params.k:
        kept[order[params.k :]] = False
    return Choice(kept, scores, np.nan, order)


def _rfe(x: Array, y: Array, params: Rfe, classes: bool) -> Choice:
    """Scores are absolute weights of the last round, over classes their sum; a feature left out before has none."""
    model = RidgeClassifier() if classes else Ridge()
    fitted = RFE(model, n_features_to_select=params.k, step=params.step).fit(x, y)
    scores = np.full(x.shape[1], np.nan)
    scores[fitted.support_] = np.abs(np.atleast_2d(fitted.estimator_.coef_)).sum(axis=0)
    return Choice(fitted.support_, scores, np.nan, np.lexsort((-scores, fitted.ranking_)))
