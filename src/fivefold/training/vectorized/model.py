"""Networks of one architecture as one program: the layers of one of them, with the parameters of all.

Shapes: m networks, b rows, k outputs, p parameters per network, to the first d of which weight decay applies, s running
statistics per network.
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
    Layer,
    Norm,
    ResidualBlock,
    RunningStats,
    SharedGenerator,
    backward,
    forward,
)


@dataclass(frozen=True)
class StackedTensors:
    """Tensors (m, ...) of m networks."""

    def take(self, indices: Sequence[int]) -> Self:
        """Return the tensors of the networks at `indices`."""
        index = torch.tensor(indices, dtype=torch.int64)
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: value[index.to(value.device)] for name, value in tensors.items()})


@dataclass(frozen=True)
class StackedWeights(StackedTensors):
    """Current parameters of all networks, and those of their selected epochs.

    values, gradient: (m, p), of each network the matrices, to which weight decay applies, then biases and norms.
    running_stats: (m, s).
    snapshot, snapshot_running_stats: those of the selected epoch.
    """

    values: Tensor
    gradient: Tensor
    running_stats: Tensor
    snapshot: Tensor
    snapshot_running_stats: Tensor

    @classmethod
    def from_networks(cls, networks: Sequence[nn.Module], device: torch.device) -> Self:
        """Return the initial parameters of networks."""
        layouts = [ParameterLayout(network) for network in networks]
        values = torch.stack([layout.flatten_weights() for layout in layouts]).to(device)
        running_stats = torch.stack([layout.flatten_running_stats() for layout in layouts]).to(device)
        return cls(values, torch.zeros_like(values), running_stats, values.clone(), running_stats.clone())

    def save_snapshot(self, indices: Sequence[int]) -> None:
        """Copy the current parameters of the networks at `indices` to the snapshot."""
        index = torch.tensor(indices, dtype=torch.int64, device=self.values.device)
        self.snapshot[index] = self.values[index]
        self.snapshot_running_stats[index] = self.running_stats[index]


class ParameterLayout:
    """Positions of the parameters and buffers of a network in a row of `StackedWeights`.

    Attributes:
        n_decayed: d, the number of parameters to which weight decay applies.
    """

    def __init__(self, network: nn.Module) -> None:
        weights = list(network.parameters())
        self.parameters = [p for p in weights if p.ndim > 1] + [p for p in weights if p.ndim <= 1]
        self.buffers = list(network.buffers())
        self.n_decayed = sum(p.numel() for p in weights if p.ndim > 1)
        self.offsets = _offsets(self.parameters) | _offsets(self.buffers)

    def flatten_weights(self) -> Tensor:
        """Return the network's parameters, (p,)."""
        return torch.cat([p.detach().flatten() for p in self.parameters])

    def flatten_running_stats(self) -> Tensor:
        """Return the network's running statistics, (s,)."""
        return torch.cat([torch.zeros(0), *(buffer.flatten().float() for buffer in self.buffers)])

    @torch.no_grad()
    def copy_to_network(self, weights: Tensor, running_stats: Tensor) -> None:
        """Copy a row of `StackedWeights` to the network."""
        for tensors, row in ((self.parameters, weights), (self.buffers, running_stats)):
            chunks = torch.split(row, [tensor.numel() for tensor in tensors])
            for tensor, chunk in zip(tensors, chunks, strict=True):
                tensor.copy_(chunk.view_as(tensor))

    def view_parameter(self, parameter: Tensor, stacked: StackedWeights, model_slice: slice) -> BatchedParameter:
        """Return the views of `parameter` of the networks of a slice: (m, h, i), or (m, 1, h)."""
        shape = parameter.shape if parameter.ndim > 1 else (1, *parameter.shape)
        start = self.offsets[id(parameter)]
        value, gradient = (
            tensor[model_slice, start : start + parameter.numel()].view(-1, *shape)
            for tensor in (stacked.values, stacked.gradient)
        )
        return BatchedParameter(value, gradient)

    def view_buffer(self, buffer: Tensor, stacked: StackedWeights, model_slice: slice) -> Tensor:
        """Return the view of the running statistic `buffer` of the networks of a slice, (m, 1, h)."""
        start = self.offsets[id(buffer)]
        return stacked.running_stats[model_slice, None, start : start + buffer.numel()]


def _offsets(tensors: Sequence[Tensor]) -> dict[int, int]:
    ends = accumulate((tensor.numel() for tensor in tensors), initial=0)
    return {id(tensor): start for tensor, start in zip(tensors, ends, strict=False)}


class BatchedModel:
    """The networks of a slice as one program, (m, b, f) -> (m, b, k).

    Args:
        template: one of the networks, with dropout layers if any of them has dropout.
        sample_shape: shape of the features of a sample.
        weights: parameters of all networks of the stack.
        model_slice: the networks in the stack.
        dropout_rates: dropout rate of each network of the stack.
        generators: random generators of the networks of the slice, with slices relative to it.
    """

    def __init__(
        self,
        template: nn.Module,
        sample_shape: Sequence[int],
        weights: StackedWeights,
        model_slice: slice,
        dropout_rates: Sequence[float],
        generators: Sequence[SharedGenerator],
    ) -> None:
        self.weights, self.model_slice, self.generators = weights, model_slice, generators
        self.layout = ParameterLayout(template)
        keep_probs = [1 - rate for rate in dropout_rates[model_slice]]
        device = weights.values.device
        dtype = torch.float64 if device.type == "cpu" else torch.float32  # in which nn.Dropout draws on the device
        self.keep_prob = torch.tensor(keep_probs, dtype=dtype, device=device)[:, None, None]
        self.is_first = True
        self.layers = [*self._input_layers(template, sample_shape), *self._build_layers(template)]

    def __call__(self, x: Tensor, *, training: bool = False) -> Tensor:
        """Return the outputs of rows x."""
        return forward(self.layers, x, training=training)

    def backward(self, gradient: Tensor) -> None:
        """Compute the gradients of all parameters, given the gradient with respect to the outputs."""
        backward(self.layers, gradient)

    def _input_layers(self, template: nn.Module, sample_shape: Sequence[int]) -> Iterator[Layer]:
        """Yield the layer that stacks the images of all networks as channels, if the networks are CNNs."""
        self.is_image_model = isinstance(template, PlainCnnNetwork)
        if self.is_image_model:
            yield StackChannels(sample_shape)

    def _build_layers(self, module: nn.Module) -> Iterator[Layer]:
        """Yield the batched layers of a module in the order of its forward pass."""
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
                running_stats = self._running_stats(module) if isinstance(module, BatchNorm) else None
                yield Norm(self._batched_parameter(module.weight), self._batched_parameter(module.bias), running_stats)
            case ResidualLayer():
                yield ResidualBlock(list(self._build_layers(module.layer)), next(self._build_layers(module.skip), None))
            case _ if type(module) in ACTIVATION_BACKWARD:
                yield Activation(module, ACTIVATION_BACKWARD[type(module)])
            case _:
                for submodule in _submodules(module):
                    yield from self._build_layers(submodule)

    def _batched_parameter(self, parameter: Tensor) -> BatchedParameter:
        return self.layout.view_parameter(parameter, self.weights, self.model_slice)

    def _running_stats(self, norm: BatchNorm) -> RunningStats:
        buffers = (norm.running_mean, norm.running_var, norm.num_batches_tracked)
        return RunningStats(
            *(self.layout.view_buffer(b, self.weights, self.model_slice) for b in buffers if b is not None)
        )


def _submodules(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the submodules of a module in the order of its forward pass."""
    match module:
        case nn.Sequential():
            yield from module
        case MlpNetwork() | PlainCnnNetwork() | DenseEncoder() | DenseDecoder():
            yield module.layers
        case AutoencoderNetwork():
            yield from (module.encoder, module.to_latent, module.latent_activation, module.decoder)
        case _:
            raise AssertionError(f"{type(module).__name__} cannot be vectorized")
