"""Convolutions and max-pooling, then dense layers.

Source: LeCun et al. 1998. The default is the tutorials' network: 3x3 convolutions of 16 and 32 filters, each followed
by 2x2 max-pooling, a dense layer of 128 units and one of n.
Shapes: b images, c channels, y x x pixels, f flattened, k outputs.
"""

from itertools import pairwise

from torch import Tensor, nn

from ...errors import ParamsError
from ..layers import ACTIVATIONS, MONOTONE, initialise
from ..shape import Shape
from .params import Cnn


def build(params: Cnn, shape: Shape) -> nn.Module:
    """Return the network for images of `shape`.

    Raises:
        ParamsError: the images are too small to be halved once per convolution.
    """
    return CnnNetwork(params, shape)


class CnnNetwork(nn.Module):
    """(b, c, y, x) -> (b, k) without a final activation."""

    def __init__(self, params: Cnn, shape: Shape) -> None:
        super().__init__()
        channels, height, width = shape.features
        halvings = len(params.channels)
        if min(height, width) >> halvings == 0:
            raise ParamsError(
                f"network.channels may halve images of {height}x{width} pixels {min(height, width).bit_length() - 1}"
                f" times, but holds {halvings} convolutions; shorten it"
            )
        layers: list[nn.Module] = []
        for before, after in pairwise((channels, *params.channels)):
            # padding keeps the size, each pooling halves it
            convolution = nn.Conv2d(before, after, params.kernel, padding=params.kernel // 2)
            activation, pool = ACTIVATIONS[params.activation](), nn.MaxPool2d(2)
            layers += (
                [convolution, pool, activation] if params.activation in MONOTONE else [convolution, activation, pool]
            )
        flat = params.channels[-1] * (height >> halvings) * (width >> halvings)
        layers.append(nn.Flatten())
        for before, after in pairwise((flat, *params.dense)):
            layers += [nn.Linear(before, after), ACTIVATIONS[params.activation]()]
            if params.dropout:
                layers.append(nn.Dropout(params.dropout))
        self.layers = nn.Sequential(*layers, nn.Linear((flat, *params.dense)[-1], shape.outputs))
        initialise(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of images (b, c, y, x)."""
        out: Tensor = self.layers(x)
        return out
