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

from ...config.networks.cnn import ResNet, Stack, Vgg
from ...errors import ParamsError
from ..factory import Shape
from ..layers import ACTIVATIONS, MONOTONE, BatchNorm2d, dense, initialise


class StackNetwork(nn.Module):
    """(b, c, y, x) -> (b, k) without a final activation.

    Raises:
        ParamsError: the images are too small for the convolutions and poolings.
    """

    def __init__(self, params: Stack | Vgg, shape: Shape) -> None:
        super().__init__()
        channels, height, width = shape.features
        height, width = _left(params, height, width)
        layers: list[nn.Module] = []
        stages = zip(pairwise((channels, *params.channels)), params.convolutions, strict=True)
        for (before, after), convolutions in stages:
            layers += _stage(params, before, after, convolutions)
        flatten = params.head == "flatten"
        layers.append(nn.Flatten() if flatten else GlobalMean())
        widths = (params.channels[-1] * (height * width if flatten else 1), *params.dense)
        for before, after in pairwise(widths):
            layers += dense(before, after, params.activation, params.dropout)
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], shape.outputs))
        initialise(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of images (b, c, y, x)."""
        out: Tensor = self.layers(x)
        return out


class GlobalMean(nn.Module):
    """(b, c, ...) -> (b, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of each channel."""
        return x.flatten(2).mean(2)


def _stage(params: Stack | Vgg, before: int, after: int, convolutions: int) -> list[nn.Module]:
    """Return convolutions, norms and activations, and one pooling: (b, before, y, x) -> (b, after, y/2, x/2)."""
    layers: list[nn.Module] = []
    for i in range(convolutions):
        normed = params.norm == "batch"
        layers.append(
            nn.Conv2d(
                before if i == 0 else after,
                after,
                params.kernel,
                padding=params.kernel // 2 if params.padding == "same" else 0,
                bias=not normed,  # the norm would take it away
            )
        )
        if normed:
            layers.append(BatchNorm2d(after))
        layers.append(ACTIVATIONS[params.activation]())
    pool = nn.MaxPool2d(2) if params.pool == "max" else nn.AvgPool2d(2)
    first = params.pool == "max" and params.activation in MONOTONE
    layers.insert(len(layers) - 1 if first else len(layers), pool)
    return layers


def _left(params: Stack | Vgg, height: int, width: int) -> tuple[int, int]:
    """Return height and width after all stages."""
    lost = 0 if params.padding == "same" else params.kernel - 1
    y, x = height, width
    for possible, convolutions in enumerate(params.convolutions):
        y, x = (y - lost * convolutions) // 2, (x - lost * convolutions) // 2
        if min(y, x) < 1:
            trimmed = f"{params.kernel}x{params.kernel} filters within the image and " if lost else ""
            raise ParamsError(
                f"network.channels may hold {possible} stages for images of {height}x{width} pixels, since each stage"
                f" ends with {trimmed}a pooling that halves them, but holds {len(params.channels)}; shorten it"
            )
    return y, x


class Block(nn.Module):
    """Two convolutions beside a shortcut: (b, before, y, x) -> (b, after, y / stride, x / stride), rounded up."""

    def __init__(self, before: int, after: int, stride: int, params: ResNet) -> None:
        super().__init__()
        self.stride, self.new = stride, after - before
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            BatchNorm2d(after),
            ACTIVATIONS[params.activation](),
            nn.Dropout(params.dropout),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            BatchNorm2d(after),
        )
        self.activation = ACTIVATIONS[params.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        shortcut = x
        if self.stride > 1:
            shortcut = shortcut[:, :, :: self.stride, :: self.stride]  # (b, before, y / stride, x / stride)
        if self.new:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.new))  # (b, before, ...) -> (b, after, ...)
        out: Tensor = self.activation(self.body(x) + shortcut)
        return out


class ResNetNetwork(nn.Module):
    """(b, c, y, x) of any size -> (b, k) without a final activation."""

    def __init__(self, params: ResNet, shape: Shape) -> None:
        super().__init__()
        wide = 16 * params.width
        layers: list[nn.Module] = [
            nn.Conv2d(shape.features[0], wide, 3, padding=1, bias=False),
            BatchNorm2d(wide),
            ACTIVATIONS[params.activation](),
        ]
        before = wide
        for stage in range(3):
            after = wide << stage
            for i in range((params.depth - 2) // 6):
                layers.append(Block(before, after, 2 if stage and not i else 1, params))
                before = after
        self.layers = nn.Sequential(*layers, GlobalMean(), nn.Linear(before, shape.outputs))
        initialise(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of images (b, c, y, x)."""
        out: Tensor = self.layers(x)
        return out
