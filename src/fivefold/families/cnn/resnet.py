"""A residual network for small images.

Source: He et al. 2016, section 4.2: 3x3 convolutions, activation after the sum, and shortcuts without weights (their
option A: every other pixel, zeros for the channels that are new), hence 0.27 million parameters at depth 20.
Zagoruyko & Komodakis 2016 for the width and for dropout within a block.
Shapes: b images, c channels, y x x pixels, k outputs.
"""

from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.cnn import ResNet
from ..layers import ACTIVATIONS, BatchNorm2d, initialise
from ..shape import Shape
from .stack import GlobalMean


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
