"""A deep convolutional generator and its critic, which halves an image as often as the generator doubles it.

Source: Radford, Metz & Chintala 2016: kernels of 4, batch norm but at the critic's input and the generator's output,
weights from a normal distribution of deviation 0.02. An odd side is halved rounded down.
Shapes: b rows, w numbers of noise and class, c channels, y x x pixels.

Dense layers from noise to records, and from records to what a critic judges by.

Source: Goodfellow et al. 2014; the tutorials' generator 100-256-784 and critic 784-256-1.
Shapes: b rows, w numbers of noise and class, r numbers of a record.
"""

import math
from itertools import pairwise

from torch import Tensor, nn

from ...config.networks.gan import Gan
from ...errors import ParamsError
from ..layers import BatchNorm, halved_sizes, init_dcgan_

LEAKY_RELU_SLOPE = 0.2
"""Of a leaky ReLU below 0, as in Radford et al. 2016."""


class DenseGenerator(nn.Module):
    """(b, w) -> (b, *r)."""

    def __init__(self, params: Gan, width: int, output_shape: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((width, *reversed(params.hidden))):
            layers += [nn.Linear(before, after), nn.ReLU()]
        last = params.hidden[0] if params.hidden else width
        self.layers = nn.Sequential(*layers, nn.Linear(last, math.prod(output_shape)))
        self.output_shape = output_shape

    def forward(self, z: Tensor) -> Tensor:
        """Return what is made, before its activation."""
        out: Tensor = self.layers(z)
        return out.reshape(-1, *self.output_shape)


class DenseDiscriminator(nn.Module):
    """(b, r) -> (b, width)."""

    def __init__(self, params: Gan, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise((input_shape[0], *params.hidden))):
            normed = params.discriminator_norm == "batch" and i > 0
            layers += [nn.Linear(before, after, bias=not normed)]
            layers += [BatchNorm(after)] if normed else []
            layers += [nn.LeakyReLU(LEAKY_RELU_SLOPE)]
        self.layers = nn.Sequential(*layers)
        self.width = params.hidden[-1] if params.hidden else input_shape[0]

    def forward(self, x: Tensor) -> Tensor:
        """Return the last hidden layer."""
        out: Tensor = self.layers(x)
        return out


class DCGANGenerator(nn.Module):
    """(b, w) -> (b, c, y, x)."""

    def __init__(self, params: Gan, width: int, output_shape: tuple[int, ...]) -> None:
        super().__init__()
        steps = feature_map_sizes(params, output_shape)
        channels = (output_shape[0], *params.hidden)
        small = (channels[-1], *steps[-1])
        layers: list[nn.Module] = [
            nn.Linear(width, math.prod(small), bias=False),
            nn.Unflatten(1, small),
            nn.BatchNorm2d(small[0]),
            nn.ReLU(),
        ]
        for i in range(len(params.hidden), 0, -1):
            odd = steps[i - 1][0] % 2, steps[i - 1][1] % 2
            last = i == 1
            layers += [nn.ConvTranspose2d(channels[i], channels[i - 1], 4, 2, 1, output_padding=odd, bias=last)]
            layers += [] if last else [nn.BatchNorm2d(channels[i - 1]), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        init_dcgan_(self)

    def forward(self, z: Tensor) -> Tensor:
        """Return what is made, before its activation."""
        out: Tensor = self.layers(z)
        return out


class DCGANDiscriminator(nn.Module):
    """(b, c, y, x) -> (b, width)."""

    def __init__(self, params: Gan, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise((input_shape[0], *params.hidden))):
            normed = params.discriminator_norm == "batch" and i > 0
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=not normed)]
            layers += [nn.BatchNorm2d(after)] if normed else []
            layers += [nn.LeakyReLU(LEAKY_RELU_SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.width = params.hidden[-1] * math.prod(feature_map_sizes(params, input_shape)[-1])
        init_dcgan_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer, flat."""
        out: Tensor = self.layers(x)
        return out


def feature_map_sizes(params: Gan, image_shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return height and width before the critic's first layer, and after each.

    Raises:
        ParamsError: there is no layer, or an image of one pixel would be halved.
    """
    if not params.hidden:
        raise ParamsError(f"network.hidden must name a layer of design {params.architecture}, but is empty; name one")
    return halved_sizes(image_shape, len(params.hidden))
