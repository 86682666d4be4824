"""Predictions of a whole model, batch by batch."""

import numpy as np
import torch

from ..data.records import Array
from ..errors import TrainingError
from ..families.deployed import Deployed

BATCH = 4096
"""Rows at a time: bounds memory, changes no number that matters."""


def predict(model: Deployed, x: Array) -> Array:
    """Return probabilities or values (n, k) of raw records x (n, ...).

    Raises:
        TrainingError: a prediction is not finite; scores would hide it.
    """
    with torch.inference_mode():
        parts = [model(torch.from_numpy(x[i : i + BATCH].copy())).numpy() for i in range(0, len(x), BATCH)]
    out = np.concatenate(parts)
    wrong = np.flatnonzero(~np.isfinite(out).all(axis=1))
    if len(wrong):
        raise TrainingError(
            f"predictions must be finite, but row {wrong[0] + 1} gives {out[wrong[0]]} ({len(wrong)} such rows);"
            " lower training.optimizer.lr, or look at the row's values"
        )
    return out
