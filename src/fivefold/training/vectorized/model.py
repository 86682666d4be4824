"""Networks of one architecture as one program: the layers of one of them, with the weights of all.

Shapes: m networks, b rows, k outputs.

The weights of many networks of one architecture, side by side.

Shapes: m networks, p numbers of their weights, of which the first d decay, s numbers of their running statistics.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Self

import torch
from torch import Tensor, nn

from ...models.autoencoder.network import AutoencoderNetwork, DenseDecoder, DenseEncoder
from ...models.cnn.image import StackNetwork
from ...models.layers import BatchNorm
from ...models.mlp.network import MlpNetwork, Residual
from .convolutions import Convolution, Flat, Pool, Spread
from .layers import (
    ACTIVATIONS,
    Activation,
    Beside,
    Chance,
    Dense,
    Dropout,
    Layer,
    Norm,
    Running,
    Weight,
    back_through,
    through,
)


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


class Program:
    """(m, b, f) -> (m, b, k) by m networks.

    Args:
        pattern: one of the networks, with dropout if any of them has it.
        record: the shape of one record's features.
        weights: of all networks of the stack.
        span: which of them these are.
        dropout: the rate of each network of the stack.
        chances: where each of these networks draws from.
    """

    def __init__(
        self,
        pattern: nn.Module,
        record: Sequence[int],
        weights: Weights,
        span: slice,
        dropout: Sequence[float],
        chances: Sequence[Chance],
    ) -> None:
        self.weights, self.span, self.chances = weights, span, chances
        self.layout = Layout(pattern)
        kept = [1 - rate for rate in dropout[span]]
        device = weights.now.device
        exact = torch.float64 if device.type == "cpu" else torch.float32  # as PyTorch draws there
        self.kept = torch.tensor(kept, dtype=exact, device=device)[:, None, None]
        self.first = True
        self.layers = [*self._spread(pattern, record), *self._layers(pattern)]

    def __call__(self, x: Tensor, *, learning: bool = False) -> Tensor:
        """Return outputs of rows x."""
        return through(self.layers, x, learning=learning)

    def back(self, gradient: Tensor) -> None:
        """Leave the gradients of all weights, given those by the outputs."""
        back_through(self.layers, gradient)

    def _spread(self, pattern: nn.Module, record: Sequence[int]) -> Iterator[Layer]:
        """Yield what brings images side by side, if they are looked at as images."""
        self.images = isinstance(pattern, StackNetwork)
        if self.images:
            yield Spread(record)

    def _layers(self, module: nn.Module) -> Iterator[Layer]:
        """Yield what a module is made of, in the order in which rows go through it."""
        match module:
            case nn.Flatten() if self.images:
                yield Flat(len(self.kept))
            case nn.Flatten() | nn.Identity():
                return
            case nn.Conv2d():
                assert module.bias is not None
                first, self.first = self.first, False
                yield Convolution(self._weight(module.weight), self._weight(module.bias), module, first=first)
            case nn.MaxPool2d():
                yield Pool()
            case nn.Linear():
                first, self.first = self.first, False
                yield Dense(
                    self._weight(module.weight), None if module.bias is None else self._weight(module.bias), first=first
                )
            case nn.Dropout():
                yield Dropout(self.kept, self.chances)
            case BatchNorm() | nn.LayerNorm():
                running = self._running(module) if isinstance(module, BatchNorm) else None
                yield Norm(self._weight(module.weight), self._weight(module.bias), running)
            case Residual():
                yield Beside(list(self._layers(module.layer)), next(self._layers(module.skip), None))
            case _ if type(module) in ACTIVATIONS:
                yield Activation(module, ACTIVATIONS[type(module)])
            case _:
                for part in _parts(module):
                    yield from self._layers(part)

    def _weight(self, own: Tensor) -> Weight:
        return self.layout.weight(own, self.weights, self.span)

    def _running(self, norm: BatchNorm) -> Running:
        own = (norm.running_mean, norm.running_var, norm.num_batches_tracked)
        return Running(*(self.layout.statistic(each, self.weights, self.span) for each in own if each is not None))


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """Yield what rows go through, one after the other."""
    match module:
        case nn.Sequential():
            yield from module
        case MlpNetwork() | StackNetwork() | DenseEncoder() | DenseDecoder():
            yield module.layers
        case AutoencoderNetwork():
            yield from (module.encoder, module.to_code, module.code, module.decoder)
        case _:
            raise AssertionError(f"{type(module).__name__} cannot be stacked")
