"""How both players are told the class of a record.

Source: Mirza & Osindero 2014 (label); Miyato & Koyama 2018 (projection).
Shapes: b rows, l numbers of noise, k classes (0: none), f features, e numbers that stand for a class.
"""

import torch
from torch import Tensor, nn

from ...config.networks.gan import Gan


class Asked(nn.Module):
    """Noise and one 1 among k zeros, (b, l + k) -> noise and what stands for the class, (b, width)."""

    def __init__(self, params: Gan, classes: int) -> None:
        super().__init__()
        self.latent = params.latent
        self.embed = nn.Linear(classes, params.embedding, bias=False) if params.conditional else None
        self.width = params.latent + (params.embedding if params.conditional else 0)

    def forward(self, z: Tensor) -> Tensor:
        """Return what a generator's first layer sees."""
        if self.embed is None:
            return z
        return torch.cat([z[:, : self.latent], self.embed(z[:, self.latent :])], dim=1)


class Joined(nn.Module):
    """Records (b, *f) and classes (b, k) -> records with one more channel, or with e more features if they are flat."""

    def __init__(self, params: Gan, classes: int, told: tuple[int, ...]) -> None:
        super().__init__()
        self.channel = told[1:] if params.design != "dense" else ()
        more = params.embedding if not self.channel else self.channel[0] * self.channel[1]
        self.embed = nn.Linear(classes, more, bias=False) if params.condition == "label" else None
        joins = self.embed is not None
        self.told = (told[0] + joins, *told[1:]) if self.channel else (_numbers(told) + joins * more,)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return what a critic's first layer sees."""
        if not self.channel:
            x = x.flatten(1)
        if self.embed is None:
            return x
        more: Tensor = self.embed(c)
        return torch.cat([x, more.reshape(-1, 1, *self.channel) if self.channel else more], dim=1)


def _numbers(told: tuple[int, ...]) -> int:
    return int(torch.Size(told).numel())
