"""A small residual generator, and a residual discriminator for spectral norm.

Source: Miyato et al. 2018, appendix B.4; Gulrajani et al. 2017, appendix C. Sides are halved rounded down.
Shapes: b samples, w dimensions of noise and class, c channels, y x x pixels.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.gan import Gan
from .dcgan import feature_map_sizes


class UpsampleBlock(nn.Module):
    """(b, in_channels, ., .) -> (b, out_channels, y, x), by nearest-neighbor interpolation."""

    def __init__(self, in_channels: int, out_channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.norm_activation = nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU())
        self.convolutions = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block."""
        upsampled = functional.interpolate(self.norm_activation(x), self.size)  # (b, in_channels, y, x)
        out: Tensor = self.convolutions(upsampled) + self.shortcut(functional.interpolate(x, self.size))
        return out


class DownsampleBlock(nn.Module):
    """(b, in_channels, y, x) -> (b, out_channels, y / 2, x / 2), by average pooling.

    The first block applies no ReLU to its input.
    """

    def __init__(self, in_channels: int, out_channels: int, *, is_first: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *([] if is_first else [nn.ReLU()]),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.AvgPool2d(2),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block."""
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


class ResNetGenerator(nn.Module):
    """(b, w) -> (b, c, y, x)."""

    def __init__(self, params: Gan, width: int, output_shape: tuple[int, ...]) -> None:
        super().__init__()
        sizes = feature_map_sizes(params, output_shape)
        inner_shape = (params.hidden[-1], *sizes[-1])
        channels = (*reversed(params.hidden), params.hidden[0])
        self.layers = nn.Sequential(
            nn.Linear(width, math.prod(inner_shape)),
            nn.Unflatten(1, inner_shape),
            *(UpsampleBlock(*pair, size) for pair, size in zip(pairwise(channels), reversed(sizes[:-1]), strict=True)),
            nn.BatchNorm2d(channels[-1]),
            nn.ReLU(),
            nn.Conv2d(channels[-1], output_shape[0], 3, padding=1),
        )
        init_xavier_(self)

    def forward(self, z: Tensor) -> Tensor:
        """Return the sample (b, c, y, x) before its activation."""
        out: Tensor = self.layers(z)
        return out


class ResNetDiscriminator(nn.Module):
    """(b, c, y, x) -> (b, width): the last block, summed over all positions."""

    def __init__(self, params: Gan, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        feature_map_sizes(params, input_shape)  # raises if an image cannot be halved so often
        blocks = (
            DownsampleBlock(*pair, is_first=i == 0) for i, pair in enumerate(pairwise((input_shape[0], *params.hidden)))
        )
        self.layers = nn.Sequential(*blocks, nn.ReLU())
        self.width = params.hidden[-1]
        init_xavier_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer, summed over all positions."""
        return torch.sum(self.layers(x), dim=(2, 3))  # (b, width, y, x) -> (b, width)


def init_xavier_(network: nn.Module) -> None:
    """Initialize weights in place (Glorot & Bengio 2010), biases with 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
