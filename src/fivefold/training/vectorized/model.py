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
from ...models.cnn.image import PlainCnnNetwork
from ...models.layers import BatchNorm
from ...models.mlp.network import MlpNetwork, ResidualLayer
from .convolutions import BatchedMaxPool2d, GroupedConv2d, StackChannels, UnstackChannels
from .layers import (
    ACTIVATION_BACKWARD,
    Activation,
    BatchedParameter,
    Dense,
    Dropout,
    DropoutMask,
    Layer,
    Norm,
    ResidualBlock,
    RunningStats,
    backward,
    forward,
)


@dataclass(frozen=True)
class StackedTensors:
    """Tensors (m, ...) of m networks."""

    def take(self, indices: Sequence[int]) -> Self:
        """Return those of the networks at `which`."""
        index = torch.tensor(indices, dtype=torch.int64)
        taken = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(self, **{name: value[index.to(value.device)] for name, value in taken.items()})


@dataclass(frozen=True)
class StackedWeights(StackedTensors):
    """What networks have learnt so far, and what is kept of it.

    now: (m, p), of each network its matrices, which decay, then biases and norms; gradient: likewise.
    running: (m, s).
    kept, kept_running: of the epoch that is kept.
    """

    values: Tensor
    gradient: Tensor
    running_stats: Tensor
    snapshot: Tensor
    snapshot_running_stats: Tensor

    @classmethod
    def from_networks(cls, networks: Sequence[nn.Module], device: torch.device) -> Self:
        """Return the weights of networks that are not trained yet."""
        layouts = [ParameterLayout(network) for network in networks]
        now = torch.stack([layout.flatten_weights() for layout in layouts]).to(device)
        running = torch.stack([layout.flatten_running_stats() for layout in layouts]).to(device)
        return cls(now, torch.zeros_like(now), running, now.clone(), running.clone())

    def save_snapshot(self, indices: Sequence[int]) -> None:
        """Keep what networks are now."""
        index = torch.tensor(indices, dtype=torch.int64, device=self.values.device)
        self.snapshot[index] = self.values[index]
        self.snapshot_running_stats[index] = self.running_stats[index]


class ParameterLayout:
    """Where the weights of a network lie in a row of `Weights`.

    Attributes:
        decaying: d.
    """

    def __init__(self, network: nn.Module) -> None:
        weights = list(network.parameters())
        self.parameters = [p for p in weights if p.ndim > 1] + [p for p in weights if p.ndim <= 1]
        self.buffers = list(network.buffers())
        self.n_decayed = sum(p.numel() for p in weights if p.ndim > 1)
        self.offsets = _offsets(self.parameters) | _offsets(self.buffers)

    def flatten_weights(self) -> Tensor:
        """Return the network's own weights, (p,)."""
        return torch.cat([p.detach().flatten() for p in self.parameters])

    def flatten_running_stats(self) -> Tensor:
        """Return its running statistics, (s,)."""
        return torch.cat([torch.zeros(0), *(buffer.flatten().float() for buffer in self.buffers)])

    @torch.no_grad()
    def copy_to_network(self, weights: Tensor, running_stats: Tensor) -> None:
        """Have the network be what a row of `Weights` says."""
        for own, row in ((self.parameters, weights), (self.buffers, running_stats)):
            for tensor, part in zip(own, torch.split(row, [tensor.numel() for tensor in own]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def view_parameter(self, parameter: Tensor, stacked: StackedWeights, model_slice: slice) -> BatchedParameter:
        """Return the weight of every network of a span that `own` is of this one: (m, h, i), or (m, 1, h)."""
        shape = parameter.shape if parameter.ndim > 1 else (1, *parameter.shape)
        start = self.offsets[id(parameter)]
        value, gradient = (
            part[model_slice, start : start + parameter.numel()].view(-1, *shape)
            for part in (stacked.values, stacked.gradient)
        )
        return BatchedParameter(value, gradient)

    def view_buffer(self, buffer: Tensor, stacked: StackedWeights, model_slice: slice) -> Tensor:
        """Return the running statistic of every network of a span that `own` is of this one, (m, 1, h)."""
        start = self.offsets[id(buffer)]
        return stacked.running_stats[model_slice, None, start : start + buffer.numel()]


def _offsets(tensors: Sequence[Tensor]) -> dict[int, int]:
    ends = accumulate((tensor.numel() for tensor in tensors), initial=0)
    return {id(tensor): start for tensor, start in zip(tensors, ends, strict=False)}


class BatchedModel:
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
        template: nn.Module,
        sample_shape: Sequence[int],
        weights: StackedWeights,
        model_slice: slice,
        dropout_rates: Sequence[float],
        generators: Sequence[DropoutMask],
    ) -> None:
        self.weights, self.model_slice, self.generators = weights, model_slice, generators
        self.layout = ParameterLayout(template)
        kept = [1 - rate for rate in dropout_rates[model_slice]]
        device = weights.values.device
        exact = torch.float64 if device.type == "cpu" else torch.float32  # as PyTorch draws there
        self.keep_prob = torch.tensor(kept, dtype=exact, device=device)[:, None, None]
        self.is_first = True
        self.layers = [*self._input_layers(template, sample_shape), *self._build_layers(template)]

    def __call__(self, x: Tensor, *, training: bool = False) -> Tensor:
        """Return outputs of rows x."""
        return forward(self.layers, x, training=training)

    def backward(self, gradient: Tensor) -> None:
        """Leave the gradients of all weights, given those by the outputs."""
        backward(self.layers, gradient)

    def _input_layers(self, template: nn.Module, sample_shape: Sequence[int]) -> Iterator[Layer]:
        """Yield what brings images side by side, if they are looked at as images."""
        self.is_image_model = isinstance(template, PlainCnnNetwork)
        if self.is_image_model:
            yield StackChannels(sample_shape)

    def _build_layers(self, module: nn.Module) -> Iterator[Layer]:
        """Yield what a module is made of, in the order in which rows go through it."""
        match module:
            case nn.Flatten() if self.is_image_model:
                yield UnstackChannels(len(self.keep_prob))
            case nn.Flatten() | nn.Identity():
                return
            case nn.Conv2d():
                assert module.bias is not None
                first, self.is_first = self.is_first, False
                yield GroupedConv2d(
                    self._batched_parameter(module.weight), self._batched_parameter(module.bias), module, is_first=first
                )
            case nn.MaxPool2d():
                yield BatchedMaxPool2d()
            case nn.Linear():
                first, self.is_first = self.is_first, False
                yield Dense(
                    self._batched_parameter(module.weight),
                    None if module.bias is None else self._batched_parameter(module.bias),
                    is_first=first,
                )
            case nn.Dropout():
                yield Dropout(self.keep_prob, self.generators)
            case BatchNorm() | nn.LayerNorm():
                running = self._running_stats(module) if isinstance(module, BatchNorm) else None
                yield Norm(self._batched_parameter(module.weight), self._batched_parameter(module.bias), running)
            case ResidualLayer():
                yield ResidualBlock(list(self._build_layers(module.layer)), next(self._build_layers(module.skip), None))
            case _ if type(module) in ACTIVATION_BACKWARD:
                yield Activation(module, ACTIVATION_BACKWARD[type(module)])
            case _:
                for part in _submodules(module):
                    yield from self._build_layers(part)

    def _batched_parameter(self, parameter: Tensor) -> BatchedParameter:
        return self.layout.view_parameter(parameter, self.weights, self.model_slice)

    def _running_stats(self, norm: BatchNorm) -> RunningStats:
        own = (norm.running_mean, norm.running_var, norm.num_batches_tracked)
        return RunningStats(
            *(self.layout.view_buffer(each, self.weights, self.model_slice) for each in own if each is not None)
        )


def _submodules(module: nn.Module) -> Iterator[nn.Module]:
    """Yield what rows go through, one after the other."""
    match module:
        case nn.Sequential():
            yield from module
        case MlpNetwork() | PlainCnnNetwork() | DenseEncoder() | DenseDecoder():
            yield module.layers
        case AutoencoderNetwork():
            yield from (module.encoder, module.to_latent, module.latent_activation, module.decoder)
        case _:
            raise AssertionError(f"{type(module).__name__} cannot be stacked")
