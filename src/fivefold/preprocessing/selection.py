"""Feature selection and projection, fitted on training rows."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.feature_selection import (
    SelectKBest,
    chi2,
    f_classif,
    f_regression,
    mutual_info_classif,
    mutual_info_regression,
)

from ..data.records import Array
from ..data.schema import Schema
from ..errors import DataError
from ..params.selection import KBest, Pca, Selection
from .chain import Step


@dataclass(frozen=True)
class Selected:
    """What a selection does to features, and the table that explains it.

    steps: none, one `take` or one `project`.
    table: a row per feature (feature, score, p_value, kept) or per component (feature, score, kept), best first;
        a component's score is its share of the variance.
    score: what the column `score` is, for a plot's axis.
    summary: what became of the features, in a few words.
    """

    steps: tuple[Step, ...]
    table: pd.DataFrame
    score: str
    summary: str


def fit_selection(
    x: Array, y: Array, schema: Schema, params: Selection, seed: int, names: Sequence[str] = ()
) -> Selected:
    """Fit a selection on normalized training features x (n, ...) and their targets y (n,) or (n, k).

    names: of the features along the last axis, where they have names.

    Raises:
        DataError: more is asked for than there are features, or chi2 meets a negative feature.
    """
    if schema.kind == "text":
        empty = pd.DataFrame({"feature": [], "score": [], "kept": []})
        return Selected((), empty, "score", f"{len(schema.vocabulary)} tokens, in texts of {schema.shape[0]}")
    flat, y = x.reshape(len(x), -1), y if y.ndim == 1 else y[:, 0]
    names = feature_names(schema, x.shape[1:], names)
    match params:
        case KBest():
            return _k_best(flat, y, schema, names, params, seed)
        case Pca():
            return _pca(flat, params, seed)
        case _:
            # nothing is chosen; the table still shows which features tell most by themselves
            all_kept = KBest(method="k_best", score="f", k=len(names))
            return replace(_k_best(flat, y, schema, names, all_kept, seed), steps=())


def feature_names(schema: Schema, shape: Sequence[int], names: Sequence[str] = ()) -> list[str]:
    """Return a name for each feature of a flattened record of `shape`.

    Columns; pixels as c<channel>_y<row>_x<column>; values of a sequence as <name>_t<step>.
    """
    match schema.kind:
        case "images":
            return [f"c{c}_y{y}_x{x}" for c, y, x in np.ndindex(*shape)]
        case "table":
            return list(names or schema.features)
        case _:
            return [f"{name}_t{step}" for step in range(shape[0]) for name in names]


def _k_best(x: Array, y: Array, schema: Schema, names: list[str], params: KBest, seed: int) -> Selected:
    _at_most(params.k, len(names), "k", "features")
    if params.score == "chi2" and x.min() < 0:
        column = int(x.min(axis=0).argmin())
        raise DataError(
            f"chi2 needs features that are never negative, but {names[column]!r} reaches {x[:, column].min():.3g} after"
            " normalization; set `normalize: minmax` for the dataset, or `score: f`"
        )
    with warnings.catch_warnings(action="ignore"):  # of constant features: prepare's checks name them
        selector = SelectKBest(_score(params.score, bool(schema.classes), seed), k=params.k).fit(x, y)
    kept = selector.get_support()
    table = pd.DataFrame(
        {
            "feature": names,
            "score": selector.scores_,
            "p_value": np.nan if selector.pvalues_ is None else selector.pvalues_,
            "kept": kept,
        }
    )
    step = Step("take", {"index": np.flatnonzero(kept)})
    best_first = table.sort_values("score", ascending=False, kind="stable")
    return Selected((step,), best_first, params.score, f"{params.k} of {len(names)} features kept")


def _score(name: str, classes: bool, seed: int) -> Callable[..., object]:
    match name:
        case "chi2":
            score: Callable[..., object] = chi2
        case "f":
            score = f_classif if classes else f_regression
        case _:
            score = partial(mutual_info_classif if classes else mutual_info_regression, random_state=seed)
    return score


def _pca(x: Array, params: Pca, seed: int) -> Selected:
    _at_most(params.components, min(x.shape), "components", "features and training rows")
    pca = PCA(params.components, whiten=params.whiten, random_state=seed).fit(x.astype(np.float64))
    matrix = pca.components_.T
    if params.whiten:
        deviation = np.sqrt(pca.explained_variance_)
        matrix = matrix / np.maximum(deviation, np.finfo(deviation.dtype).eps)  # as scikit-learn does
    table = pd.DataFrame(
        {
            "feature": [f"component_{i + 1}" for i in range(params.components)],
            "score": pca.explained_variance_ratio_,
            "kept": True,
        }
    )
    step = Step("project", {"shift": pca.mean_, "matrix": matrix})
    share = pca.explained_variance_ratio_.sum()
    summary = f"{params.components} components of {x.shape[1]} features, {share:.0%} of the variance"
    return Selected((step,), table, "share of variance", summary)


def _at_most(asked: int, limit: int, key: str, what: str) -> None:
    if asked > limit:
        raise DataError(f"select.{key} must be at most the number of {what}, {limit}, but is {asked}; lower it")
