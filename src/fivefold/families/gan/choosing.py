"""How a generator tells categories: nearly one 1 among zeros, drawn by chance, and still with gradients.

Source: Jang et al. 2017 (Gumbel softmax), as Xu et al. 2019 use it. The chance is that of the noise itself, so that the
same noise makes the same row.
Shapes: b rows, f features, l numbers of noise, q features that stand for categories.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

TEMPERATURE = 0.2
"""The lower, the nearer to 0 and 1 what is told."""

SURE = 1e-6
"""Chances are within this of 0 and 1."""


class Chosen(nn.Module):
    """Features (b, f), the last q being scores of categories, and noise (b, l) -> features (b, f), shares for scores.

    Args:
        sizes: features of each categorical column.
        latent: l; where q is more, some categories share their chance.
    """

    places: Tensor

    def __init__(self, sizes: Sequence[int], latent: int) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.register_buffer("places", torch.arange(sum(sizes)) % latent, persistent=False)

    def forward(self, made: Tensor, z: Tensor) -> Tensor:
        """Return features whose categories are chosen."""
        chance = cdf(z.index_select(1, self.places).float()).clamp(SURE, 1 - SURE)
        gumbel = -(-chance.log()).log()  # (b, q)
        numbers, scores = torch.split(made, [made.shape[1] - sum(self.sizes), sum(self.sizes)], dim=1)
        drawn = torch.split((scores + gumbel) / TEMPERATURE, self.sizes, dim=1)
        return torch.cat([numbers, *(functional.softmax(block, dim=1) for block in drawn)], dim=1)


def cdf(x: Tensor) -> Tensor:
    """Return the standard normal distribution function."""
    return (1 + torch.erf(x * 0.5**0.5)) / 2
