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

from ..config.selection import KBestSelection, L1Selection, PercentileSelection, RFESelection, VarianceSelection
from ..data.dataset import Array

SelectorParams = KBestSelection | PercentileSelection | VarianceSelection | L1Selection | RFESelection

MAX_CELLS = 2_000_000
"""Numbers that a costly method looks at, at most: it is fitted on fewer rows where there are more."""

DEFAULT_RESAMPLES = 20
"""Where nobody says how many; a costly method does without."""

VARIANCE_TOLERANCE = 1e-6
"""Share by which a variance must be above the threshold: that of float32 numbers is not known better."""

MAX_RESAMPLE_ROWS = 2_000
"""Rows of a resample, at most."""


@dataclass(frozen=True)
class FeatureScores:
    """What a method says of each feature.

    kept:    (f,) whether it is kept; it may be none
    scores:  (f,) the more the better; NaN where a feature has none
    p_value: (f,) or NaN where the method knows none
    order:   (f,) the features, best first
    """

    support: Array
    scores: Array
    p_values: Array | float
    ranking: Array


def score_features(x: Array, y: Array, params: SelectorParams, is_classification: bool, seed: int) -> FeatureScores:
    """Return what the method says of features x (n, f) whose targets are y (n,), indices of classes or values."""
    with warnings.catch_warnings(action="ignore"):  # of constant features: prepare's checks name them
        match params:
            case KBestSelection():
                return _univariate_scores(
                    SelectKBest(_score_function(params.score_func, is_classification, seed), k=params.k).fit(x, y)
                )
            case PercentileSelection():
                score = _score_function(params.score_func, is_classification, seed)
                return _univariate_scores(SelectPercentile(score, percentile=params.percentile).fit(x, y))
            case VarianceSelection():
                selector = VarianceThreshold(params.threshold)
                with suppress(ValueError):  # nothing is kept
                    selector.fit(x)
                variances = selector.variances_
                kept = variances > params.threshold * (1 + VARIANCE_TOLERANCE)
                return FeatureScores(kept, variances, np.nan, np.argsort(-variances, kind="stable"))
            case L1Selection():
                return _l1_scores(x, y, params, is_classification, seed)
            case RFESelection():
                return _rfe_scores(x, y, params, is_classification)


def estimate_stability(x: Array, y: Array, params: SelectorParams, is_classification: bool, seed: int) -> Array:
    """Return the share of resamples that keep each feature (f,), NaN where no resample is drawn.

    A resample is half of the rows, drawn without putting back (Meinshausen & Buehlmann 2010), at most `RESAMPLE`.
    """
    resamples = (
        (0 if _is_expensive(params) else DEFAULT_RESAMPLES)
        if params.stability_resamples is None
        else params.stability_resamples
    )
    random = np.random.default_rng(seed)
    drawn = (sample_rows(y, min(0.5, MAX_RESAMPLE_ROWS / len(y)), is_classification, random) for _ in range(resamples))
    kept = [score_features(x[rows], y[rows], params, is_classification, seed).support for rows in drawn]
    return np.mean(kept, axis=0) if kept else np.full(x.shape[1], np.nan)


def subsample(x: Array, y: Array, params: SelectorParams, is_classification: bool, seed: int) -> Array | slice:
    """Return the rows that the method is fitted on: all, or so many that a costly one sees `CELLS` numbers."""
    if not _is_expensive(params) or x.size <= MAX_CELLS:
        return slice(None)
    return sample_rows(y, MAX_CELLS / x.size, is_classification, np.random.default_rng(seed))


def _is_expensive(params: SelectorParams) -> bool:
    return isinstance(params, L1Selection | RFESelection) or (
        isinstance(params, KBestSelection | PercentileSelection) and params.score_func == "mutual_info"
    )


def sample_rows(y: Array, fraction: float, is_classification: bool, rng: np.random.Generator) -> Array:
    """Return the indices of a share of rows, in order: the same of each class, but the four that mutual_info needs."""
    groups = [np.flatnonzero(y == label) for label in np.unique(y)] if is_classification else [np.arange(len(y))]
    return np.sort(np.concatenate([rng.permutation(g)[: max(4, int(len(g) * fraction))] for g in groups]))


def _score_function(name: str, is_classification: bool, seed: int) -> Callable[..., object]:
    match name:
        case "chi2":
            score: Callable[..., object] = chi2
        case "f":
            score = partial(_mask_constant_scores, f_classif if is_classification else _f_regression_scores)
        case _:
            score = partial(mutual_info_classif if is_classification else mutual_info_regression, random_state=seed)
    return score


def _mask_constant_scores(function: Callable[..., tuple[Array, Array]], x: Array, y: Array) -> tuple[Array, Array]:
    """Scores and p of each feature; one that never changes has none, where rounding would give it any F."""
    scores, p_value = function(x, y)
    same = np.ptp(x, axis=0) == 0
    return np.where(same, np.nan, scores), np.where(same, np.nan, p_value)


def _f_regression_scores(x: Array, y: Array) -> tuple[Array, Array]:
    """F and p of each feature; of one that tells the target exactly, rounding can give a negative F: it is infinite."""
    scores, p_value = f_regression(x, y)
    exact = (scores < 0) | (scores >= np.finfo(np.float32).max)
    return np.where(exact, np.inf, scores), np.where(exact, 0.0, p_value)


def _univariate_scores(selector: SelectKBest | SelectPercentile) -> FeatureScores:
    kept, scores = selector.get_support(), selector.scores_
    p_value = np.nan if selector.pvalues_ is None else selector.pvalues_
    return FeatureScores(kept, scores, p_value, np.lexsort((~kept, -scores)))  # of equal ones those that are kept first


def _l1_scores(x: Array, y: Array, params: L1Selection, is_classification: bool, seed: int) -> FeatureScores:
    """Scores are absolute weights, over classes their sum: one class against the rest each, as liblinear does it.

    liblinear finds in a second what saga needs minutes for, but penalizes the intercept too; features of mean 0 and an
    intercept of large scale leave it as good as free.
    """
    x = x - x.mean(axis=0, dtype=np.float64)
    if is_classification:
        model = LogisticRegression(
            l1_ratio=1,
            C=1 / (params.alpha * len(x)),
            solver="liblinear",
            tol=1e-6,
            max_iter=1000,
            intercept_scaling=100,
            random_state=seed,
        )
        weights = np.concatenate([one.coef_ for one in OneVsRestClassifier(model).fit(x, y).estimators_])
    else:
        weights = Lasso(alpha=params.alpha).fit(x, (y - y.mean()) / (y.std() or 1)).coef_[None]
    scores = np.abs(weights).sum(axis=0)
    order = np.argsort(-scores, kind="stable")
    kept = scores > 0
    if params.max_features:
        kept[order[params.max_features :]] = False
    return FeatureScores(kept, scores, np.nan, order)


def _rfe_scores(x: Array, y: Array, params: RFESelection, is_classification: bool) -> FeatureScores:
    """Scores are absolute weights of the last round, over classes their sum; a feature left out before has none."""
    model = RidgeClassifier() if is_classification else Ridge()
    fitted = RFE(model, n_features_to_select=params.n_features_to_select, step=params.step).fit(x, y)
    scores = np.full(x.shape[1], np.nan)
    scores[fitted.support_] = np.abs(np.atleast_2d(fitted.estimator_.coef_)).sum(axis=0)
    return FeatureScores(fitted.support_, scores, np.nan, np.lexsort((-scores, fitted.ranking_)))
