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
from .dcgan import feature_map_sizes


class UpsampleBlock(nn.Module):
    """(b, before, ., .) -> (b, after, y, x), by nearest pixels."""

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
        """Return the block's output."""
        grown = functional.interpolate(self.norm_activation(x), self.size)  # (b, before, y, x)
        out: Tensor = self.convolutions(grown) + self.shortcut(functional.interpolate(x, self.size))
        return out


class DownsampleBlock(nn.Module):
    """(b, before, y, x) -> (b, after, y / 2, x / 2), by means; the first block sees records, which need no ReLU."""

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
        """Return the block's output."""
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


class ResNetGenerator(nn.Module):
    """(b, w) -> (b, c, y, x)."""

    def __init__(self, params: Gan, width: int, output_shape: tuple[int, ...]) -> None:
        super().__init__()
        steps = feature_map_sizes(params, output_shape)
        small = (params.hidden[-1], *steps[-1])
        channels = (*reversed(params.hidden), params.hidden[0])
        self.layers = nn.Sequential(
            nn.Linear(width, math.prod(small)),
            nn.Unflatten(1, small),
            *(UpsampleBlock(*pair, size) for pair, size in zip(pairwise(channels), reversed(steps[:-1]), strict=True)),
            nn.BatchNorm2d(channels[-1]),
            nn.ReLU(),
            nn.Conv2d(channels[-1], output_shape[0], 3, padding=1),
        )
        init_xavier_(self)

    def forward(self, z: Tensor) -> Tensor:
        """Return what is made, before its activation."""
        out: Tensor = self.layers(z)
        return out


class ResNetDiscriminator(nn.Module):
    """(b, c, y, x) -> (b, width): the sum over all places of the last block."""

    def __init__(self, params: Gan, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        feature_map_sizes(params, input_shape)
        blocks = (
            DownsampleBlock(*pair, is_first=i == 0) for i, pair in enumerate(pairwise((input_shape[0], *params.hidden)))
        )
        self.layers = nn.Sequential(*blocks, nn.ReLU())
        self.width = params.hidden[-1]
        init_xavier_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer, summed over places."""
        return torch.sum(self.layers(x), dim=(2, 3))


def init_xavier_(network: nn.Module) -> None:
    """Set the first weights in place (Glorot & Bengio 2010), biases to 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
