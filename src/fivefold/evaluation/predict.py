"""Predict a dataset split batch by batch."""

from collections.abc import Iterator

import numpy as np
import torch

from ..data.dataset import Array, Split
from ..errors import TrainingError
from ..models.inference import InferenceModel
from ..models.serialization import TrainedModel

BATCH_SIZE = 4096
"""Rows per batch; bounds memory and does not affect results beyond rounding."""

TEXT_BATCH_SIZE = 512
"""Texts per batch: activations of a text are hundreds of steps times hundreds of units."""

MAX_LANGUAGE_ROWS = 20_000
"""Maximum number of training and of validation rows that a language model is scored on: a window predicts one token."""


def predict(model: InferenceModel, x: Array) -> Array:
    """Return the outputs of a model for raw samples x (n, ...).

    Outputs are probabilities or values (n, k), reconstructions, latent codes or reconstruction errors.

    Raises:
        TrainingError: A prediction is not finite, which scores would hide. Missing time steps are exempt.
    """
    return np.concatenate(list(_predict_batches(model, x)))


def predict_for_metrics(trained_model: TrainedModel, split: Split) -> Array:
    """Return predictions in the form that metrics expect, see `Metric`.

    For language modeling (n, 2), because probabilities of the whole vocabulary would not fit into memory.
    """
    model = trained_model.model
    if trained_model.schema.task != "language_modeling":
        return predict(model, split.x)
    batches, start = [], 0
    for p in _predict_batches(model, split.x):
        y = split.y[start : start + len(p)]
        batches.append(np.column_stack([p[np.arange(len(p)), y].astype(np.float64), p.argmax(axis=1)]))
        start += len(p)
    return np.concatenate(batches)


def subsample_for_scoring(trained_model: TrainedModel, split: Split) -> Split:
    """Return the training or validation rows to score: for language modeling an evenly spaced subset."""
    if trained_model.schema.task != "language_modeling":
        return split
    return split.take(np.arange(0, len(split), -(-len(split) // MAX_LANGUAGE_ROWS)))


def _predict_batches(model: InferenceModel, x: Array) -> Iterator[Array]:
    size = TEXT_BATCH_SIZE if x.dtype == np.int32 else BATCH_SIZE
    with torch.inference_mode():
        for start in range(0, len(x), size):
            p = model(torch.from_numpy(x[start : start + size].copy())).numpy()
            invalid = np.flatnonzero(~_finite_rows(p, x[start : start + size]))
            if len(invalid):
                raise TrainingError(
                    f"predictions must be finite, but that of row {start + invalid[0] + 1} is {p[invalid[0]]}"
                    f" ({len(invalid)} of {len(p)} rows); lower training.optimizer.lr or check the values of that row"
                )
            yield p


def _finite_rows(predictions: Array, x: Array) -> Array:
    """Return a mask (n,) of the predictions that are finite, except at time steps missing in samples x."""
    valid = np.isfinite(predictions)
    if predictions.shape == x.shape and x.dtype.kind == "f":
        valid |= np.isnan(x).all(axis=-1, keepdims=True)
    return np.asarray(valid.reshape(len(predictions), -1).all(axis=1))
