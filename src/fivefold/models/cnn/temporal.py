"""What networks over steps in time share: records as channels, and padding that changes nothing.

Padding is held at zero before every convolution, which sees zeros beyond the end of a record anyway; the statistics of
batch norm and the mean over time are of real steps only. So a record gives the same numbers however far it is padded,
in training too.
Shapes: b records, t steps, f values a step, e numbers a token, c channels. `real` (b, 1, t) is 1 for a step and 0 for
padding; None if every step is real.

Convolutions over time and the mean over all steps, plain and residual.

Source: Wang, Yan & Oates 2017. As in the authors' code, a block whose channels stay the same has a norm alone in its
shortcut, another one a convolution over one step and a norm.
Shapes: b records, t steps, f values a step, c channels, k outputs. `real`: see steps.py.

Causal convolutions over time, each block twice as far apart as the one before.

Source: Bai, Kolter & Koltun 2018; weight norm Salimans & Kingma 2016. A step sees itself and steps before it, so
padding at the end of a record changes nothing, and `every_step` tells what a language model needs in one pass.
Shapes: b records, t steps, f values a step, c channels, k outputs. `real`: see steps.py.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.cnn import Fcn, ResNet1d, Tcn
from ..factory import Shape
from ..layers import ACTIVATIONS, BatchNorm, embedding_size, initialise

MOMENTUM = 0.1


class Steps(nn.Module):
    """Preprocessed records -> values (b, f, t) and `real`.

    Raises:
        ParamsError: an embedding is asked for, but there are no tokens.
    """

    def __init__(self, shape: Shape, embedding: int | None) -> None:
        super().__init__()
        size = embedding_size(embedding, shape)
        self.masked = shape.masked
        self.table = nn.Embedding(shape.tokens, size, padding_idx=0) if shape.tokens else None
        self.channels = size or shape.features[1] - shape.masked

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Take apart records (b, t, f), (b, t, f + 1) if masked, or tokens (b, t)."""
        if self.table is not None:
            tokens = x.long()
            return self.table(tokens).transpose(1, 2), (tokens != 0).float()[:, None]  # (b, t) -> (b, e, t), (b, 1, t)
        x = x.transpose(1, 2)  # (b, t, f) -> (b, f, t)
        return (x[:, :-1], x[:, -1:]) if self.masked else (x, None)


class MaskedNorm(BatchNorm):
    """Batch norm over real steps, (b, c, t) -> (b, c, t); what stands in padding is left to whoever comes next.

    One real step alone is normed by the running statistics and leaves them.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """Return x, normed by the statistics of the batch in training, else by those of all batches."""
        if real is None or not self.training:
            return super().forward(x)
        x, n = x.float(), real.sum().clamp_min(1)  # under mixed precision too, sums are of 32 bits
        mean = torch.where(n > 1, (x * real).sum((0, 2)) / n, self.running_mean)  # (b, c, t) -> (c,)
        x = x - mean[:, None]
        variance = torch.where(n > 1, (x.square() * real).sum((0, 2)) / n, self.running_var)  # (b, c, t) -> (c,)
        with torch.no_grad():
            self.running_mean.lerp_(mean, MOMENTUM)
            self.running_var.lerp_(variance * n / (n - 1).clamp_min(1), MOMENTUM)
            self.num_batches_tracked.add_(1)
        scale = self.weight * (variance + self.eps).rsqrt()
        return x * scale[:, None] + self.bias[:, None]


class Convolution(nn.Module):
    """Convolution that keeps the number of steps, then batch norm: (b, before, t), `real` -> (b, after, t)."""

    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__()
        # an even kernel reaches one step further ahead than back
        self.pad = nn.ConstantPad1d(((kernel - 1) // 2, kernel // 2), 0.0)
        self.convolve = nn.Conv1d(before, after, kernel, bias=False)
        self.norm = MaskedNorm(after)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """Return the normed convolution of x, without an activation."""
        out: Tensor = self.norm(self.convolve(self.pad(x if real is None else x * real)), real)
        return out


def mean_of(x: Tensor, real: Tensor | None) -> Tensor:
    """Return the mean over real steps, (b, c, t) -> (b, c)."""
    return x.mean(2) if real is None else (x * real).sum(2) / real.sum(2).clamp_min(1)


def last_of(x: Tensor, real: Tensor | None) -> Tensor:
    """Return the last real step, (b, c, t) -> (b, c); the first if there is none."""
    if real is None:
        return x[:, :, -1]
    order = torch.arange(1, x.shape[2] + 1, device=x.device)
    last = (real * order).argmax(2, keepdim=True)  # (b, 1, t) -> (b, 1, 1)
    return x.gather(2, last.expand(-1, x.shape[1], -1)).squeeze(2)


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


class ConvBlock(nn.Module):
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
        self.blocks = nn.ModuleList(ConvBlock(before, after, params.kernels, activation) for before, after in sizes)
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


class DilatedBlock(nn.Module):
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
        self.blocks = nn.Sequential(
            *(DilatedBlock(before, after, 2**i, params) for i, (before, after) in enumerate(sizes))
        )
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
