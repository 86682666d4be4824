"""Dense layers over a flat feature vector.

Source: Rumelhart, Hinton & Williams 1986.
Shapes: b rows, f features, h hidden units, k outputs.
"""

import math

from torch import Tensor, nn

from ..layers import ACTIVATIONS, initialise
from ..shape import Shape
from .params import Mlp


def build(params: Mlp, shape: Shape) -> nn.Module:
    """Return the network for records of `shape`; images are flattened."""
    return MlpNetwork(params, math.prod(shape.features), shape.outputs)


class MlpNetwork(nn.Module):
    """(b, ...) with f numbers a row -> (b, k) without a final activation."""

    def __init__(self, params: Mlp, n_features: int, n_outputs: int) -> None:
        super().__init__()
        widths = [n_features, *params.hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, width in zip(widths, params.hidden, strict=False):
            layers += [nn.Linear(before, width), ACTIVATIONS[params.activation]()]
            if params.dropout:
                layers.append(nn.Dropout(params.dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))
        initialise(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of features (b, ...)."""
        out: Tensor = self.layers(x)
        return out
