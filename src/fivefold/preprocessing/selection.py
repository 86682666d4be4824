"""Feature selection and projection, fitted on training rows.

The encoder of a trained autoencoder as steps of a chain: what another model takes of it, without PyTorch.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file
from sklearn.decomposition import PCA

from ..config.selection import L1, Encoded, KBest, KeepAll, Pca, Percentile, Rfe, Selection, Variance
from ..data.baselines import joined
from ..data.dataset import Array
from ..data.schema import Schema
from ..data.storage import verify
from ..errors import ArtifactError, DataError
from .feature_scores import Choice, Choosing, choose, rows_to_fit, stability
from .pipeline import Chain, Step


@dataclass(frozen=True)
class Selected:
    """What a selection does to features, and the table that explains it.

    steps: none, or one `take` or `project`; of sequences behind a `take` that leaves their mask out.
    table: a row per feature, or per component of a PCA, best first: feature, score, p_value, kept, and stability, the
        share of resamples that keep the feature; NaN where there is none. A component's score is its share of the
        variance.
    score: what the column `score` is, for a plot's axis.
    names: of the features that come out, where they are other ones.
    summary: what became of the features, in a few words.
    hint: what else could be asked for, to stand behind the summary.
    """

    steps: tuple[Step, ...]
    table: pd.DataFrame
    score: str
    summary: str
    hint: str = ""
    names: tuple[str, ...] = ()


def fit_selection(
    x: Array,
    y: Array,
    schema: Schema,
    params: Selection,
    seed: int,
    names: Sequence[str] = (),
    encoder: Sequence[Step] = (),
) -> Selected:
    """Fit a selection on normalized training features x (n, ...) and their targets y (n,) or (n, k).

    Of several targets the first is looked at; with none, y is (n, 0). The mask of sequences is no feature: it has no
    score, and is not kept.

    names: of the columns of a table after scaling. encoder: of the autoencoder that is used, if one is.

    Raises:
        DataError: more is asked for than there are features, chi2 meets a negative feature, or nothing would be kept.
    """
    if schema.kind == "text":
        return _tokens(x, y, schema)
    flat, y = x.reshape(len(x), -1), leading(y)
    if isinstance(params, Encoded):
        return _encoded(x, y, schema, encoder, seed)
    names = feature_names(schema, x.shape[1:], names)
    unmasked: tuple[Step, ...] = ()
    if schema.kind == "sequences":
        real = np.flatnonzero(np.arange(flat.shape[1]) % x.shape[-1] < len(schema.features))
        flat, unmasked = flat[:, real], (Step("take", {"index": real}),)
    match params:
        case KeepAll():
            return replace(_all_kept(flat, y, schema, names, seed), steps=(), names=())
        case Pca():
            selected = _pca(flat, params, seed)
        case _:
            selected = _chosen(flat, y, schema, names, params, seed)
    return replace(selected, steps=(*unmasked, *selected.steps))


def feature_names(schema: Schema, shape: Sequence[int], names: Sequence[str] = ()) -> list[str]:
    """Return a name for each feature of a flattened record of `shape`.

    Columns; pixels as c<channel>_y<row>_x<column>; values of a sequence or series as <name>_t<step>, without the mask.
    """
    match schema.kind:
        case "images":
            return [f"c{c}_y{y}_x{x}" for c, y, x in np.ndindex(*shape)]
        case "table":
            return list(names or schema.features)
        case _:
            return [f"{name}_t{step}" for step in range(shape[0]) for name in schema.features]


def leading(y: Array) -> Array:
    """Return the first of targets y (n,) or (n, k); of none, (n, 0), what there is."""
    return y if y.ndim == 1 or not y.shape[1] else y[:, 0]


def _tokens(x: Array, y: Array, schema: Schema) -> Selected:
    """Nothing is chosen of a text; the table shows which tokens tell most by themselves, or the most frequent ones.

    They tell by chi squared: how far a token's counts in the classes are from the classes' shares of all tokens.
    """
    size = len(schema.vocabulary)
    if schema.task == "classification":
        of_class = (x[y == label].ravel() for label in range(len(schema.classes)))
        counts = np.stack([np.bincount(tokens, minlength=size)[1:] for tokens in of_class])  # 0 is padding
        expected = counts.sum(axis=1, keepdims=True) / counts.sum() * counts.sum(axis=0)
        parts = np.divide((counts - expected) ** 2, expected, out=np.zeros_like(expected), where=expected > 0)
        scores, label = parts.sum(axis=0), "chi squared of counts"
    else:
        tokens = joined(x) if schema.task == "language" else x
        scores, label = np.bincount(tokens.ravel(), minlength=size)[1:], "count in training rows"
    table = _table(list(schema.vocabulary[1:]), scores).iloc[np.argsort(-scores, kind="stable")]
    return Selected((), table, label, f"{size} tokens, in texts of {schema.shape[0]}")


def _chosen(x: Array, y: Array, schema: Schema, names: list[str], params: Choosing, seed: int) -> Selected:
    _possible(x, names, params)
    classes = bool(schema.classes)
    rows = rows_to_fit(x, y, params, classes, seed)
    fitted = x[rows]
    choice = choose(fitted, y[rows], params, classes, seed)
    if not choice.kept.any():
        raise DataError(_nothing_kept(choice, params))
    share = stability(x, y, params, classes, seed)
    step = Step("take", {"index": np.flatnonzero(choice.kept)})
    fewer = f", judged by {len(fitted)} of {len(x)} rows" if len(fitted) < len(x) else ""
    summary = f"{choice.kept.sum()} of {len(names)} features kept{fewer}"
    costly = params.stability is None and np.isnan(share).all()
    hint = "; set select.stability to see how surely each is kept" if costly else ""
    table = _table(names, choice.scores, choice.p_value, choice.kept, share).iloc[choice.order]
    left = tuple(np.array(names)[choice.kept].tolist())
    return Selected((step,), table, _label(params), summary, hint, left)


def _all_kept(x: Array, y: Array, schema: Schema, names: list[str], seed: int) -> Selected:
    """Nothing is chosen; the table still shows which features tell most by themselves, or with no target vary most."""
    if not schema.target:
        variance = x.var(axis=0, dtype=np.float64)
        table = _table(names, variance).iloc[np.argsort(-variance, kind="stable")]
        return Selected((), table, "variance", f"{len(names)} of {len(names)} features kept")
    return _chosen(x, y, schema, names, KBest(method="k_best", score="f", k=len(names), stability=0), seed)


def _encoded(x: Array, y: Array, schema: Schema, encoder: Sequence[Step], seed: int) -> Selected:
    codes = Chain("float32", tuple(step.cast("float32") for step in encoder))(x)
    deviation = codes.std(axis=0, dtype=np.float64)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)  # a dead unit stays 0
    even = Step("affine", {"shift": codes.mean(axis=0, dtype=np.float64), "scale": scale})
    table = _all_kept(even(codes), y, schema, [f"code_{i + 1}" for i in range(codes.shape[1])], seed)
    return replace(table, steps=(*encoder, even), summary=f"a code of {codes.shape[1]} numbers of {x[0].size} features")


def _possible(x: Array, names: list[str], params: Choosing) -> None:
    """Refuse what cannot be done with these features."""
    if isinstance(params, KBest | L1 | Rfe):
        _at_most(params.k, len(names), "k", "features")
    if isinstance(params, KBest | Percentile) and params.score == "mutual_info" and len(x) < 4:
        raise DataError(
            f"mutual_info looks at 3 neighbours of a row, but there are {len(x)} training rows; set `score: f`"
        )
    if isinstance(params, KBest | Percentile) and params.score == "chi2" and x.min() < 0:
        column = int(x.min(axis=0).argmin())
        raise DataError(
            f"chi2 needs features that are never negative, but {names[column]!r} reaches {x[:, column].min():.3g} after"
            " normalization; set `normalize: minmax` for the dataset, or `score: f`"
        )


def _at_most(asked: int, limit: int, key: str, what: str) -> None:
    if asked > limit:
        raise DataError(f"select.{key} must be at most the number of {what}, {limit}, but is {asked}; lower it")


def _nothing_kept(choice: Choice, params: Choosing) -> str:
    match params:
        case Variance(threshold=0):
            return "select.threshold 0 keeps features that vary, but none does; choose other features, or method none"
        case Variance():
            most = f"the largest variance of a normalized feature, {choice.scores.max():.3g},"
            return f"select.threshold must be less than {most} but is {params.threshold:g}; lower it"
        case L1():
            return f"select.strength must leave a feature its weight, but at {params.strength:g} all are 0; lower it"
        case Percentile():
            of = f"one of {len(choice.kept)} features, the best of which score alike,"
            return f"select.percent must keep at least {of} but is {params.percent:g}; raise it"
        case _:
            raise AssertionError(f"{params.method} keeps as many as it is told")


def _label(params: Choosing) -> str:
    """Return what a score is."""
    match params:
        case Variance():
            return "variance"
        case L1():
            return "absolute weight"
        case Rfe():
            return "absolute weight in the last round"
        case _:
            return {"chi2": "chi squared", "f": "F", "mutual_info": "mutual information, nats"}[params.score]


def _pca(x: Array, params: Pca, seed: int) -> Selected:
    _at_most(params.components, min(x.shape), "components", "features and training rows")
    pca = PCA(params.components, whiten=params.whiten, random_state=seed).fit(x.astype(np.float64))
    matrix = pca.components_.T
    if params.whiten:
        deviation = np.sqrt(pca.explained_variance_)
        matrix = matrix / np.maximum(deviation, np.finfo(deviation.dtype).eps)  # as scikit-learn does
    names = [f"component_{i + 1}" for i in range(params.components)]
    step = Step("project", {"shift": pca.mean_, "matrix": matrix})
    share = pca.explained_variance_ratio_.sum()
    summary = f"{params.components} components of {x.shape[1]} features, {share:.0%} of the variance"
    return Selected(
        (step,), _table(names, pca.explained_variance_ratio_), "share of variance", summary, names=tuple(names)
    )


def _table(
    names: list[str],
    score: Array | float = np.nan,
    p_value: Array | float = np.nan,
    kept: Array | bool = True,
    stability: Array | float = np.nan,
) -> pd.DataFrame:
    columns = {"feature": names, "score": score, "p_value": p_value, "kept": kept, "stability": stability}
    return pd.DataFrame(columns, index=range(len(names)))


def encoder_of(folder: Path) -> tuple[Step, ...]:
    """Return what leads from features, as the autoencoder in `folder` sees them, to its codes (n, l).

    Raises:
        ArtifactError: it is missing, was altered, or is no dense or convolutional autoencoder.
    """
    verify(folder)
    layers = json.loads((folder / "model.json").read_text()).get("encoder")
    if layers is None:
        raise ArtifactError(f"{folder} must hold a dense or conv autoencoder, but does not; run `dvc repro` again")
    weights = load_file(folder / "weights.safetensors")
    return tuple(step for layer in layers for step in _steps(layer, weights))


def _steps(layer: dict[str, Any], weights: dict[str, Array]) -> Iterator[Step]:
    """Yield the steps of a layer, as models/autoencoder/head.py tells it."""
    kind, at = layer["kind"], layer.get("at")
    own = {name: weights[f"{at}.{name}"] for name in ("weight", "bias") if f"{at}.{name}" in weights}
    match kind:
        case "dense":
            yield Step("dense", {"bias": np.zeros(len(own["weight"]), np.float32)} | own)
        case "convolve":
            sizes = {name: np.array([layer[name]]) for name in ("stride", "padding")}
            yield Step("convolve", {"bias": np.zeros(len(own["weight"]), np.float32)} | own | sizes)
        case "norm":
            across = (-1, *(1,) * layer["places"])
            mean, variance = (weights[f"{at}.running_{name}"].reshape(across) for name in ("mean", "var"))
            gain, bias = (own[name].reshape(across) for name in ("weight", "bias"))
            yield Step("affine", {"shift": mean, "scale": gain / np.sqrt(variance + np.float32(layer["eps"]))})
            yield Step("affine", {"shift": -bias, "scale": np.ones_like(bias)})
        case _:
            yield Step(kind, {})
