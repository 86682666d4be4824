"""Convolutions that halve an image, and transposed ones that double it again.

Source: Masci et al. 2011; strides in place of pooling as in Springenberg et al. 2015.
Shapes: b rows, c channels, y x x pixels, l numbers of a code.
"""

import math
from itertools import pairwise

from torch import Tensor, nn

from ...config.networks.autoencoder import Autoencoder
from ..halving import halvings
from ..layers import ACTIVATIONS, BatchNorm2d


class ConvEncoder(nn.Module):
    """(b, c, y, x) -> (b, width): each layer halves the image, rounded up."""

    def __init__(self, params: Autoencoder, told: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((told[0], *params.hidden)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=params.norm != "batch")]
            layers += [BatchNorm2d(after)] if params.norm == "batch" else []
            layers += [ACTIVATIONS[params.activation]()]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        last = params.hidden[-1] if params.hidden else told[0]
        self.width = last * math.prod(halvings(told, len(params.hidden), up=True)[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer, flat."""
        out: Tensor = self.layers(x)
        return out


class ConvDecoder(nn.Module):
    """(b, l) -> (b, c, y, x), which may be odd: what a halving rounded up is taken back."""

    def __init__(self, params: Autoencoder, told: tuple[int, ...]) -> None:
        super().__init__()
        steps = halvings(told, len(params.hidden), up=True)
        channels = (told[0], *params.hidden)
        small = (channels[-1], *steps[-1])
        layers: list[nn.Module] = [nn.Linear(params.latent, math.prod(small)), nn.Unflatten(1, small)]
        if params.hidden:
            layers += [ACTIVATIONS[params.activation]()]
        for i in range(len(params.hidden), 0, -1):
            even = tuple(1 - size % 2 for size in steps[i - 1])
            last = i == 1
            after = nn.ConvTranspose2d(
                channels[i],
                channels[i - 1],
                3,
                stride=2,
                padding=1,
                output_padding=(even[0], even[1]),
                bias=last or params.norm != "batch",
            )
            layers += [after]
            if not last:
                layers += [BatchNorm2d(channels[i - 1])] if params.norm == "batch" else []
                layers += [ACTIVATIONS[params.activation]()]
        self.layers = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        """Return what is told, before its activation."""
        out: Tensor = self.layers(code)
        return out
