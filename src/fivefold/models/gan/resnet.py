"""A small residual generator, and a residual critic for spectral norm.

Source: Miyato et al. 2018, appendix B.4; Gulrajani et al. 2017, appendix C. A side is halved rounded down.
Shapes: b rows, w numbers of noise and class, c channels, y x x pixels.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.gan import Gan
from .dcgan import sizes


class Up(nn.Module):
    """(b, before, ., .) -> (b, after, y, x), by nearest pixels."""

    def __init__(self, before: int, after: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.first = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU())
        self.second = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        grown = functional.interpolate(self.first(x), self.size)  # (b, before, y, x)
        out: Tensor = self.second(grown) + self.shortcut(functional.interpolate(x, self.size))
        return out


class Down(nn.Module):
    """(b, before, y, x) -> (b, after, y / 2, x / 2), by means; the first block sees records, which need no ReLU."""

    def __init__(self, before: int, after: int, *, first: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *([] if first else [nn.ReLU()]),
            nn.Conv2d(before, after, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1),
            nn.AvgPool2d(2),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


class ResidualMaker(nn.Module):
    """(b, w) -> (b, c, y, x)."""

    def __init__(self, params: Gan, width: int, told: tuple[int, ...]) -> None:
        super().__init__()
        steps = sizes(params, told)
        small = (params.hidden[-1], *steps[-1])
        channels = (*reversed(params.hidden), params.hidden[0])
        self.layers = nn.Sequential(
            nn.Linear(width, math.prod(small)),
            nn.Unflatten(1, small),
            *(Up(*pair, size) for pair, size in zip(pairwise(channels), reversed(steps[:-1]), strict=True)),
            nn.BatchNorm2d(channels[-1]),
            nn.ReLU(),
            nn.Conv2d(channels[-1], told[0], 3, padding=1),
        )
        start(self)

    def forward(self, z: Tensor) -> Tensor:
        """Return what is made, before its activation."""
        out: Tensor = self.layers(z)
        return out


class ResidualBody(nn.Module):
    """(b, c, y, x) -> (b, width): the sum over all places of the last block."""

    def __init__(self, params: Gan, seen: tuple[int, ...]) -> None:
        super().__init__()
        sizes(params, seen)
        blocks = (Down(*pair, first=i == 0) for i, pair in enumerate(pairwise((seen[0], *params.hidden))))
        self.layers = nn.Sequential(*blocks, nn.ReLU())
        self.width = params.hidden[-1]
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer, summed over places."""
        return torch.sum(self.layers(x), dim=(2, 3))


def start(part: nn.Module) -> None:
    """Set the first weights in place (Glorot & Bengio 2010), biases to 0."""
    for module in part.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
