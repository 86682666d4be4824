"""Networks of one architecture as one program: the layers of one of them, with the weights of all.

Shapes: m networks, b rows, k outputs.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ...models.autoencoder.network import AutoencoderNetwork, DenseDecoder, DenseEncoder
from ...models.cnn.image import StackNetwork
from ...models.layers import BatchNorm
from ...models.mlp.network import MlpNetwork, Residual
from .images import Convolution, Flat, Pool, Spread
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
from .weights import Layout, Weights


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
