"""The weights of many networks of one architecture, side by side.

Shapes: m networks, p numbers of their weights, of which the first d decay, s numbers of their running statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Self

import torch
from torch import Tensor, nn

from .layers import Weight


@dataclass(frozen=True)
class Side:
    """Tensors (m, ...) of m networks."""

    def take(self, which: Sequence[int]) -> Self:
        """Return those of the networks at `which`."""
        index = torch.tensor(which, dtype=torch.int64)
        taken = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(self, **{name: value[index.to(value.device)] for name, value in taken.items()})


@dataclass(frozen=True)
class Weights(Side):
    """What networks have learnt so far, and what is kept of it.

    now: (m, p), of each network its matrices, which decay, then biases and norms; gradient: likewise.
    running: (m, s).
    kept, kept_running: of the epoch that is kept.
    """

    now: Tensor
    gradient: Tensor
    running: Tensor
    kept: Tensor
    kept_running: Tensor

    @classmethod
    def of(cls, networks: Sequence[nn.Module], device: torch.device) -> Self:
        """Return the weights of networks that are not trained yet."""
        layouts = [Layout(network) for network in networks]
        now = torch.stack([layout.weights() for layout in layouts]).to(device)
        running = torch.stack([layout.running() for layout in layouts]).to(device)
        return cls(now, torch.zeros_like(now), running, now.clone(), running.clone())

    def keep(self, which: Sequence[int]) -> None:
        """Keep what networks are now."""
        index = torch.tensor(which, dtype=torch.int64, device=self.now.device)
        self.kept[index] = self.now[index]
        self.kept_running[index] = self.running[index]


class Layout:
    """Where the weights of a network lie in a row of `Weights`.

    Attributes:
        decaying: d.
    """

    def __init__(self, network: nn.Module) -> None:
        weights = list(network.parameters())
        self.parameters = [p for p in weights if p.ndim > 1] + [p for p in weights if p.ndim <= 1]
        self.buffers = list(network.buffers())
        self.decaying = sum(p.numel() for p in weights if p.ndim > 1)
        self.starts = _starts(self.parameters) | _starts(self.buffers)

    def weights(self) -> Tensor:
        """Return the network's own weights, (p,)."""
        return torch.cat([p.detach().flatten() for p in self.parameters])

    def running(self) -> Tensor:
        """Return its running statistics, (s,)."""
        return torch.cat([torch.zeros(0), *(buffer.flatten().float() for buffer in self.buffers)])

    @torch.no_grad()
    def fill(self, weights: Tensor, running: Tensor) -> None:
        """Have the network be what a row of `Weights` says."""
        for own, row in ((self.parameters, weights), (self.buffers, running)):
            for tensor, part in zip(own, torch.split(row, [tensor.numel() for tensor in own]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def weight(self, own: Tensor, of: Weights, span: slice) -> Weight:
        """Return the weight of every network of a span that `own` is of this one: (m, h, i), or (m, 1, h)."""
        shape = own.shape if own.ndim > 1 else (1, *own.shape)
        start = self.starts[id(own)]
        value, gradient = (part[span, start : start + own.numel()].view(-1, *shape) for part in (of.now, of.gradient))
        return Weight(value, gradient)

    def statistic(self, own: Tensor, of: Weights, span: slice) -> Tensor:
        """Return the running statistic of every network of a span that `own` is of this one, (m, 1, h)."""
        start = self.starts[id(own)]
        return of.running[span, None, start : start + own.numel()]


def _starts(tensors: Sequence[Tensor]) -> dict[int, int]:
    ends = accumulate((tensor.numel() for tensor in tensors), initial=0)
    return {id(tensor): start for tensor, start in zip(tensors, ends, strict=False)}
