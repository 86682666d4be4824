"""The learning rate that a sweep suggests: a tenth of the one at which its smoothed loss is lowest.

Source: Howard & Gugger 2020, Deep Learning for Coders with fastai and PyTorch, chapter 5.
At the lowest point a rate already undoes as much as it gains; below a tenth of it little but time is gained. The place
of the steepest fall, the other rule in use, moves with the noise of single batches.
"""

import numpy as np

from ..errors import TrainingError
from .sweep import MEMORY, Sweep, smoothed

RESTING = 40
"""First steps of a sweep, whose rates move nothing."""

CERTAIN = 5.0
"""Deviations of the mean gain by which the loss must fall: over a sweep of noise alone it strays by two or three."""

LEAST = 0.01
"""Share of the loss at rest that it must be, however certain."""


def suggestion(name: str, sweep: Sweep) -> float:
    """Return the suggested rate, of two digits.

    Raises:
        TrainingError: the loss of model `name` does not fall at any rate.
    """
    known = np.isfinite(sweep.losses)
    rates, gains, rest = sweep.rates[known], sweep.gains[known], sweep.resting.mean()
    gain = smoothed(gains)
    noise = np.sqrt((smoothed(gains**2) - gain**2).clip(0) * (1 - MEMORY) / (1 + MEMORY))
    certain = gain > np.maximum(CERTAIN * noise, LEAST * abs(rest))
    certain[:RESTING] = False
    if not certain.any():
        raise TrainingError(
            f"the loss of {name} must fall at some rate from {sweep.rates[0]:.0e} to {sweep.rates[-1]:.2g}, but is"
            f" {rest:.4g} at the smallest, at its lowest {rest - gain.max(initial=0):.4g}; look at what `prepare` found"
            f" in the data, or choose another normalize, or another init or activation under models.{name}.network"
        )
    return float(f"{rates[np.where(certain, gain, 0).argmax()] / 10:.1e}")
