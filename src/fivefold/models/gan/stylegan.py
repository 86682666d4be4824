"""A style-based generator and its discriminator (StyleGAN2).

Source: Karras et al. 2020: mapping network, weights modulated by style and demodulated, noise at each layer, images
summed over resolutions; a residual discriminator with the standard deviation over the batch as feature (Karras et al.
2018). Left out, for small images: equalized learning rates, style mixing, path length regularization. In evaluation
mode the noise is fixed. Sides are halved rounded down.
Shapes: b samples, w dimensions of noise and class, s style dimensions, c channels, y x x pixels.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.gan import Gan
from .dcgan import LEAKY_RELU_SLOPE, feature_map_sizes

N_MAPPING_LAYERS = 4
"""Layers from noise to style."""

EPSILON = 1e-8


class ModulatedConv2d(nn.Module):
    """(b, in_channels, y, x) and styles (b, s) -> (b, out_channels, y, x), with separate weights for each sample.

    Weights are scaled per input channel by the style, and per output channel to unit norm. Both scales are applied to
    the input and the output instead, so that a single convolution processes all samples.
    """

    def __init__(
        self, in_channels: int, out_channels: int, style_dim: int, kernel_size: int, *, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.affine = nn.Linear(style_dim, in_channels)
        nn.init.ones_(self.affine.bias)
        self.weight = nn.Parameter(
            torch.randn(out_channels, in_channels, kernel_size, kernel_size) / math.sqrt(in_channels * kernel_size**2)
        )
        self.padding, self.demodulate = kernel_size // 2, demodulate

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return the modulated convolution of x."""
        scale: Tensor = self.affine(style)  # (b, s) -> (b, in_channels)
        out: Tensor = functional.conv2d(x * scale[:, :, None, None], self.weight, padding=self.padding)
        if not self.demodulate:
            return out
        norms = scale.square() @ self.weight.square().sum((2, 3)).T  # (b, out_channels)
        return out * (norms + EPSILON).rsqrt()[:, :, None, None]


class StyledConv(nn.Module):
    """Upsampling to y x x, modulated convolution, noise and activation."""

    noise: Tensor

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.conv = ModulatedConv2d(in_channels, out_channels, style_dim, 3)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_channels, 1, 1))
        self.register_buffer("noise", torch.randn(1, 1, *size))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Return (b, out_channels, y, x)."""
        out = self.conv(_upsample(x, self.size), style)
        noise = torch.randn(len(out), 1, *self.size, device=out.device) if self.training else self.noise
        return functional.leaky_relu(out + noise * self.noise_strength + self.bias, LEAKY_RELU_SLOPE) * math.sqrt(2)


class StyleGANGenerator(nn.Module):
    """(b, w) -> (b, c, y, x)."""

    def __init__(self, params: Gan, width: int, output_shape: tuple[int, ...]) -> None:
        super().__init__()
        style_dim, sizes = params.latent_dim, list(reversed(feature_map_sizes(params, output_shape)))
        mapping = [nn.Linear(*pair) for pair in pairwise((width, *[style_dim] * N_MAPPING_LAYERS))]
        self.mapping = nn.Sequential(
            *(module for layer in mapping for module in (layer, nn.LeakyReLU(LEAKY_RELU_SLOPE)))
        )
        channels = (*reversed(params.hidden), params.hidden[0])
        self.constant_input = nn.Parameter(torch.randn(1, channels[0], *sizes[0]))
        self.layers = nn.ModuleList([StyledConv(channels[0], channels[0], style_dim, sizes[0])])
        self.to_rgb = nn.ModuleList([ModulatedConv2d(channels[0], output_shape[0], style_dim, 1, demodulate=False)])
        for (before, after), size in zip(pairwise(channels), sizes[1:], strict=True):
            self.layers.append(StyledConv(before, after, style_dim, size))
            self.to_rgb.append(ModulatedConv2d(after, output_shape[0], style_dim, 1, demodulate=False))
        self.bias = nn.Parameter(torch.zeros(output_shape[0], 1, 1))
        self.sizes = sizes
        init_kaiming_(self.mapping)

    def forward(self, z: Tensor) -> Tensor:
        """Return the image (b, c, y, x) before its activation."""
        style = self.mapping(z * (z.square().mean(1, keepdim=True) + EPSILON).rsqrt())  # (b, w) -> (b, s)
        x = self.constant_input.expand(z.shape[0], -1, -1, -1)  # len(z) would be exported as a constant
        image = self.bias.expand(z.shape[0], -1, *self.sizes[0])
        for layer, to_rgb, size in zip(self.layers, self.to_rgb, self.sizes, strict=True):
            x = layer(x, style)  # (b, out_channels, *size)
            image = _upsample(image, size) + to_rgb(x, style)  # (b, c, *size)
        return image


class DownsampleBlock(nn.Module):
    """(b, in_channels, y, x) -> (b, out_channels, y / 2, x / 2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, padding=1),
            nn.LeakyReLU(LEAKY_RELU_SLOPE),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.LeakyReLU(LEAKY_RELU_SLOPE),
            nn.AvgPool2d(2),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block."""
        out: Tensor = (self.body(x) + self.shortcut(x)) / math.sqrt(2)
        return out


class StyleGANDiscriminator(nn.Module):
    """(b, c, y, x) -> (b, width); a sample's output depends on the other samples of its batch."""

    def __init__(self, params: Gan, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        last, small = params.hidden[-1], feature_map_sizes(params, input_shape)[-1]
        self.from_rgb = nn.Sequential(nn.Conv2d(input_shape[0], params.hidden[0], 1), nn.LeakyReLU(LEAKY_RELU_SLOPE))
        self.layers = nn.Sequential(*(DownsampleBlock(*pair) for pair in pairwise((params.hidden[0], *params.hidden))))
        self.output_layers = nn.Sequential(
            nn.Conv2d(last + 1, last, 3, padding=1),
            nn.LeakyReLU(LEAKY_RELU_SLOPE),
            nn.Flatten(),
            nn.Linear(last * math.prod(small), last),
            nn.LeakyReLU(LEAKY_RELU_SLOPE),
        )
        self.width = last
        init_kaiming_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last hidden layer."""
        h = self.layers(self.from_rgb(x))  # (b, c, y, x) -> (b, width, ., .)
        batch_std = (h.var(0, unbiased=False) + EPSILON).sqrt().mean()  # ()
        out: Tensor = self.output_layers(torch.cat([h, batch_std.expand(len(h), 1, *h.shape[2:])], dim=1))
        return out


def init_kaiming_(network: nn.Module) -> None:
    """Initialize weights in place (He et al. 2015), biases with 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, LEAKY_RELU_SLOPE)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x if x.shape[2:] == size else functional.interpolate(x, size, mode="bilinear")
