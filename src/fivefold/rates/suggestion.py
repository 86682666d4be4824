"""The learning rate that a sweep suggests: a tenth of the one at which its smoothed loss is lowest.

Source: Howard & Gugger 2020, Deep Learning for Coders with fastai and PyTorch, chapter 5.
At the lowest point a rate already undoes as much as it gains; below a tenth of it little but time is gained. The place
of the steepest fall, the other rule in use, moves with the noise of single batches.
"""

import numpy as np

from ..errors import TrainingError
from .sweep import MEMORY, Sweep

RESTING = 40
"""First steps of a sweep, whose rates move nothing: what the loss is before anything is learnt, and its noise."""

CERTAIN = 5.0
"""Deviations of the smoothed loss by which it must fall: over a sweep it strays by three."""

LEAST = 0.01
"""Share of itself by which it must fall where it has no noise."""


def suggestion(name: str, sweep: Sweep) -> float:
    """Return the suggested rate, of two digits.

    Raises:
        TrainingError: the loss of model `name` does not fall at any rate.
    """
    resting = sweep.losses[:RESTING]
    after = np.where(np.isfinite(sweep.smoothed), sweep.smoothed, np.inf)[RESTING:]
    noise = resting.std() * np.sqrt((1 - MEMORY) / (1 + MEMORY))
    least = max(CERTAIN * noise, LEAST * abs(resting.mean()))
    if not len(after) or not resting.mean() - after.min() > least:
        lowest = f", at its lowest {after.min():.4g}" if len(after) else ""
        raise TrainingError(
            f"the loss of {name} must fall at some rate from {sweep.rates[0]:.0e} to {sweep.rates[-1]:.2g}, but is"
            f" {resting.mean():.4g} at the smallest{lowest}; look at what `prepare` found in the data, or choose"
            f" another normalize, or another init or activation under models.{name}.network"
        )
    return float(f"{sweep.rates[RESTING + after.argmin()] / 10:.1e}")
