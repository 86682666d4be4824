"""Feature selection and projection, fitted on training rows.

The encoder of a trained autoencoder is loaded here as pipeline steps, so that other models can use it without PyTorch.
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
    """A fitted selection and the table that explains it.

    steps: none, or one `take` or `project`; for sequences preceded by a `take` that drops the mask.
    table: one row per feature, or per PCA component, best first: feature, score, p_value, selected, and stability, the
        fraction of resamples in which the feature is selected; NaN where not available. The score of a component is its
        explained variance ratio.
    score_label: what `score` measures, for the axis of a plot.
    summary: one line on the selected features.
    hint: an option that would add information, appended to the summary.
    feature_names: names of the output features, if they differ from the input features.
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

    With several targets, the primary one is used; without a target, y is (n, 0). The mask of sequences is not a
    feature: it is not scored and always dropped.

    Args:
        names: column names of a table after scaling.
        encoder: steps of the encoder of the autoencoder that the model depends on, if any.

    Raises:
        DataError: more features are requested than there are, chi2 is given negative features, or no feature would be
            selected.
    """
    if schema.kind == "text":
        return _score_tokens(x, y, schema)
    flat, y = x.reshape(len(x), -1), primary_target(y)
    if isinstance(params, EncoderSelection):
        return _encode_features(x, y, schema, encoder, seed)
    names = feature_names(schema, x.shape[1:], names)
    unmasked: tuple[Step, ...] = ()
    if schema.kind == "sequences":
        value_indices = np.flatnonzero(np.arange(flat.shape[1]) % x.shape[-1] < len(schema.features))
        flat, unmasked = flat[:, value_indices], (Step("take", {"index": value_indices}),)
    match params:
        case NoSelection():
            return replace(_keep_all(flat, y, schema, names, seed), steps=(), feature_names=())
        case PCASelection():
            selected = _fit_pca(flat, params, seed)
        case _:
            selected = _select_features(flat, y, schema, names, params, seed)
    return replace(selected, steps=(*unmasked, *selected.steps))


def feature_names(schema: Schema, shape: Sequence[int], names: Sequence[str] = ()) -> list[str]:
    """Return a name for each feature of a flattened sample of `shape`.

    Table columns keep their names; pixels are c<channel>_y<row>_x<column>; values of a sequence or series are
    <name>_t<step>, without the mask.
    """
    match schema.kind:
        case "images":
            return [f"c{c}_y{y}_x{x}" for c, y, x in np.ndindex(*shape)]
        case "table":
            return list(names or schema.features)
        case _:
            return [f"{name}_t{step}" for step in range(shape[0]) for name in schema.features]


def primary_target(y: Array) -> Array:
    """Return the primary (first) target of y (n,) or (n, k); y itself if it is (n, 0)."""
    return y if y.ndim == 1 or not y.shape[1] else y[:, 0]


def _score_tokens(x: Array, y: Array, schema: Schema) -> FittedSelection:
    """Score tokens without selecting any: by chi-squared of their counts per class, without classes by frequency.

    Chi-squared compares the counts of a token in each class with those expected from the class's share of all tokens.
    """
    size = len(schema.vocabulary)
    if schema.task == "classification":
        class_tokens = (x[y == label].ravel() for label in range(len(schema.classes)))
        counts = np.stack([np.bincount(tokens, minlength=size)[1:] for tokens in class_tokens])  # 0 is padding
        expected = counts.sum(axis=1, keepdims=True) / counts.sum() * counts.sum(axis=0)
        terms = np.divide((counts - expected) ** 2, expected, out=np.zeros_like(expected), where=expected > 0)
        scores, label = terms.sum(axis=0), "chi-squared of token counts"
    else:
        tokens = join_windows(x) if schema.task == "language_modeling" else x
        scores, label = np.bincount(tokens.ravel(), minlength=size)[1:], "token count in training rows"
    table = _build_table(list(schema.vocabulary[1:]), scores).iloc[np.argsort(-scores, kind="stable")]
    return FittedSelection((), table, label, f"vocabulary of {size} tokens, length {schema.shape[0]}")


def _select_features(
    x: Array, y: Array, schema: Schema, names: list[str], params: SelectorParams, seed: int
) -> FittedSelection:
    _check_feasible(x, names, params)
    is_classification = bool(schema.classes)
    rows = subsample(x, y, params, is_classification, seed)
    x_fit = x[rows]
    scored = score_features(x_fit, y[rows], params, is_classification, seed)
    if not scored.support.any():
        raise DataError(_nothing_selected_message(scored, params))
    stability = estimate_stability(x, y, params, is_classification, seed)
    step = Step("take", {"index": np.flatnonzero(scored.support)})
    subsampled = f", scored on {len(x_fit)} of {len(x)} rows" if len(x_fit) < len(x) else ""
    summary = f"{scored.support.sum()} of {len(names)} features selected{subsampled}"
    skipped = params.stability_resamples is None and np.isnan(stability).all()
    hint = "; set select.stability_resamples to estimate the stability of the selection" if skipped else ""
    table = _build_table(names, scored.scores, scored.p_values, scored.support, stability).iloc[scored.ranking]
    selected_names = tuple(np.array(names)[scored.support].tolist())
    return FittedSelection((step,), table, _score_label(params), summary, hint, selected_names)


def _keep_all(x: Array, y: Array, schema: Schema, names: list[str], seed: int) -> FittedSelection:
    """Score all features without selecting any: by F statistic, without a target by variance."""
    if not schema.target:
        variance = x.var(axis=0, dtype=np.float64)
        table = _build_table(names, variance).iloc[np.argsort(-variance, kind="stable")]
        return FittedSelection((), table, "variance", f"{len(names)} of {len(names)} features selected")
    return _select_features(
        x, y, schema, names, KBestSelection(method="k_best", score_func="f", k=len(names), stability_resamples=0), seed
    )


def _encode_features(x: Array, y: Array, schema: Schema, encoder: Sequence[Step], seed: int) -> FittedSelection:
    codes = Pipeline("float32", tuple(step.cast("float32") for step in encoder))(x)
    std = codes.std(axis=0, dtype=np.float64)
    scale = np.divide(1, std, out=np.zeros_like(std), where=std > 0)  # a dead unit stays 0
    standardize = Step("affine", {"shift": codes.mean(axis=0, dtype=np.float64), "scale": scale})
    scored = _keep_all(standardize(codes), y, schema, [f"latent_{i + 1}" for i in range(codes.shape[1])], seed)
    summary = f"{x[0].size} features encoded into {codes.shape[1]} dimensions"
    return replace(scored, steps=(*encoder, standardize), summary=summary)


def _check_feasible(x: Array, names: list[str], params: SelectorParams) -> None:
    """Raise a `DataError` if the method cannot be applied to these features."""
    if isinstance(params, KBestSelection | L1Selection | RFESelection):
        key = {"k_best": "k", "l1": "max_features", "rfe": "n_features_to_select"}[params.method]
        _check_at_most(getattr(params, key), len(names), key, "features")
    if isinstance(params, KBestSelection | PercentileSelection) and params.score_func == "mutual_info" and len(x) < 4:
        raise DataError(
            f"mutual_info uses 3 nearest neighbors and needs at least 4 training rows, but there are {len(x)}; set"
            " `score_func: f`"
        )
    if isinstance(params, KBestSelection | PercentileSelection) and params.score_func == "chi2" and x.min() < 0:
        column = int(x.min(axis=0).argmin())
        raise DataError(
            f"chi2 needs non-negative features, but {names[column]!r} has a minimum of {x[:, column].min():.3g} after"
            " normalization; set `normalize: minmax` for the dataset, or `score_func: f`"
        )


def _check_at_most(value: int, limit: int, key: str, what: str) -> None:
    if value > limit:
        raise DataError(f"select.{key} must be at most the number of {what}, {limit}, but is {value}; lower it")


def _nothing_selected_message(feature_scores: FeatureScores, params: SelectorParams) -> str:
    match params:
        case VarianceSelection(threshold=0):
            return (
                "select.threshold 0 selects features that vary, but all are constant; use other features or method none"
            )
        case VarianceSelection():
            largest = f"the largest variance of a normalized feature, {feature_scores.scores.max():.3g},"
            return f"select.threshold must be less than {largest} but is {params.threshold:g}; lower it"
        case L1Selection():
            return f"select.alpha must leave a nonzero coefficient, but at {params.alpha:g} all are 0; lower it"
        case PercentileSelection():
            count = f"one of {len(feature_scores.support)} features, the best of which have equal scores,"
            return f"select.percentile must select at least {count} but is {params.percentile:g}; raise it"
        case _:
            raise AssertionError(f"{params.method} always selects the requested number of features")


def _score_label(params: SelectorParams) -> str:
    """Return what the scores of a method measure."""
    match params:
        case VarianceSelection():
            return "variance"
        case L1Selection():
            return "absolute coefficient"
        case RFESelection():
            return "absolute coefficient in the last iteration"
        case _:
            labels = {"chi2": "chi-squared", "f": "F statistic", "mutual_info": "mutual information (nats)"}
            return labels[params.score_func]


def _fit_pca(x: Array, params: PCASelection, seed: int) -> FittedSelection:
    _check_at_most(params.n_components, min(x.shape), "n_components", "features and training rows")
    pca = PCA(params.n_components, whiten=params.whiten, random_state=seed).fit(x.astype(np.float64))
    matrix = pca.components_.T
    if params.whiten:
        std = np.sqrt(pca.explained_variance_)
        matrix = matrix / np.maximum(std, np.finfo(std.dtype).eps)  # as scikit-learn does
    names = [f"component_{i + 1}" for i in range(params.n_components)]
    step = Step("project", {"shift": pca.mean_, "matrix": matrix})
    explained = pca.explained_variance_ratio_.sum()
    summary = f"{params.n_components} components of {x.shape[1]} features, {explained:.0%} of the variance"
    return FittedSelection(
        (step,),
        _build_table(names, pca.explained_variance_ratio_),
        "explained variance ratio",
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
    columns = {"feature": names, "score": score, "p_value": p_value, "selected": selected, "stability": stability}
    return pd.DataFrame(columns, index=range(len(names)))


def load_encoder(folder: Path) -> tuple[Step, ...]:
    """Return the steps from the input features of the autoencoder in `folder` to its codes (n, l).

    Raises:
        ArtifactError: the model is missing, was altered, or is not a dense or convolutional autoencoder.
    """
    verify_manifest(folder)
    layers = json.loads((folder / "model.json").read_text()).get("encoder")
    if layers is None:
        raise ArtifactError(f"{folder} must hold a dense or conv autoencoder, but does not; run `dvc repro` again")
    weights = load_file(folder / "weights.safetensors")
    return tuple(step for layer in layers for step in _layer_steps(layer, weights))


def _layer_steps(layer: dict[str, Any], weights: dict[str, Array]) -> Iterator[Step]:
    """Yield the steps of a layer, as described by models/autoencoder/head.py."""
    kind, layer_name = layer["kind"], layer.get("name")
    params = {name: weights[f"{layer_name}.{name}"] for name in ("weight", "bias") if f"{layer_name}.{name}" in weights}
    match kind:
        case "dense":
            yield Step("dense", {"bias": np.zeros(len(params["weight"]), np.float32)} | params)
        case "conv2d":
            sizes = {name: np.array([layer[name]]) for name in ("stride", "padding")}
            yield Step("conv2d", {"bias": np.zeros(len(params["weight"]), np.float32)} | params | sizes)
        case "batch_norm":
            shape = (-1, *(1,) * layer["spatial_dims"])
            mean, variance = (weights[f"{layer_name}.running_{name}"].reshape(shape) for name in ("mean", "var"))
            gain, bias = (params[name].reshape(shape) for name in ("weight", "bias"))
            yield Step("affine", {"shift": mean, "scale": gain / np.sqrt(variance + np.float32(layer["eps"]))})
            yield Step("affine", {"shift": -bias, "scale": np.ones_like(bias)})
        case _:
            yield Step(kind, {})
