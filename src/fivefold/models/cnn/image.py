"""Convolutional networks for images: plain stages of convolutions and pooling, VGG, and a residual network.

Source: LeCun et al. 1998; Simonyan & Zisserman 2015 (vgg), with batch norm (Ioffe & Szegedy 2015). The default is the
tutorials' network: 3x3 convolutions with 16 and 32 filters, each followed by 2x2 max-pooling, then dense layers of 128
and k units.
Residual network: He et al. 2016, section 4.2: 3x3 convolutions, activation after the sum, and shortcuts without weights
(their option A: every other pixel, zeros for the new channels), hence 0.27 million parameters at depth 20. Zagoruyko &
Komodakis 2016 for the width and for dropout within a block.
Shapes: b images, c channels, y x x pixels, f flat features, k outputs.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.cnn import PlainCnn, ResNet, Vgg
from ...errors import ParamsError
from ..factory import InputSpec
from ..layers import ACTIVATIONS, MONOTONIC_ACTIVATIONS, BatchNorm2d, build_dense_block, initialize_weights


class PlainCnnNetwork(nn.Module):
    """(b, c, y, x) -> (b, k) without a final activation.

    Raises:
        ParamsError: the images are too small for the convolutions and poolings.
    """

    def __init__(self, params: PlainCnn | Vgg, spec: InputSpec) -> None:
        super().__init__()
        channels, height, width = spec.shape
        height, width = _output_size(params, height, width)
        layers: list[nn.Module] = []
        stages = zip(pairwise((channels, *params.channels)), params.convolutions, strict=True)
        for (before, after), convolutions in stages:
            layers += _build_stage(params, before, after, convolutions)
        flatten = params.head == "flatten"
        layers.append(nn.Flatten() if flatten else GlobalAveragePool())
        widths = (params.channels[-1] * (height * width if flatten else 1), *params.dense)
        for before, after in pairwise(widths):
            layers += build_dense_block(before, after, params.activation, params.dropout)
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], spec.n_outputs))
        initialize_weights(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of images (b, c, y, x)."""
        out: Tensor = self.layers(x)
        return out


class GlobalAveragePool(nn.Module):
    """(b, c, ...) -> (b, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of each channel."""
        return x.flatten(2).mean(2)  # (b, c, y, x) -> (b, c, y * x) -> (b, c)


def _build_stage(params: PlainCnn | Vgg, in_channels: int, out_channels: int, n_convolutions: int) -> list[nn.Module]:
    """Return a stage of convolutions and one pooling: (b, in_channels, y, x) -> (b, out_channels, y / 2, x / 2)."""
    layers: list[nn.Module] = []
    for i in range(n_convolutions):
        has_norm = params.norm == "batch"
        layers.append(
            nn.Conv2d(
                in_channels if i == 0 else out_channels,
                out_channels,
                params.kernel_size,
                padding=params.kernel_size // 2 if params.padding == "same" else 0,
                bias=not has_norm,  # batch norm would cancel it
            )
        )
        if has_norm:
            layers.append(BatchNorm2d(out_channels))
        layers.append(ACTIVATIONS[params.activation]())
    pool = nn.MaxPool2d(2) if params.pool == "max" else nn.AvgPool2d(2)
    pool_first = params.pool == "max" and params.activation in MONOTONIC_ACTIVATIONS
    layers.insert(len(layers) - 1 if pool_first else len(layers), pool)
    return layers


def _output_size(params: PlainCnn | Vgg, height: int, width: int) -> tuple[int, int]:
    """Return height and width after all stages."""
    trimmed = 0 if params.padding == "same" else params.kernel_size - 1
    y, x = height, width
    for possible, convolutions in enumerate(params.convolutions):
        y, x = (y - trimmed * convolutions) // 2, (x - trimmed * convolutions) // 2
        if min(y, x) < 1:
            size = params.kernel_size
            unpadded = f"{size}x{size} filters without padding and " if trimmed else ""
            raise ParamsError(
                f"network.channels must have at most {possible} stages for images of {height}x{width} pixels, because"
                f" each stage ends with {unpadded}a pooling that halves them, but has {len(params.channels)}; shorten"
                " it"
            )
    return y, x


class BasicBlock(nn.Module):
    """Two convolutions plus a shortcut: (b, in_channels, y, x) -> (b, out_channels, y / stride, x / stride).

    Sizes are rounded up.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, params: ResNet) -> None:
        super().__init__()
        self.stride, self.extra_channels = stride, out_channels - in_channels
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            BatchNorm2d(out_channels),
            ACTIVATIONS[params.activation](),
            nn.Dropout(params.dropout),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            BatchNorm2d(out_channels),
        )
        self.activation = ACTIVATIONS[params.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block."""
        shortcut = x
        if self.stride > 1:
            shortcut = shortcut[:, :, :: self.stride, :: self.stride]  # (b, in_channels, y / stride, x / stride)
        if self.extra_channels:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.extra_channels))  # (b, out_channels, ...)
        out: Tensor = self.activation(self.body(x) + shortcut)
        return out


class ResNetNetwork(nn.Module):
    """(b, c, y, x) of any size -> (b, k) without a final activation."""

    def __init__(self, params: ResNet, spec: InputSpec) -> None:
        super().__init__()
        width = 16 * params.widen_factor
        layers: list[nn.Module] = [
            nn.Conv2d(spec.shape[0], width, 3, padding=1, bias=False),
            BatchNorm2d(width),
            ACTIVATIONS[params.activation](),
        ]
        before = width
        for stage in range(3):
            after = width << stage
            for i in range((params.depth - 2) // 6):
                layers.append(BasicBlock(before, after, 2 if stage and not i else 1, params))
                before = after
        self.layers = nn.Sequential(*layers, GlobalAveragePool(), nn.Linear(before, spec.n_outputs))
        initialize_weights(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of images (b, c, y, x)."""
        out: Tensor = self.layers(x)
        return out
