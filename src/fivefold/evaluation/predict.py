"""Predictions of a whole model, batch by batch."""

from collections.abc import Iterator

import numpy as np
import torch

from ..data.dataset import Array, Split
from ..errors import TrainingError
from ..models.inference import InferenceModel
from ..models.serialization import TrainedModel

BATCH_SIZE = 4096
"""Rows at a time: bounds memory, changes no number that matters."""

TEXT_BATCH_SIZE = 512
"""Texts at a time: each is hundreds of steps of hundreds of units."""

MAX_LANGUAGE_ROWS = 20_000
"""Training and validation rows each that a language model is scored on at most: a whole window tells one token."""


def predict(model: InferenceModel, x: Array) -> Array:
    """Return what a model tells of raw records x (n, ...): probabilities or values (n, k), records, codes, errors.

    Raises:
        TrainingError: a prediction is not finite; scores would hide it. Of a step that a record lacks none is.
    """
    return np.concatenate(list(_predict_batches(model, x)))


def predict_for_metrics(trained_model: TrainedModel, split: Split) -> Array:
    """Return predictions as metrics ask for them: of a text (n, 2), the true token's probability and the likeliest one.

    A vocabulary of thousands for each of millions of tokens would not fit into memory.
    """
    model = trained_model.model
    if trained_model.schema.task != "language_modeling":
        return predict(model, split.x)
    parts, start = [], 0
    for p in _predict_batches(model, split.x):
        truth = split.y[start : start + len(p)]
        parts.append(np.column_stack([p[np.arange(len(p)), truth].astype(np.float64), p.argmax(axis=1)]))
        start += len(p)
    return np.concatenate(parts)


def subsample_for_scoring(trained_model: TrainedModel, split: Split) -> Split:
    """Return the training or validation rows that are scored: of a long text every so many."""
    if trained_model.schema.task != "language_modeling":
        return split
    return split.take(np.arange(0, len(split), -(-len(split) // MAX_LANGUAGE_ROWS)))


def _predict_batches(model: InferenceModel, x: Array) -> Iterator[Array]:
    size = TEXT_BATCH_SIZE if x.dtype == np.int32 else BATCH_SIZE
    with torch.inference_mode():
        for start in range(0, len(x), size):
            out = model(torch.from_numpy(x[start : start + size].copy())).numpy()
            wrong = np.flatnonzero(~_finite_rows(out, x[start : start + size]))
            if len(wrong):
                raise TrainingError(
                    f"predictions must be finite, but row {start + wrong[0] + 1} gives {out[wrong[0]]} ({len(wrong)} of"
                    f" {len(out)} rows); lower training.optimizer.lr, or look at the row's values"
                )
            yield out


def _finite_rows(predictions: Array, x: Array) -> Array:
    """Return which rows (n,) of what was told of records x are finite, but for steps that a record lacks."""
    known = np.isfinite(predictions)
    if predictions.shape == x.shape and x.dtype.kind == "f":
        known |= np.isnan(x).all(axis=-1, keepdims=True)
    return np.asarray(known.reshape(len(predictions), -1).all(axis=1))
