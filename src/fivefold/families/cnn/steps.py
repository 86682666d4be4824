"""What networks over steps in time share: records as channels, and padding that changes nothing.

Padding is held at zero before every convolution, which sees zeros beyond the end of a record anyway; the statistics of
batch norm and the mean over time are of real steps only. So a record gives the same numbers however far it is padded,
in training too.
Shapes: b records, t steps, f values a step, e numbers a token, c channels. `real` (b, 1, t) is 1 for a step and 0 for
padding; None if every step is real.
"""

import torch
from torch import Tensor, nn

from ..layers import BatchNorm, embedding_size
from ..shape import Shape

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
