"""The rows of a table that a generator learns: with their targets, as columns like the others.

How a generator tells categories: nearly one 1 among zeros, drawn by chance, and still with gradients.

Source: Jang et al. 2017 (Gumbel softmax), as Xu et al. 2019 use it. The chance is that of the noise itself, so that the
same noise makes the same row.
Shapes: b rows, f features, l numbers of noise, q features that stand for categories.

A table's features as both players see them: numbers by their normal scores, categories as they are.

A column may have several hills, a long tail, or one value in half of its rows; its scores are normal whatever it is.
Equal values share their ranks by chance, so that a score tells a value, and a value a range of scores.

Source: Rueschendorf 2009 (ranks of equal values), in place of a Gaussian mixture for each column (Xu et al. 2019).
Shapes: b rows, f features, the first m of which are numbers, q levels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.datasets import DatasetConfig as DatasetParams
from ...config.networks.gan import Gan
from ...data.dataset import Array, Dataset
from ...data.decoding import join_targets
from ...preprocessing.pipeline import Pipeline
from ...preprocessing.scaling import fit_scaling


def prepare_table(params: Gan, dataset_params: DatasetParams, dataset: Dataset) -> tuple[Dataset, Pipeline]:
    """Return whole rows, but for a class that is asked for, and a preprocessing fitted to them as `block` says."""
    rows = join_targets(dataset, exclude_primary=params.is_conditional)
    return rows, fit_scaling(rows.train.x, rows.schema, dataset_params)


TEMPERATURE = 0.2
"""The lower, the nearer to 0 and 1 what is told."""

PROBABILITY_MARGIN = 1e-6
"""Chances are within this of 0 and 1."""


class GumbelSoftmaxHead(nn.Module):
    """Features (b, f), the last q being scores of categories, and noise (b, l) -> features (b, f), shares for scores.

    Args:
        sizes: features of each categorical column.
        latent_dim: l; where q is more, some categories share their chance.
    """

    noise_indices: Tensor

    def __init__(self, one_hot_sizes: Sequence[int], latent_dim: int) -> None:
        super().__init__()
        self.one_hot_sizes = list(one_hot_sizes)
        self.register_buffer("noise_indices", torch.arange(sum(one_hot_sizes)) % latent_dim, persistent=False)

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        """Return features whose categories are chosen."""
        chance = normal_cdf(z.index_select(1, self.noise_indices).float()).clamp(
            PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN
        )
        gumbel = -(-chance.log()).log()  # (b, q)
        numbers, scores = torch.split(
            features, [features.shape[1] - sum(self.one_hot_sizes), sum(self.one_hot_sizes)], dim=1
        )
        drawn = torch.split((scores + gumbel) / TEMPERATURE, self.one_hot_sizes, dim=1)
        return torch.cat([numbers, *(functional.softmax(block, dim=1) for block in drawn)], dim=1)


def normal_cdf(x: Tensor) -> Tensor:
    """Return the standard normal distribution function."""
    return (1 + torch.erf(x * 0.5**0.5)) / 2


N_QUANTILES = 513
"""Quantiles that are known of a number, at even steps."""


class NormalScoresTransform(nn.Module):
    """Features (b, f) <-> scores (b, f); between two quantiles a number lies in proportion, beyond the last none."""

    quantiles: Tensor

    def __init__(self, n_numeric: int) -> None:
        super().__init__()
        self.register_buffer("quantiles", torch.linspace(-1, 1, N_QUANTILES).repeat(n_numeric, 1))  # (m, q)

    def fit_transform(self, features: Array, rng: np.random.Generator) -> Array:
        """Learn the quantiles of training rows (n, f); return their scores."""
        numbers = features[:, : len(self.quantiles)]
        found = np.quantile(numbers, np.linspace(0, 1, N_QUANTILES), axis=0).T
        self.quantiles.copy_(torch.from_numpy(np.ascontiguousarray(found)))
        return self.transform(features, features, rng)

    def transform(self, features: Array, train_features: Array, rng: np.random.Generator) -> Array:
        """Return the scores of rows (n, f) by their ranks among training rows `known`."""
        out, n = features.copy(), len(train_features)
        for i in range(len(self.quantiles)):
            ordered = np.sort(train_features[:, i])
            low, high = (np.searchsorted(ordered, features[:, i], side=side) for side in ("left", "right"))
            rank = low + rng.random(len(features)) * (high - low)
            out[:, i] = torch.special.ndtri(torch.from_numpy(np.clip(rank, 0.5, n - 0.5) / n)).numpy()
        return out

    def forward(self, scores: Tensor) -> Tensor:
        """Return features (b, f) of scores."""
        m = len(self.quantiles)
        place = normal_cdf(scores[:, :m]) * (N_QUANTILES - 1)  # (b, m)
        below = place.detach().floor().clamp(0, N_QUANTILES - 2)
        start = below.long() + torch.arange(m, device=scores.device) * N_QUANTILES
        flat = self.quantiles.flatten()
        low, high = flat[start], flat[start + 1]
        return torch.cat([torch.lerp(low, high, (place - below).to(low.dtype)), scores[:, m:]], dim=1)
