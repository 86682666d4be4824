"""Tabular data for adversarial training: table rows with their targets, normal scores, and categories with gradients.

Normal scores: the ranks of a column, mapped to a standard normal distribution, whatever its modes and tails; equal
values share their ranks at random, so that a value has a range of scores and a score exactly one value. Source:
Rueschendorf 2009 (ranks of equal values), instead of a Gaussian mixture for each column (Xu et al. 2019).
Categories: Jang et al. 2017 (Gumbel softmax), as used by Xu et al. 2019. The Gumbel noise is computed from the latent
noise itself, so that the same noise generates the same row.
Shapes: b samples, n rows, f features, the first m of which are numeric and the last p one-hot, l latent dimensions, q
quantiles.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.datasets import DatasetConfig
from ...config.networks.gan import Gan
from ...data.dataset import Array, Dataset
from ...data.decoding import join_targets
from ...preprocessing.pipeline import Pipeline
from ...preprocessing.scaling import fit_scaling


def prepare_table(params: Gan, dataset_params: DatasetConfig, dataset: Dataset) -> tuple[Dataset, Pipeline]:
    """Return whole rows including their targets, except a class used for conditioning, and their fitted scaling."""
    rows = join_targets(dataset, exclude_primary=params.is_conditional)
    return rows, fit_scaling(rows.train.x, rows.schema, dataset_params)


TEMPERATURE = 0.2
"""Temperature of the Gumbel softmax: the lower, the closer to one-hot."""

PROBABILITY_MARGIN = 1e-6
"""Distance that uniform noise keeps from 0 and 1."""


class GumbelSoftmaxHead(nn.Module):
    """Features (b, f), the last p being logits of categories, and noise (b, l) -> features (b, f) with probabilities.

    Args:
        one_hot_sizes: number of one-hot columns of each categorical feature; they sum to p.
        latent_dim: l; if p is larger, some categories share their noise.
    """

    noise_indices: Tensor

    def __init__(self, one_hot_sizes: Sequence[int], latent_dim: int) -> None:
        super().__init__()
        self.one_hot_sizes = list(one_hot_sizes)
        self.register_buffer("noise_indices", torch.arange(sum(one_hot_sizes)) % latent_dim, persistent=False)

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        """Return features with nearly one-hot categories."""
        uniform = normal_cdf(z.index_select(1, self.noise_indices).float()).clamp(
            PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN
        )
        gumbel = -(-uniform.log()).log()  # (b, p)
        n_one_hot = sum(self.one_hot_sizes)
        numeric, logits = torch.split(features, [features.shape[1] - n_one_hot, n_one_hot], dim=1)
        blocks = torch.split((logits + gumbel) / TEMPERATURE, self.one_hot_sizes, dim=1)
        return torch.cat([numeric, *(functional.softmax(block, dim=1) for block in blocks)], dim=1)


def normal_cdf(x: Tensor) -> Tensor:
    """Return the cumulative distribution function of the standard normal distribution."""
    return (1 + torch.erf(x * 0.5**0.5)) / 2


N_QUANTILES = 513
"""Number of evenly spaced quantiles stored for each numeric feature."""


class NormalScoresTransform(nn.Module):
    """Features (b, f) <-> normal scores (b, f); scores are mapped back by linear interpolation between quantiles.

    The inverse never exceeds the range of the training rows.
    """

    quantiles: Tensor

    def __init__(self, n_numeric: int) -> None:
        super().__init__()
        self.register_buffer("quantiles", torch.linspace(-1, 1, N_QUANTILES).repeat(n_numeric, 1))  # (m, q)

    def fit_transform(self, features: Array, rng: np.random.Generator) -> Array:
        """Store the quantiles of training rows (n, f); return their scores."""
        numeric = features[:, : len(self.quantiles)]
        quantiles = np.quantile(numeric, np.linspace(0, 1, N_QUANTILES), axis=0).T
        self.quantiles.copy_(torch.from_numpy(np.ascontiguousarray(quantiles)))
        return self.transform(features, features, rng)

    def transform(self, features: Array, train_features: Array, rng: np.random.Generator) -> Array:
        """Return the scores of rows (b, f) by their ranks among `train_features` (n, f)."""
        out, n = features.copy(), len(train_features)
        for i in range(len(self.quantiles)):
            ordered = np.sort(train_features[:, i])
            low, high = (np.searchsorted(ordered, features[:, i], side=side) for side in ("left", "right"))
            rank = low + rng.random(len(features)) * (high - low)
            out[:, i] = torch.special.ndtri(torch.from_numpy(np.clip(rank, 0.5, n - 0.5) / n)).numpy()
        return out

    def forward(self, scores: Tensor) -> Tensor:
        """Return the features (b, f) of scores."""
        m = len(self.quantiles)
        position = normal_cdf(scores[:, :m]) * (N_QUANTILES - 1)  # (b, m)
        below = position.detach().floor().clamp(0, N_QUANTILES - 2)
        index = below.long() + torch.arange(m, device=scores.device) * N_QUANTILES
        flat = self.quantiles.flatten()
        low, high = flat[index], flat[index + 1]
        return torch.cat([torch.lerp(low, high, (position - below).to(low.dtype)), scores[:, m:]], dim=1)
