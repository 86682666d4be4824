"""Feature scores, selection and its stability, with scikit-learn on normalized training rows.

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
"""Maximum number of values (rows times features) that an expensive method is fitted on; larger data is subsampled."""

DEFAULT_RESAMPLES = 20
"""Default number of resamples of a cheap method; an expensive method has none by default."""

VARIANCE_TOLERANCE = 1e-6
"""Relative margin by which a variance must exceed the threshold, because float32 values are not more precise."""

MAX_RESAMPLE_ROWS = 2_000
"""Maximum number of rows of a resample."""


@dataclass(frozen=True)
class FeatureScores:
    """Scores of a selection method.

    support:  (f,) whether each feature is selected; it may be none
    scores:   (f,) higher is better; NaN for a feature without a score
    p_values: (f,) or NaN if the method has none
    ranking:  (f,) indices of the features, best first
    """

    support: Array
    scores: Array
    p_values: Array | float
    ranking: Array


def score_features(x: Array, y: Array, params: SelectorParams, is_classification: bool, seed: int) -> FeatureScores:
    """Return the scores of features x (n, f) for targets y (n,), class indices or values."""
    with warnings.catch_warnings(action="ignore"):  # about constant features, which the checks of prepare report
        match params:
            case KBestSelection():
                return _univariate_scores(
                    SelectKBest(_score_function(params.score_func, is_classification, seed), k=params.k).fit(x, y)
                )
            case PercentileSelection():
                score_function = _score_function(params.score_func, is_classification, seed)
                return _univariate_scores(SelectPercentile(score_function, percentile=params.percentile).fit(x, y))
            case VarianceSelection():
                selector = VarianceThreshold(params.threshold)
                with suppress(ValueError):  # no feature is selected
                    selector.fit(x)
                variances = selector.variances_
                support = variances > params.threshold * (1 + VARIANCE_TOLERANCE)
                return FeatureScores(support, variances, np.nan, np.argsort(-variances, kind="stable"))
            case L1Selection():
                return _l1_scores(x, y, params, is_classification, seed)
            case RFESelection():
                return _rfe_scores(x, y, params, is_classification)


def estimate_stability(x: Array, y: Array, params: SelectorParams, is_classification: bool, seed: int) -> Array:
    """Return the fraction of resamples in which each feature is selected (f,); NaN without resamples.

    A resample is half of the rows, drawn without replacement (Meinshausen & Buehlmann 2010), at most
    `MAX_RESAMPLE_ROWS`.
    """
    n_resamples = (
        (0 if _is_expensive(params) else DEFAULT_RESAMPLES)
        if params.stability_resamples is None
        else params.stability_resamples
    )
    rng = np.random.default_rng(seed)
    samples = (sample_rows(y, min(0.5, MAX_RESAMPLE_ROWS / len(y)), is_classification, rng) for _ in range(n_resamples))
    supports = [score_features(x[rows], y[rows], params, is_classification, seed).support for rows in samples]
    return np.mean(supports, axis=0) if supports else np.full(x.shape[1], np.nan)


def subsample(x: Array, y: Array, params: SelectorParams, is_classification: bool, seed: int) -> Array | slice:
    """Return the rows to fit the method on: all, or a subsample of `MAX_CELLS` values for an expensive method."""
    if not _is_expensive(params) or x.size <= MAX_CELLS:
        return slice(None)
    return sample_rows(y, MAX_CELLS / x.size, is_classification, np.random.default_rng(seed))


def _is_expensive(params: SelectorParams) -> bool:
    return isinstance(params, L1Selection | RFESelection) or (
        isinstance(params, KBestSelection | PercentileSelection) and params.score_func == "mutual_info"
    )


def sample_rows(y: Array, fraction: float, is_classification: bool, rng: np.random.Generator) -> Array:
    """Return sorted indices of a stratified sample of rows; at least 4 of each class, which mutual_info needs."""
    groups = [np.flatnonzero(y == label) for label in np.unique(y)] if is_classification else [np.arange(len(y))]
    return np.sort(np.concatenate([rng.permutation(group)[: max(4, int(len(group) * fraction))] for group in groups]))


def _score_function(name: str, is_classification: bool, seed: int) -> Callable[..., object]:
    match name:
        case "chi2":
            function: Callable[..., object] = chi2
        case "f":
            function = partial(_mask_constant_scores, f_classif if is_classification else _f_regression_scores)
        case _:
            function = partial(mutual_info_classif if is_classification else mutual_info_regression, random_state=seed)
    return function


def _mask_constant_scores(function: Callable[..., tuple[Array, Array]], x: Array, y: Array) -> tuple[Array, Array]:
    """Return scores and p-values, NaN for constant features, whose F statistic would be a rounding artifact."""
    scores, p_values = function(x, y)
    constant = np.ptp(x, axis=0) == 0
    return np.where(constant, np.nan, scores), np.where(constant, np.nan, p_values)


def _f_regression_scores(x: Array, y: Array) -> tuple[Array, Array]:
    """Return F statistics and p-values; infinite F for an exact fit, where rounding can make F negative."""
    scores, p_values = f_regression(x, y)
    exact = (scores < 0) | (scores >= np.finfo(np.float32).max)
    return np.where(exact, np.inf, scores), np.where(exact, 0.0, p_values)


def _univariate_scores(selector: SelectKBest | SelectPercentile) -> FeatureScores:
    support, scores = selector.get_support(), selector.scores_
    p_values = np.nan if selector.pvalues_ is None else selector.pvalues_
    ranking = np.lexsort((~support, -scores))  # among equal scores, selected features first
    return FeatureScores(support, scores, p_values, ranking)


def _l1_scores(x: Array, y: Array, params: L1Selection, is_classification: bool, seed: int) -> FeatureScores:
    """Return absolute coefficients, summed over classes (one-vs-rest, because liblinear is binary).

    liblinear needs a second where saga needs minutes, but also penalizes the intercept; centered features and a large
    `intercept_scaling` make that penalty negligible.
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
        coefficients = np.concatenate(
            [estimator.coef_ for estimator in OneVsRestClassifier(model).fit(x, y).estimators_]
        )
    else:
        coefficients = Lasso(alpha=params.alpha).fit(x, (y - y.mean()) / (y.std() or 1)).coef_[None]
    scores = np.abs(coefficients).sum(axis=0)
    ranking = np.argsort(-scores, kind="stable")
    support = scores > 0
    if params.max_features:
        support[ranking[params.max_features :]] = False
    return FeatureScores(support, scores, np.nan, ranking)


def _rfe_scores(x: Array, y: Array, params: RFESelection, is_classification: bool) -> FeatureScores:
    """Return absolute coefficients of the last iteration, summed over classes; NaN for features eliminated earlier."""
    model = RidgeClassifier() if is_classification else Ridge()
    rfe = RFE(model, n_features_to_select=params.n_features_to_select, step=params.step).fit(x, y)
    scores = np.full(x.shape[1], np.nan)
    scores[rfe.support_] = np.abs(np.atleast_2d(rfe.estimator_.coef_)).sum(axis=0)
    return FeatureScores(rfe.support_, scores, np.nan, np.lexsort((-scores, rfe.ranking_)))
