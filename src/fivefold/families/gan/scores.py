"""A table's features as both players see them: numbers by their normal scores, categories as they are.

A column may have several hills, a long tail, or one value in half of its rows; its scores are normal whatever it is.
Equal values share their ranks by chance, so that a score tells a value, and a value a range of scores.

Source: Rueschendorf 2009 (ranks of equal values), in place of a Gaussian mixture for each column (Xu et al. 2019).
Shapes: b rows, f features, the first m of which are numbers, q levels.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ...data.dataset import Array
from .choosing import cdf

LEVELS = 513
"""Quantiles that are known of a number, at even steps."""


class Scores(nn.Module):
    """Features (b, f) <-> scores (b, f); between two quantiles a number lies in proportion, beyond the last none."""

    quantiles: Tensor

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.register_buffer("quantiles", torch.linspace(-1, 1, LEVELS).repeat(numbers, 1))  # (m, q)

    def learn(self, features: Array, random: np.random.Generator) -> Array:
        """Learn the quantiles of training rows (n, f); return their scores."""
        numbers = features[:, : len(self.quantiles)]
        found = np.quantile(numbers, np.linspace(0, 1, LEVELS), axis=0).T
        self.quantiles.copy_(torch.from_numpy(np.ascontiguousarray(found)))
        return self.of(features, features, random)

    def of(self, features: Array, known: Array, random: np.random.Generator) -> Array:
        """Return the scores of rows (n, f) by their ranks among training rows `known`."""
        out, n = features.copy(), len(known)
        for i in range(len(self.quantiles)):
            ordered = np.sort(known[:, i])
            low, high = (np.searchsorted(ordered, features[:, i], side=side) for side in ("left", "right"))
            rank = low + random.random(len(features)) * (high - low)
            out[:, i] = torch.special.ndtri(torch.from_numpy(np.clip(rank, 0.5, n - 0.5) / n)).numpy()
        return out

    def forward(self, scores: Tensor) -> Tensor:
        """Return features (b, f) of scores."""
        m = len(self.quantiles)
        place = cdf(scores[:, :m]) * (LEVELS - 1)  # (b, m)
        below = place.detach().floor().clamp(0, LEVELS - 2)
        start = below.long() + torch.arange(m, device=scores.device) * LEVELS
        flat = self.quantiles.flatten()
        low, high = flat[start], flat[start + 1]
        return torch.cat([torch.lerp(low, high, (place - below).to(low.dtype)), scores[:, m:]], dim=1)
