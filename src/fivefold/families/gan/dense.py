"""Dense layers from noise to records, and from records to what a critic judges by.

Source: Goodfellow et al. 2014; the tutorials' generator 100-256-784 and critic 784-256-1.
Shapes: b rows, w numbers of noise and class, r numbers of a record.
"""

import math
from itertools import pairwise

from torch import Tensor, nn

from ...config.networks.gan import Gan
from ..layers import BatchNorm

SLOPE = 0.2
"""Of a leaky ReLU below 0, as in Radford et al. 2016."""


class DenseMaker(nn.Module):
    """(b, w) -> (b, *r)."""

    def __init__(self, params: Gan, width: int, told: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((width, *reversed(params.hidden))):
            layers += [nn.Linear(before, after), nn.ReLU()]
        last = params.hidden[0] if params.hidden else width
        self.layers = nn.Sequential(*layers, nn.Linear(last, math.prod(told)))
        self.told = told

    def forward(self, z: Tensor) -> Tensor:
        """Return what is made, before its activation."""
        out: Tensor = self.layers(z)
        return out.reshape(-1, *self.told)


class DenseBody(nn.Module):
    """(b, r) -> (b, width)."""

    def __init__(self, params: Gan, seen: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise((seen[0], *params.hidden))):
            normed = params.critic_norm == "batch" and i > 0
            layers += [nn.Linear(before, after, bias=not normed)]
            layers += [BatchNorm(after)] if normed else []
            layers += [nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers)
        self.width = params.hidden[-1] if params.hidden else seen[0]

    def forward(self, x: Tensor) -> Tensor:
        """Return the last hidden layer."""
        out: Tensor = self.layers(x)
        return out
