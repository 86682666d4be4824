"""Causal convolutions over time, each block twice as far apart as the one before.

Source: Bai, Kolter & Koltun 2018; weight norm Salimans & Kingma 2016. A step sees itself and steps before it, so
padding at the end of a record changes nothing, and `every_step` tells what a language model needs in one pass.
Shapes: b records, t steps, f values a step, c channels, k outputs. `real`: see steps.py.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.cnn import Tcn
from ..layers import ACTIVATIONS, initialise
from ..shape import Shape
from .steps import Steps, last_of


class CausalConvolution(nn.Conv1d):
    """(b, before, t) -> (b, after, t), each step from itself and earlier ones; with norm weight, filters * scale."""

    def __init__(self, before: int, after: int, kernel: int, dilation: int, norm: Literal["none", "weight"]) -> None:
        super().__init__(before, after, kernel, dilation=dilation)
        self.back = (kernel - 1) * dilation
        self.scale = nn.Parameter(torch.ones(after)) if norm == "weight" else None

    def lengths(self) -> Tensor:
        """Return the length of each filter, (after,)."""
        lengths: Tensor = torch.linalg.vector_norm(self.weight, dim=(1, 2))
        return lengths

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x and the zeros before it."""
        weight = self.weight
        if self.scale is not None:
            weight = weight * (self.scale / self.lengths().clamp_min(1e-12))[:, None, None]
        return functional.conv1d(functional.pad(x, (self.back, 0)), weight, self.bias, dilation=self.dilation)


class Block(nn.Module):
    """Two causal convolutions beside a shortcut: (b, before, t) -> (b, after, t)."""

    def __init__(self, before: int, after: int, dilation: int, params: Tcn) -> None:
        super().__init__()
        self.body = nn.Sequential(
            CausalConvolution(before, after, params.kernel, dilation, params.norm),
            ACTIVATIONS[params.activation](),
            nn.Dropout(params.dropout),
            CausalConvolution(after, after, params.kernel, dilation, params.norm),
            ACTIVATIONS[params.activation](),
            nn.Dropout(params.dropout),
        )
        self.shortcut = nn.Identity() if before == after else nn.Conv1d(before, after, 1)
        self.activation = ACTIVATIONS[params.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return out


class TcnNetwork(nn.Module):
    """(b, t, f) or (b, t) -> (b, k) without a final activation."""

    def __init__(self, params: Tcn, shape: Shape) -> None:
        super().__init__()
        self.steps = Steps(shape, params.embedding)
        sizes = pairwise((self.steps.channels, *params.channels))
        self.blocks = nn.Sequential(*(Block(before, after, 2**i, params) for i, (before, after) in enumerate(sizes)))
        self.head = nn.Linear(params.channels[-1], shape.outputs)
        initialise(self, params.init, params.activation)
        for module in self.modules():
            if isinstance(module, CausalConvolution) and module.scale is not None:
                module.scale.data = module.lengths().detach()  # filters begin as `init` says

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of preprocessed records: those of the last real step."""
        x, real = self.steps(x)  # (b, t, f) -> (b, f, t)
        out: Tensor = self.head(last_of(self.blocks(x), real))  # (b, c, t) -> (b, c) -> (b, k)
        return out

    def every_step(self, x: Tensor) -> Tensor:
        """Return the outputs (b, t, k) of each step, from it and those before it."""
        x, _ = self.steps(x)  # (b, t, f) -> (b, f, t)
        out: Tensor = self.head(self.blocks(x).transpose(1, 2))  # (b, c, t) -> (b, t, c) -> (b, t, k)
        return out
