"""Stages of convolutions and pooling, then dense layers.

Source: LeCun et al. 1998; Simonyan & Zisserman 2015 (vgg), with batch norm (Ioffe & Szegedy 2015). The default is the
tutorials' network: 3x3 convolutions of 16 and 32 filters, each followed by 2x2 max-pooling, a dense layer of 128 units
and one of k.
Shapes: b images, c channels, y x x pixels, f numbers that the dense layers see, k outputs.

A residual network for small images.

Source: He et al. 2016, section 4.2: 3x3 convolutions, activation after the sum, and shortcuts without weights (their
option A: every other pixel, zeros for the channels that are new), hence 0.27 million parameters at depth 20.
Zagoruyko & Komodakis 2016 for the width and for dropout within a block.
Shapes: b images, c channels, y x x pixels, k outputs.
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
        return x.flatten(2).mean(2)


def _build_stage(params: PlainCnn | Vgg, in_channels: int, out_channels: int, n_convolutions: int) -> list[nn.Module]:
    """Return convolutions, norms and activations, and one pooling: (b, before, y, x) -> (b, after, y/2, x/2)."""
    layers: list[nn.Module] = []
    for i in range(n_convolutions):
        normed = params.norm == "batch"
        layers.append(
            nn.Conv2d(
                in_channels if i == 0 else out_channels,
                out_channels,
                params.kernel_size,
                padding=params.kernel_size // 2 if params.padding == "same" else 0,
                bias=not normed,  # the norm would take it away
            )
        )
        if normed:
            layers.append(BatchNorm2d(out_channels))
        layers.append(ACTIVATIONS[params.activation]())
    pool = nn.MaxPool2d(2) if params.pool == "max" else nn.AvgPool2d(2)
    first = params.pool == "max" and params.activation in MONOTONIC_ACTIVATIONS
    layers.insert(len(layers) - 1 if first else len(layers), pool)
    return layers


def _output_size(params: PlainCnn | Vgg, height: int, width: int) -> tuple[int, int]:
    """Return height and width after all stages."""
    lost = 0 if params.padding == "same" else params.kernel_size - 1
    y, x = height, width
    for possible, convolutions in enumerate(params.convolutions):
        y, x = (y - lost * convolutions) // 2, (x - lost * convolutions) // 2
        if min(y, x) < 1:
            trimmed = f"{params.kernel_size}x{params.kernel_size} filters within the image and " if lost else ""
            raise ParamsError(
                f"network.channels may hold {possible} stages for images of {height}x{width} pixels, since each stage"
                f" ends with {trimmed}a pooling that halves them, but holds {len(params.channels)}; shorten it"
            )
    return y, x


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut: (b, before, y, x) -> (b, after, y / stride, x / stride), rounded up."""

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
        """Return the block's output."""
        shortcut = x
        if self.stride > 1:
            shortcut = shortcut[:, :, :: self.stride, :: self.stride]  # (b, before, y / stride, x / stride)
        if self.extra_channels:
            shortcut = functional.pad(
                shortcut, (0, 0, 0, 0, 0, self.extra_channels)
            )  # (b, before, ...) -> (b, after, ...)
        out: Tensor = self.activation(self.body(x) + shortcut)
        return out


class ResNetNetwork(nn.Module):
    """(b, c, y, x) of any size -> (b, k) without a final activation."""

    def __init__(self, params: ResNet, spec: InputSpec) -> None:
        super().__init__()
        wide = 16 * params.widen_factor
        layers: list[nn.Module] = [
            nn.Conv2d(spec.shape[0], wide, 3, padding=1, bias=False),
            BatchNorm2d(wide),
            ACTIVATIONS[params.activation](),
        ]
        before = wide
        for stage in range(3):
            after = wide << stage
            for i in range((params.depth - 2) // 6):
                layers.append(BasicBlock(before, after, 2 if stage and not i else 1, params))
                before = after
        self.layers = nn.Sequential(*layers, GlobalAveragePool(), nn.Linear(before, spec.n_outputs))
        initialize_weights(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of images (b, c, y, x)."""
        out: Tensor = self.layers(x)
        return out
