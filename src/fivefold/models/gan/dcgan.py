"""Dense networks and deep convolutional networks (DCGAN) for generator and discriminator.

Source: dense: Goodfellow et al. 2014, with the tutorials' generator 100-256-784 and discriminator 784-256-1. DCGAN:
Radford, Metz & Chintala 2016: 4x4 kernels, batch norm except at the discriminator's input and the generator's output,
initial weights with standard deviation 0.02. The discriminator halves an image as often as the generator doubles it;
odd sides are rounded down.
Shapes: b samples, w dimensions of noise and class, r shape of a sample, c channels, y x x pixels.
"""

import math
from itertools import pairwise

from torch import Tensor, nn

from ...config.networks.gan import Gan
from ...errors import ParamsError
from ..layers import BatchNorm, halved_sizes, init_dcgan_

LEAKY_RELU_SLOPE = 0.2
"""Negative slope of leaky ReLU, as in Radford et al. 2016."""


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
        """Return the sample (b, *r) before its activation."""
        out: Tensor = self.layers(z)
        return out.reshape(-1, *self.output_shape)  # (b, prod(r)) -> (b, *r)


class DenseDiscriminator(nn.Module):
    """(b, r) with flat samples -> (b, width)."""

    def __init__(self, params: Gan, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise((input_shape[0], *params.hidden))):
            has_norm = params.discriminator_norm == "batch" and i > 0
            layers += [nn.Linear(before, after, bias=not has_norm)]
            layers += [BatchNorm(after)] if has_norm else []
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
        sizes = feature_map_sizes(params, output_shape)
        channels = (output_shape[0], *params.hidden)
        inner_shape = (channels[-1], *sizes[-1])
        layers: list[nn.Module] = [
            nn.Linear(width, math.prod(inner_shape), bias=False),
            nn.Unflatten(1, inner_shape),
            nn.BatchNorm2d(inner_shape[0]),
            nn.ReLU(),
        ]
        for i in range(len(params.hidden), 0, -1):
            odd = sizes[i - 1][0] % 2, sizes[i - 1][1] % 2
            is_last = i == 1
            layers += [nn.ConvTranspose2d(channels[i], channels[i - 1], 4, 2, 1, output_padding=odd, bias=is_last)]
            layers += [] if is_last else [nn.BatchNorm2d(channels[i - 1]), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        init_dcgan_(self)

    def forward(self, z: Tensor) -> Tensor:
        """Return the sample (b, c, y, x) before its activation."""
        out: Tensor = self.layers(z)
        return out


class DCGANDiscriminator(nn.Module):
    """(b, c, y, x) -> (b, width)."""

    def __init__(self, params: Gan, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise((input_shape[0], *params.hidden))):
            has_norm = params.discriminator_norm == "batch" and i > 0
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=not has_norm)]
            layers += [nn.BatchNorm2d(after)] if has_norm else []
            layers += [nn.LeakyReLU(LEAKY_RELU_SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.width = params.hidden[-1] * math.prod(feature_map_sizes(params, input_shape)[-1])
        init_dcgan_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last layer, flattened."""
        out: Tensor = self.layers(x)
        return out


def feature_map_sizes(params: Gan, image_shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return height and width before the discriminator's first layer, and after each.

    Raises:
        ParamsError: there is no layer, or an image of one pixel would be halved.
    """
    if not params.hidden:
        raise ParamsError(
            f"network.hidden must have at least one layer for architecture {params.architecture}, but is empty; add one"
        )
    return halved_sizes(image_shape, len(params.hidden))
