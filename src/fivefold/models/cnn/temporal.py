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
from ..factory import InputSpec
from ..layers import ACTIVATIONS, BatchNorm, initialize_weights, resolve_embedding_dim

BATCH_NORM_MOMENTUM = 0.1


class TemporalInput(nn.Module):
    """Preprocessed records -> values (b, f, t) and `real`.

    Raises:
        ParamsError: an embedding is asked for, but there are no tokens.
    """

    def __init__(self, spec: InputSpec, embedding_dim: int | None) -> None:
        super().__init__()
        size = resolve_embedding_dim(embedding_dim, spec)
        self.has_mask = spec.has_mask
        self.embedding = nn.Embedding(spec.vocab_size, size, padding_idx=0) if spec.vocab_size else None
        self.out_channels = size or spec.shape[1] - spec.has_mask

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Take apart records (b, t, f), (b, t, f + 1) if masked, or tokens (b, t)."""
        if self.embedding is not None:
            tokens = x.long()
            return self.embedding(tokens).transpose(1, 2), (tokens != 0).float()[
                :, None
            ]  # (b, t) -> (b, e, t), (b, 1, t)
        x = x.transpose(1, 2)  # (b, t, f) -> (b, f, t)
        return (x[:, :-1], x[:, -1:]) if self.has_mask else (x, None)


class MaskedBatchNorm(BatchNorm):
    """Batch norm over real steps, (b, c, t) -> (b, c, t); what stands in padding is left to whoever comes next.

    One real step alone is normed by the running statistics and leaves them.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x, normed by the statistics of the batch in training, else by those of all batches."""
        if mask is None or not self.training:
            return super().forward(x)
        x, n = x.float(), mask.sum().clamp_min(1)  # under mixed precision too, sums are of 32 bits
        mean = torch.where(n > 1, (x * mask).sum((0, 2)) / n, self.running_mean)  # (b, c, t) -> (c,)
        x = x - mean[:, None]
        variance = torch.where(n > 1, (x.square() * mask).sum((0, 2)) / n, self.running_var)  # (b, c, t) -> (c,)
        with torch.no_grad():
            self.running_mean.lerp_(mean, BATCH_NORM_MOMENTUM)
            self.running_var.lerp_(variance * n / (n - 1).clamp_min(1), BATCH_NORM_MOMENTUM)
            self.num_batches_tracked.add_(1)
        scale = self.weight * (variance + self.eps).rsqrt()
        return x * scale[:, None] + self.bias[:, None]


class ConvBatchNorm(nn.Module):
    """Convolution that keeps the number of steps, then batch norm: (b, before, t), `real` -> (b, after, t)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        # an even kernel reaches one step further ahead than back
        self.pad = nn.ConstantPad1d(((kernel_size - 1) // 2, kernel_size // 2), 0.0)
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, bias=False)
        self.norm = MaskedBatchNorm(out_channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the normed convolution of x, without an activation."""
        out: Tensor = self.norm(self.conv(self.pad(x if mask is None else x * mask)), mask)
        return out


def masked_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean over real steps, (b, c, t) -> (b, c)."""
    return x.mean(2) if mask is None else (x * mask).sum(2) / mask.sum(2).clamp_min(1)


def select_last_step(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the last real step, (b, c, t) -> (b, c); the first if there is none."""
    if mask is None:
        return x[:, :, -1]
    order = torch.arange(1, x.shape[2] + 1, device=x.device)
    last = (mask * order).argmax(2, keepdim=True)  # (b, 1, t) -> (b, 1, 1)
    return x.gather(2, last.expand(-1, x.shape[1], -1)).squeeze(2)


class FcnNetwork(nn.Module):
    """(b, t, f) or (b, t) -> (b, k) without a final activation."""

    def __init__(self, params: Fcn, spec: InputSpec) -> None:
        super().__init__()
        self.input_layer = TemporalInput(spec, params.embedding_dim)
        sizes = zip(pairwise((self.input_layer.out_channels, *params.channels)), params.kernel_sizes, strict=True)
        self.layers = nn.ModuleList(ConvBatchNorm(before, after, kernel) for (before, after), kernel in sizes)
        self.activation = ACTIVATIONS[params.activation]()
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(params.channels[-1], spec.n_outputs)
        initialize_weights(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of preprocessed records."""
        x, real = self.input_layer(x)  # (b, t, f) -> (b, f, t)
        for layer in self.layers:
            x = self.activation(layer(x, real))  # (b, c, t)
        out: Tensor = self.head(self.dropout(masked_mean(x, real)))  # (b, c, t) -> (b, c) -> (b, k)
        return out


class ConvBlock(nn.Module):
    """A convolution of each kernel beside a shortcut: (b, before, t), `real` -> (b, after, t)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_sizes: Sequence[int], activation: nn.Module) -> None:
        super().__init__()
        inputs = (in_channels, *(out_channels for _ in kernel_sizes[1:]))
        self.layers = nn.ModuleList(
            ConvBatchNorm(n, out_channels, kernel) for n, kernel in zip(inputs, kernel_sizes, strict=True)
        )
        self.shortcut = (
            MaskedBatchNorm(out_channels)
            if in_channels == out_channels
            else ConvBatchNorm(in_channels, out_channels, 1)
        )
        self.activation = activation

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the block's output."""
        out = self.shortcut(x, mask)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x, mask))
        total: Tensor = self.activation(out + self.layers[-1](x, mask))
        return total


class ResNet1dNetwork(nn.Module):
    """(b, t, f) or (b, t) -> (b, k) without a final activation."""

    def __init__(self, params: ResNet1d, spec: InputSpec) -> None:
        super().__init__()
        self.input_layer = TemporalInput(spec, params.embedding_dim)
        sizes = pairwise((self.input_layer.out_channels, *params.channels))
        activation = ACTIVATIONS[params.activation]()
        self.blocks = nn.ModuleList(
            ConvBlock(before, after, params.kernel_sizes, activation) for before, after in sizes
        )
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(params.channels[-1], spec.n_outputs)
        initialize_weights(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of preprocessed records."""
        x, real = self.input_layer(x)  # (b, t, f) -> (b, f, t)
        for block in self.blocks:
            x = block(x, real)  # (b, c, t)
        out: Tensor = self.head(self.dropout(masked_mean(x, real)))  # (b, c, t) -> (b, c) -> (b, k)
        return out


class CausalConv1d(nn.Conv1d):
    """(b, before, t) -> (b, after, t), each step from itself and earlier ones; with norm weight, filters * scale."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dilation: int, norm: Literal["none", "weight"]
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation)
        self.left_padding = (kernel_size - 1) * dilation
        self.scale = nn.Parameter(torch.ones(out_channels)) if norm == "weight" else None

    def filter_norms(self) -> Tensor:
        """Return the length of each filter, (after,)."""
        lengths: Tensor = torch.linalg.vector_norm(self.weight, dim=(1, 2))
        return lengths

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x and the zeros before it."""
        weight = self.weight
        if self.scale is not None:
            weight = weight * (self.scale / self.filter_norms().clamp_min(1e-12))[:, None, None]
        return functional.conv1d(functional.pad(x, (self.left_padding, 0)), weight, self.bias, dilation=self.dilation)


class DilatedBlock(nn.Module):
    """Two causal convolutions beside a shortcut: (b, before, t) -> (b, after, t)."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int, params: Tcn) -> None:
        super().__init__()
        self.body = nn.Sequential(
            CausalConv1d(in_channels, out_channels, params.kernel_size, dilation, params.norm),
            ACTIVATIONS[params.activation](),
            nn.Dropout(params.dropout),
            CausalConv1d(out_channels, out_channels, params.kernel_size, dilation, params.norm),
            ACTIVATIONS[params.activation](),
            nn.Dropout(params.dropout),
        )
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv1d(in_channels, out_channels, 1)
        self.activation = ACTIVATIONS[params.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return out


class TcnNetwork(nn.Module):
    """(b, t, f) or (b, t) -> (b, k) without a final activation."""

    def __init__(self, params: Tcn, spec: InputSpec) -> None:
        super().__init__()
        self.input_layer = TemporalInput(spec, params.embedding_dim)
        sizes = pairwise((self.input_layer.out_channels, *params.channels))
        self.blocks = nn.Sequential(
            *(DilatedBlock(before, after, 2**i, params) for i, (before, after) in enumerate(sizes))
        )
        self.head = nn.Linear(params.channels[-1], spec.n_outputs)
        initialize_weights(self, params.init, params.activation)
        for module in self.modules():
            if isinstance(module, CausalConv1d) and module.scale is not None:
                module.scale.data = module.filter_norms().detach()  # filters begin as `init` says

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of preprocessed records: those of the last real step."""
        x, real = self.input_layer(x)  # (b, t, f) -> (b, f, t)
        out: Tensor = self.head(select_last_step(self.blocks(x), real))  # (b, c, t) -> (b, c) -> (b, k)
        return out

    def forward_all_steps(self, x: Tensor) -> Tensor:
        """Return the outputs (b, t, k) of each step, from it and those before it."""
        x, _ = self.input_layer(x)  # (b, t, f) -> (b, f, t)
        out: Tensor = self.head(self.blocks(x).transpose(1, 2))  # (b, c, t) -> (b, t, c) -> (b, t, k)
        return out
