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

from ..config.selection import (
    EncoderSelection,
    KBestSelection,
    L1Selection,
    NoSelection,
    PCASelection,
    PercentileSelection,
    RFESelection,
    SelectionConfig,
    VarianceSelection,
)
from ..data.baselines import join_windows
from ..data.dataset import Array
from ..data.schema import Schema
from ..data.storage import verify_manifest
from ..errors import ArtifactError, DataError
from .feature_scores import FeatureScores, SelectorParams, estimate_stability, score_features, subsample
from .pipeline import Pipeline, Step


@dataclass(frozen=True)
class FittedSelection:
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
    score_label: str
    summary: str
    hint: str = ""
    feature_names: tuple[str, ...] = ()


def fit_selection(
    x: Array,
    y: Array,
    schema: Schema,
    params: SelectionConfig,
    seed: int,
    names: Sequence[str] = (),
    encoder: Sequence[Step] = (),
) -> FittedSelection:
    """Fit a selection on normalized training features x (n, ...) and their targets y (n,) or (n, k).

    Of several targets the first is looked at; with none, y is (n, 0). The mask of sequences is no feature: it has no
    score, and is not kept.

    names: of the columns of a table after scaling. encoder: of the autoencoder that is used, if one is.

    Raises:
        DataError: more is asked for than there are features, chi2 meets a negative feature, or nothing would be kept.
    """
    if schema.kind == "text":
        return _score_tokens(x, y, schema)
    flat, y = x.reshape(len(x), -1), primary_target(y)
    if isinstance(params, EncoderSelection):
        return _encode_features(x, y, schema, encoder, seed)
    names = feature_names(schema, x.shape[1:], names)
    unmasked: tuple[Step, ...] = ()
    if schema.kind == "sequences":
        real = np.flatnonzero(np.arange(flat.shape[1]) % x.shape[-1] < len(schema.features))
        flat, unmasked = flat[:, real], (Step("take", {"index": real}),)
    match params:
        case NoSelection():
            return replace(_keep_all(flat, y, schema, names, seed), steps=(), feature_names=())
        case PCASelection():
            selected = _fit_pca(flat, params, seed)
        case _:
            selected = _select_features(flat, y, schema, names, params, seed)
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


def primary_target(y: Array) -> Array:
    """Return the first of targets y (n,) or (n, k); of none, (n, 0), what there is."""
    return y if y.ndim == 1 or not y.shape[1] else y[:, 0]


def _score_tokens(x: Array, y: Array, schema: Schema) -> FittedSelection:
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
        tokens = join_windows(x) if schema.task == "language_modeling" else x
        scores, label = np.bincount(tokens.ravel(), minlength=size)[1:], "count in training rows"
    table = _build_table(list(schema.vocabulary[1:]), scores).iloc[np.argsort(-scores, kind="stable")]
    return FittedSelection((), table, label, f"{size} tokens, in texts of {schema.shape[0]}")


def _select_features(
    x: Array, y: Array, schema: Schema, names: list[str], params: SelectorParams, seed: int
) -> FittedSelection:
    _check_feasible(x, names, params)
    classes = bool(schema.classes)
    rows = subsample(x, y, params, classes, seed)
    fitted = x[rows]
    choice = score_features(fitted, y[rows], params, classes, seed)
    if not choice.support.any():
        raise DataError(_nothing_selected_message(choice, params))
    share = estimate_stability(x, y, params, classes, seed)
    step = Step("take", {"index": np.flatnonzero(choice.support)})
    fewer = f", judged by {len(fitted)} of {len(x)} rows" if len(fitted) < len(x) else ""
    summary = f"{choice.support.sum()} of {len(names)} features kept{fewer}"
    costly = params.stability_resamples is None and np.isnan(share).all()
    hint = "; set select.stability_resamples to see how surely each is kept" if costly else ""
    table = _build_table(names, choice.scores, choice.p_values, choice.support, share).iloc[choice.ranking]
    left = tuple(np.array(names)[choice.support].tolist())
    return FittedSelection((step,), table, _score_label(params), summary, hint, left)


def _keep_all(x: Array, y: Array, schema: Schema, names: list[str], seed: int) -> FittedSelection:
    """Nothing is chosen; the table still shows which features tell most by themselves, or with no target vary most."""
    if not schema.target:
        variance = x.var(axis=0, dtype=np.float64)
        table = _build_table(names, variance).iloc[np.argsort(-variance, kind="stable")]
        return FittedSelection((), table, "variance", f"{len(names)} of {len(names)} features kept")
    return _select_features(
        x, y, schema, names, KBestSelection(method="k_best", score_func="f", k=len(names), stability_resamples=0), seed
    )


def _encode_features(x: Array, y: Array, schema: Schema, encoder: Sequence[Step], seed: int) -> FittedSelection:
    codes = Pipeline("float32", tuple(step.cast("float32") for step in encoder))(x)
    deviation = codes.std(axis=0, dtype=np.float64)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)  # a dead unit stays 0
    even = Step("affine", {"shift": codes.mean(axis=0, dtype=np.float64), "scale": scale})
    table = _keep_all(even(codes), y, schema, [f"code_{i + 1}" for i in range(codes.shape[1])], seed)
    return replace(table, steps=(*encoder, even), summary=f"a code of {codes.shape[1]} numbers of {x[0].size} features")


def _check_feasible(x: Array, names: list[str], params: SelectorParams) -> None:
    """Refuse what cannot be done with these features."""
    if isinstance(params, KBestSelection | L1Selection | RFESelection):
        at_most = {"k_best": "k", "l1": "max_features", "rfe": "n_features_to_select"}[params.method]
        _check_at_most(getattr(params, at_most), len(names), at_most, "features")
    if isinstance(params, KBestSelection | PercentileSelection) and params.score_func == "mutual_info" and len(x) < 4:
        raise DataError(
            f"mutual_info looks at 3 neighbours of a row, but there are {len(x)} training rows; set `score: f`"
        )
    if isinstance(params, KBestSelection | PercentileSelection) and params.score_func == "chi2" and x.min() < 0:
        column = int(x.min(axis=0).argmin())
        raise DataError(
            f"chi2 needs features that are never negative, but {names[column]!r} reaches {x[:, column].min():.3g} after"
            " normalization; set `normalize: minmax` for the dataset, or `score: f`"
        )


def _check_at_most(value: int, limit: int, key: str, what: str) -> None:
    if value > limit:
        raise DataError(f"select.{key} must be at most the number of {what}, {limit}, but is {value}; lower it")


def _nothing_selected_message(feature_scores: FeatureScores, params: SelectorParams) -> str:
    match params:
        case VarianceSelection(threshold=0):
            return "select.threshold 0 keeps features that vary, but none does; choose other features, or method none"
        case VarianceSelection():
            most = f"the largest variance of a normalized feature, {feature_scores.scores.max():.3g},"
            return f"select.threshold must be less than {most} but is {params.threshold:g}; lower it"
        case L1Selection():
            return f"select.alpha must leave a feature its weight, but at {params.alpha:g} all are 0; lower it"
        case PercentileSelection():
            of = f"one of {len(feature_scores.support)} features, the best of which score alike,"
            return f"select.percentile must keep at least {of} but is {params.percentile:g}; raise it"
        case _:
            raise AssertionError(f"{params.method} keeps as many as it is told")


def _score_label(params: SelectorParams) -> str:
    """Return what a score is."""
    match params:
        case VarianceSelection():
            return "variance"
        case L1Selection():
            return "absolute weight"
        case RFESelection():
            return "absolute weight in the last round"
        case _:
            return {"chi2": "chi squared", "f": "F", "mutual_info": "mutual information, nats"}[params.score_func]


def _fit_pca(x: Array, params: PCASelection, seed: int) -> FittedSelection:
    _check_at_most(params.n_components, min(x.shape), "components", "features and training rows")
    pca = PCA(params.n_components, whiten=params.whiten, random_state=seed).fit(x.astype(np.float64))
    matrix = pca.components_.T
    if params.whiten:
        deviation = np.sqrt(pca.explained_variance_)
        matrix = matrix / np.maximum(deviation, np.finfo(deviation.dtype).eps)  # as scikit-learn does
    names = [f"component_{i + 1}" for i in range(params.n_components)]
    step = Step("project", {"shift": pca.mean_, "matrix": matrix})
    share = pca.explained_variance_ratio_.sum()
    summary = f"{params.n_components} components of {x.shape[1]} features, {share:.0%} of the variance"
    return FittedSelection(
        (step,),
        _build_table(names, pca.explained_variance_ratio_),
        "share of variance",
        summary,
        feature_names=tuple(names),
    )


def _build_table(
    names: list[str],
    score: Array | float = np.nan,
    p_value: Array | float = np.nan,
    selected: Array | bool = True,
    stability: Array | float = np.nan,
) -> pd.DataFrame:
    columns = {"feature": names, "score": score, "p_value": p_value, "kept": selected, "stability_resamples": stability}
    return pd.DataFrame(columns, index=range(len(names)))


def load_encoder(folder: Path) -> tuple[Step, ...]:
    """Return what leads from features, as the autoencoder in `folder` sees them, to its codes (n, l).

    Raises:
        ArtifactError: it is missing, was altered, or is no dense or convolutional autoencoder.
    """
    verify_manifest(folder)
    layers = json.loads((folder / "model.json").read_text()).get("encoder")
    if layers is None:
        raise ArtifactError(f"{folder} must hold a dense or conv autoencoder, but does not; run `dvc repro` again")
    weights = load_file(folder / "weights.safetensors")
    return tuple(step for layer in layers for step in _layer_steps(layer, weights))


def _layer_steps(layer: dict[str, Any], weights: dict[str, Array]) -> Iterator[Step]:
    """Yield the steps of a layer, as models/autoencoder/head.py tells it."""
    kind, prefix = layer["kind"], layer.get("name")
    own = {name: weights[f"{prefix}.{name}"] for name in ("weight", "bias") if f"{prefix}.{name}" in weights}
    match kind:
        case "dense":
            yield Step("dense", {"bias": np.zeros(len(own["weight"]), np.float32)} | own)
        case "conv2d":
            sizes = {name: np.array([layer[name]]) for name in ("stride", "padding")}
            yield Step("convolve", {"bias": np.zeros(len(own["weight"]), np.float32)} | own | sizes)
        case "batch_norm":
            across = (-1, *(1,) * layer["spatial_dims"])
            mean, variance = (weights[f"{prefix}.running_{name}"].reshape(across) for name in ("mean", "var"))
            gain, bias = (own[name].reshape(across) for name in ("weight", "bias"))
            yield Step("affine", {"shift": mean, "scale": gain / np.sqrt(variance + np.float32(layer["eps"]))})
            yield Step("affine", {"shift": -bias, "scale": np.ones_like(bias)})
        case _:
            yield Step(kind, {})
