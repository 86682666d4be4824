"""Convolutional networks over time steps: FCN, residual network and temporal convolutional network (TCN).

Padding is set to zero before every convolution, as if the sample ended there; batch norm statistics and the mean over
time use real steps only. The outputs of a sample hence do not depend on how far it is padded, in training either.

Source: Wang, Yan & Oates 2017 (fcn, resnet1d); as in the authors' code, the shortcut of a block is a norm if the
channels stay the same, else a convolution over one step and a norm. Bai, Kolter & Koltun 2018 (tcn), with weight norm
of Salimans & Kingma 2016: causal convolutions, each block with twice the dilation of the one before. A step depends on
itself and earlier steps, so `forward_all_steps` computes what a language model needs in one pass.
Shapes: b samples, t steps, f features per step, e embedding dimensions, c channels, k outputs. `mask` (b, 1, t) is 1
for real steps and 0 for padding; None if every step is real.
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
    """Preprocessed samples -> values (b, f, t) and mask.

    Raises:
        ParamsError: an embedding is configured, but there are no tokens.
    """

    def __init__(self, spec: InputSpec, embedding_dim: int | None) -> None:
        super().__init__()
        size = resolve_embedding_dim(embedding_dim, spec)
        self.has_mask = spec.has_mask
        self.embedding = nn.Embedding(spec.vocab_size, size, padding_idx=0) if spec.vocab_size else None
        self.out_channels = size or spec.shape[1] - spec.has_mask

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return values and mask of samples (b, t, f), (b, t, f + 1) with a mask, or tokens (b, t)."""
        if self.embedding is not None:
            tokens = x.long()
            mask = (tokens != 0).float()[:, None]  # (b, t) -> (b, 1, t)
            return self.embedding(tokens).transpose(1, 2), mask  # (b, t) -> (b, t, e) -> (b, e, t)
        x = x.transpose(1, 2)  # (b, t, f) -> (b, f, t)
        return (x[:, :-1], x[:, -1:]) if self.has_mask else (x, None)


class MaskedBatchNorm(BatchNorm):
    """Batch norm over real steps, (b, c, t) -> (b, c, t); padding is not reset to zero.

    A batch with a single real step is normalized by the running statistics and does not update them.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return x, normalized by the statistics of the batch in training, else by the running statistics."""
        if mask is None or not self.training:
            return super().forward(x)
        x, n_real = x.float(), mask.sum().clamp_min(1)  # sums in float32 under mixed precision, too
        mean = torch.where(n_real > 1, (x * mask).sum((0, 2)) / n_real, self.running_mean)  # (b, c, t) -> (c,)
        x = x - mean[:, None]
        variance = torch.where(
            n_real > 1, (x.square() * mask).sum((0, 2)) / n_real, self.running_var
        )  # (b, c, t) -> (c,)
        with torch.no_grad():
            self.running_mean.lerp_(mean, BATCH_NORM_MOMENTUM)
            self.running_var.lerp_(variance * n_real / (n_real - 1).clamp_min(1), BATCH_NORM_MOMENTUM)
            self.num_batches_tracked.add_(1)
        scale = self.weight * (variance + self.eps).rsqrt()
        return x * scale[:, None] + self.bias[:, None]


class ConvBatchNorm(nn.Module):
    """Convolution that keeps the number of steps, then batch norm.

    (b, in_channels, t), mask -> (b, out_channels, t).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        # an even kernel covers one more step ahead than back
        self.pad = nn.ConstantPad1d(((kernel_size - 1) // 2, kernel_size // 2), 0.0)
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, bias=False)
        self.norm = MaskedBatchNorm(out_channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the normalized convolution of x, without an activation."""
        out: Tensor = self.norm(self.conv(self.pad(x if mask is None else x * mask)), mask)
        return out


def masked_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean over real steps, (b, c, t) -> (b, c)."""
    return x.mean(2) if mask is None else (x * mask).sum(2) / mask.sum(2).clamp_min(1)


def select_last_step(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the last real step, (b, c, t) -> (b, c); the first if there is none."""
    if mask is None:
        return x[:, :, -1]
    positions = torch.arange(1, x.shape[2] + 1, device=x.device)
    last = (mask * positions).argmax(2, keepdim=True)  # (b, 1, t) -> (b, 1, 1)
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
        """Return the outputs (b, k) of preprocessed samples."""
        x, mask = self.input_layer(x)  # (b, t, f) -> (b, f, t)
        for layer in self.layers:
            x = self.activation(layer(x, mask))  # (b, c, t)
        out: Tensor = self.head(self.dropout(masked_mean(x, mask)))  # (b, c, t) -> (b, c) -> (b, k)
        return out


class ConvBlock(nn.Module):
    """A convolution for each kernel size plus a shortcut: (b, in_channels, t), mask -> (b, out_channels, t)."""

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
        """Return the output of the block."""
        shortcut = self.shortcut(x, mask)  # (b, out_channels, t)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x, mask))  # (b, out_channels, t)
        out: Tensor = self.activation(shortcut + self.layers[-1](x, mask))
        return out


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
        """Return the outputs (b, k) of preprocessed samples."""
        x, mask = self.input_layer(x)  # (b, t, f) -> (b, f, t)
        for block in self.blocks:
            x = block(x, mask)  # (b, c, t)
        out: Tensor = self.head(self.dropout(masked_mean(x, mask)))  # (b, c, t) -> (b, c) -> (b, k)
        return out


class CausalConv1d(nn.Conv1d):
    """Causal convolution (b, in_channels, t) -> (b, out_channels, t); with norm `weight`, filters of learned length.

    Each output step depends on that input step and earlier ones.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dilation: int, norm: Literal["none", "weight"]
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation)
        self.left_padding = (kernel_size - 1) * dilation
        self.scale = nn.Parameter(torch.ones(out_channels)) if norm == "weight" else None

    def filter_norms(self) -> Tensor:
        """Return the L2 norm of each filter, (out_channels,)."""
        norms: Tensor = torch.linalg.vector_norm(self.weight, dim=(1, 2))
        return norms

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x, padded with zeros on the left."""
        weight = self.weight
        if self.scale is not None:
            weight = weight * (self.scale / self.filter_norms().clamp_min(1e-12))[:, None, None]
        return functional.conv1d(functional.pad(x, (self.left_padding, 0)), weight, self.bias, dilation=self.dilation)


class DilatedBlock(nn.Module):
    """Two causal convolutions plus a shortcut: (b, in_channels, t) -> (b, out_channels, t)."""

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
        """Return the output of the block."""
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
                module.scale.data = module.filter_norms().detach()  # initial filters equal those drawn by `init`

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of preprocessed samples: those at the last mask step."""
        x, mask = self.input_layer(x)  # (b, t, f) -> (b, f, t)
        out: Tensor = self.head(select_last_step(self.blocks(x), mask))  # (b, c, t) -> (b, c) -> (b, k)
        return out

    def forward_all_steps(self, x: Tensor) -> Tensor:
        """Return the outputs (b, t, k) at each step."""
        x, _ = self.input_layer(x)  # (b, t, f) -> (b, f, t)
        out: Tensor = self.head(self.blocks(x).transpose(1, 2))  # (b, c, t) -> (b, t, c) -> (b, t, k)
        return out
