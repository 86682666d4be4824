"""Convolutions over time and the mean over all steps, plain and residual.

Source: Wang, Yan & Oates 2017. As in the authors' code, a block whose channels stay the same has a norm alone in its
shortcut, another one a convolution over one step and a norm.
Shapes: b records, t steps, f values a step, c channels, k outputs. `real`: see steps.py.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from ...config.networks.cnn import Fcn, ResNet1d
from ..layers import ACTIVATIONS, initialise
from ..shape import Shape
from .steps import Convolution, MaskedNorm, Steps, mean_of


class FcnNetwork(nn.Module):
    """(b, t, f) or (b, t) -> (b, k) without a final activation."""

    def __init__(self, params: Fcn, shape: Shape) -> None:
        super().__init__()
        self.steps = Steps(shape, params.embedding)
        sizes = zip(pairwise((self.steps.channels, *params.channels)), params.kernels, strict=True)
        self.layers = nn.ModuleList(Convolution(before, after, kernel) for (before, after), kernel in sizes)
        self.activation = ACTIVATIONS[params.activation]()
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(params.channels[-1], shape.outputs)
        initialise(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of preprocessed records."""
        x, real = self.steps(x)  # (b, t, f) -> (b, f, t)
        for layer in self.layers:
            x = self.activation(layer(x, real))  # (b, c, t)
        out: Tensor = self.head(self.dropout(mean_of(x, real)))  # (b, c, t) -> (b, c) -> (b, k)
        return out


class Block(nn.Module):
    """A convolution of each kernel beside a shortcut: (b, before, t), `real` -> (b, after, t)."""

    def __init__(self, before: int, after: int, kernels: Sequence[int], activation: nn.Module) -> None:
        super().__init__()
        inputs = (before, *(after for _ in kernels[1:]))
        self.layers = nn.ModuleList(Convolution(n, after, kernel) for n, kernel in zip(inputs, kernels, strict=True))
        self.shortcut = MaskedNorm(after) if before == after else Convolution(before, after, 1)
        self.activation = activation

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """Return the block's output."""
        out = self.shortcut(x, real)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x, real))
        total: Tensor = self.activation(out + self.layers[-1](x, real))
        return total


class ResNet1dNetwork(nn.Module):
    """(b, t, f) or (b, t) -> (b, k) without a final activation."""

    def __init__(self, params: ResNet1d, shape: Shape) -> None:
        super().__init__()
        self.steps = Steps(shape, params.embedding)
        sizes = pairwise((self.steps.channels, *params.channels))
        activation = ACTIVATIONS[params.activation]()
        self.blocks = nn.ModuleList(Block(before, after, params.kernels, activation) for before, after in sizes)
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(params.channels[-1], shape.outputs)
        initialise(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of preprocessed records."""
        x, real = self.steps(x)  # (b, t, f) -> (b, f, t)
        for block in self.blocks:
            x = block(x, real)  # (b, c, t)
        out: Tensor = self.head(self.dropout(mean_of(x, real)))  # (b, c, t) -> (b, c) -> (b, k)
        return out
