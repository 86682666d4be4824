"""Dense layers to a code and back.

Shapes: b rows, f features, l numbers of a code, r what is told of a record.
"""

import math
from itertools import pairwise

from torch import Tensor, nn

from ...config.networks.autoencoder import Autoencoder
from ..layers import dense


class DenseEncoder(nn.Module):
    """(b, ...) with f numbers a row -> (b, width)."""

    def __init__(self, params: Autoencoder, n_features: int) -> None:
        super().__init__()
        widths = (n_features, *params.hidden)
        layers = [layer for pair in pairwise(widths) for layer in dense(*pair, params.activation, 0.0, params.norm)]
        self.layers = nn.Sequential(nn.Flatten(), *layers)
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return the last hidden layer."""
        out: Tensor = self.layers(x)
        return out


class DenseDecoder(nn.Module):
    """(b, l) -> (b, *r)."""

    def __init__(self, params: Autoencoder, told: tuple[int, ...]) -> None:
        super().__init__()
        widths = (params.latent, *reversed(params.hidden))
        layers = [layer for pair in pairwise(widths) for layer in dense(*pair, params.activation, 0.0, params.norm)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(told)))
        self.told = told

    def forward(self, code: Tensor) -> Tensor:
        """Return what is told, before its activation."""
        out: Tensor = self.layers(code)
        return out.reshape(-1, *self.told)
