"""Predictions of a whole model, batch by batch."""

from collections.abc import Iterator

import numpy as np
import torch

from ..data.dataset import Array, Records
from ..errors import TrainingError
from ..models.inference import Deployed
from ..models.serialization import Saved

BATCH = 4096
"""Rows at a time: bounds memory, changes no number that matters."""

TEXTS = 512
"""Texts at a time: each is hundreds of steps of hundreds of units."""

LANGUAGE_ROWS = 20_000
"""Training and validation rows each that a language model is scored on at most: a whole window tells one token."""


def predict(model: Deployed, x: Array) -> Array:
    """Return what a model tells of raw records x (n, ...): probabilities or values (n, k), records, codes, errors.

    Raises:
        TrainingError: a prediction is not finite; scores would hide it. Of a step that a record lacks none is.
    """
    return np.concatenate(list(_batches(model, x)))


def judged(saved: Saved, records: Records) -> Array:
    """Return predictions as metrics ask for them: of a text (n, 2), the true token's probability and the likeliest one.

    A vocabulary of thousands for each of millions of tokens would not fit into memory.
    """
    model = saved.model
    if saved.schema.task != "language":
        return predict(model, records.x)
    parts, start = [], 0
    for p in _batches(model, records.x):
        truth = records.y[start : start + len(p)]
        parts.append(np.column_stack([p[np.arange(len(p)), truth].astype(np.float64), p.argmax(axis=1)]))
        start += len(p)
    return np.concatenate(parts)


def fewer(saved: Saved, records: Records) -> Records:
    """Return the training or validation rows that are scored: of a long text every so many."""
    if saved.schema.task != "language":
        return records
    return records.take(np.arange(0, len(records), -(-len(records) // LANGUAGE_ROWS)))


def _batches(model: Deployed, x: Array) -> Iterator[Array]:
    size = TEXTS if x.dtype == np.int32 else BATCH
    with torch.inference_mode():
        for start in range(0, len(x), size):
            out = model(torch.from_numpy(x[start : start + size].copy())).numpy()
            wrong = np.flatnonzero(~_meant(out, x[start : start + size]))
            if len(wrong):
                raise TrainingError(
                    f"predictions must be finite, but row {start + wrong[0] + 1} gives {out[wrong[0]]} ({len(wrong)} of"
                    f" {len(out)} rows); lower training.optimizer.lr, or look at the row's values"
                )
            yield out


def _meant(out: Array, x: Array) -> Array:
    """Return which rows (n,) of what was told of records x are finite, but for steps that a record lacks."""
    known = np.isfinite(out)
    if out.shape == x.shape and x.dtype.kind == "f":
        known |= np.isnan(x).all(axis=-1, keepdims=True)
    return np.asarray(known.reshape(len(out), -1).all(axis=1))
