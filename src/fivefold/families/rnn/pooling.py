"""The steps of a record as one vector; padding has no part in it.

Shapes: b rows, t steps, d units a step.
"""

import torch
from torch import Tensor, nn

from ...config.networks.rnn import Pool
from ..recurrent import last


def pooling(pool: Pool, width: int, bidirectional: bool) -> nn.Module:
    """Return the module for `pool` over steps of `width` units: steps (b, t, d), lengths (b,) or None -> (b, d)."""
    match pool:
        case "last":
            return Last(bidirectional)
        case "mean":
            return Mean()
        case "max":
            return Max()
        case "attention":
            return Attention(width)


class Last(nn.Module):
    """What each direction has when it has read the record: forwards at the last real step, backwards at the first."""

    def __init__(self, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if not self.bidirectional:
            return last(steps, lengths)
        ahead, back = steps.chunk(2, dim=2)
        return torch.cat([last(ahead, lengths), back[:, 0]], dim=1)


class Mean(nn.Module):
    """The mean over real steps."""

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if lengths is None:
            return steps.mean(dim=1)
        return steps.masked_fill(~real(steps, lengths), 0.0).sum(dim=1) / lengths[:, None]


class Max(nn.Module):
    """The largest value of each unit over real steps."""

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if lengths is not None:
            steps = steps.masked_fill(~real(steps, lengths), -torch.inf)
        return steps.amax(dim=1)


class Attention(nn.Module):
    """A mean over real steps, weighted by how much each of them says: v tanh(W s + u).

    Source: Bahdanau et al. 2015 (additive attention), Yang et al. 2016 (over the steps of a text, without a query).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False))

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        scores: Tensor = self.score(steps)  # (b, t, d) -> (b, t, 1)
        if lengths is not None:
            scores = scores.masked_fill(~real(steps, lengths), -torch.inf)
        return (steps * scores.softmax(dim=1)).sum(dim=1)


def real(steps: Tensor, lengths: Tensor) -> Tensor:
    """Return which steps (b, t, 1) are real."""
    number = torch.arange(steps.shape[1], device=steps.device)
    return (number < lengths[:, None])[:, :, None]
