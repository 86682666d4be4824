"""Measure gradients, update and activations of one training step without changing the step.

Measurements remain on the device until they are read, so that the step does not synchronize with the device.
Shapes: b rows, t steps, f features per step.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .summary import Measurements

MAX_LAYERS = 10
"""Maximum number of layers that are measured; the first and the last are always among them."""
MAX_SAMPLE_SIZE = 2**20
"""Maximum number of values of a parameter whose change is measured; they are copied before the step."""
SATURATION_MARGIN = 0.01
"""Distance from its bounds, as a fraction of the range, below which a sigmoid or tanh is saturated."""

ValueByLayer = dict[str, float | None]

ActivationCall = tuple[str, int, int]
"""Name of an activation, index of the call within a forward pass, and number of units."""

T = TypeVar("T")


class Probe:
    """Measure the next step of a network after `add_hooks`.

    Args:
        network: the network, on its device.
        optimizer: the optimizer of its parameters.
        probe_activations: whether to measure activations and recurrent layers, which needs hooks in the network; not
            possible in a compiled network.
    """

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer, *, probe_activations: bool = True) -> None:
        self.optimizer = optimizer
        self.parameters_by_layer = group_parameters(network)
        self.activations = find_activations(network) if probe_activations else {}
        self.first_module = next(m for m in network.modules() if next(m.parameters(recurse=False), None) is not None)
        self.recurrent_layers = {
            name: m for name, m in network.named_modules() if probe_activations and isinstance(m, nn.RNNBase)
        }
        self.hooks: list[RemovableHandle] = []
        self._reset()

    def _reset(self) -> None:
        self.layer_names: list[str] = []
        """The layer of each parameter with a gradient; the next three attributes are of the same parameters."""
        self.gradient_norms: Sequence[Tensor] = ()
        self.weight_norms: Sequence[Tensor] = ()
        self.update_norms: Sequence[Tensor] = ()
        self.active_units: dict[ActivationCall, Tensor] = {}
        """For each call of an activation, which units are active for some row."""
        self.call_counts: Counter[str] = Counter()
        """Number of calls of each activation in the current forward pass."""
        self.squared_gradients: dict[str, Tensor] = {}
        """For each recurrent layer, the squared gradient of its input at each step, (t,)."""

    def add_hooks(self) -> None:
        """Add hooks to the network; `measure` removes them."""
        self._reset()
        if self.activations:
            self.hooks.append(self.first_module.register_forward_pre_hook(lambda *_: self.call_counts.clear()))
        for name, (activation, axis) in self.activations.items():
            self.hooks.append(activation.register_forward_hook(partial(self._record_activation, name, axis)))
        for name, cell in self.recurrent_layers.items():
            self.hooks.append(cell.register_forward_pre_hook(partial(self._track_input_gradient, name)))

    @torch.no_grad()
    def measure(self) -> None:
        """Measure the gradients and the optimizer's update; must be called between the backward pass and the step."""
        self.remove_hooks()
        named = [(layer, p) for layer, own in self.parameters_by_layer.items() for p in own if p.grad is not None]
        if not named:
            return
        self.layer_names = [layer for layer, _ in named]
        self.gradient_norms = torch._foreach_norm([p.grad for _, p in named if p.grad is not None])
        samples = [_leading_rows(p.detach()) for _, p in named]
        before = [sample.clone() for sample in samples]
        self.weight_norms = torch._foreach_norm(samples)

        @torch.no_grad()
        def measure_update(*_: Any) -> None:
            self.update_norms = torch._foreach_norm(torch._foreach_sub(samples, before))
            self.remove_hooks()

        self.hooks.append(self.optimizer.register_step_post_hook(measure_update))

    def remove_hooks(self) -> None:
        """Remove all hooks."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    def read(self) -> dict[str, ValueByLayer]:
        """Return the measurements by kind and layer; the kinds are those of `summary.Measurements`."""
        self.remove_hooks()
        ratios = [_early_gradient_ratio(squares) for squares in self.squared_gradients.values()]
        scalars = _to_floats([*self.gradient_norms, *self.weight_norms, *self.update_norms, *ratios])
        gradients, weights, updates = (
            _norm_by_layer(self.layer_names, islice(scalars, len(norms)))
            for norms in (self.gradient_norms, self.weight_norms, self.update_norms)
        )
        update_ratios = {name: updates[name] / weights[name] for name in updates if weights[name]}
        return {
            "gradient_norm": {name: _round_finite(gradients.get(name)) for name in self.parameters_by_layer},
            "update_ratio": {name: _round_finite(update_ratios.get(name)) for name in self.parameters_by_layer},
            "dead_fraction": {name: _round_finite(value) for name, value in self._dead_fractions().items()},
            "early_gradient_ratio": {
                name: _round_finite(value) for name, value in zip(self.squared_gradients, scalars, strict=False)
            },
        }

    def _dead_fractions(self) -> dict[str, float]:
        """Return the fraction of dead units of each activation, over all of its calls."""
        flags = iter(torch.cat([*self.active_units.values()]).tolist() if self.active_units else [])
        units: dict[str, list[bool]] = {}
        for name, _, n in self.active_units:
            units.setdefault(name, []).extend(islice(flags, n))
        return {name: 1 - sum(active) / len(active) for name, active in units.items()}

    def _record_activation(self, name: str, axis: int, module: nn.Module, _: Any, out: Tensor) -> None:
        """Record which units are active for some row.

        A batch may consist of several forward passes, and an activation may be called several times in each of them.
        """
        out = out.detach()
        other_dims = [dim for dim in range(out.ndim) if dim != axis % out.ndim]
        match module:
            case nn.Tanh():
                active = out.abs().amin(other_dims) < 1 - 2 * SATURATION_MARGIN
            case nn.Sigmoid():
                active = (out - 0.5).abs().amin(other_dims) < 0.5 - SATURATION_MARGIN
            case _:
                active = out.amax(other_dims) > 0
        call = (name, self.call_counts[name], len(active))
        self.call_counts[name] += 1
        self.active_units[call] = active | self.active_units[call] if call in self.active_units else active

    def _track_input_gradient(self, name: str, cell: nn.RNNBase, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Make autograd compute the gradient of a recurrent layer's input (b, t, f), and record it."""
        x = args[0] if args[0].requires_grad else args[0].detach().requires_grad_()
        other_dims = (0, 2) if cell.batch_first else (1, 2)

        def record(gradient: Tensor) -> None:
            squares = gradient.detach().float().square().sum(other_dims)
            self.squared_gradients[name] = (
                self.squared_gradients[name] + squares if name in self.squared_gradients else squares
            )

        x.register_hook(record)
        return (x, *args[1:])


def append_measurements(values: dict[str, ValueByLayer], measurements: Measurements, n_epochs: int) -> None:
    """Append the values of an epoch to the measurements of the `n_epochs` epochs before it."""
    for kind, by_layer in values.items():
        layers = measurements.setdefault(kind, {})
        for name in dict.fromkeys((*layers, *by_layer)):
            layers.setdefault(name, [None] * n_epochs).append(by_layer.get(name))


def group_parameters(network: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of at most `MAX_LAYERS` layers with weight matrices, by the name of their module."""
    by_module: dict[str, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        module = name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
        by_module.setdefault(module or name, []).append(parameter)
    return _evenly_spaced({name: own for name, own in by_module.items() if any(p.ndim > 1 for p in own)})


def find_activations(network: nn.Module) -> dict[str, tuple[nn.Module, int]]:
    """Return the activations whose units can be dead, and the axis of their units: 1 after convolutions, else -1."""
    activations: dict[str, tuple[nn.Module, int]] = {}
    axis = -1
    for name, module in network.named_modules():
        match module:
            case nn.Conv1d() | nn.Conv2d():
                axis = 1
            case nn.Linear() | nn.LayerNorm() | nn.RNNBase():
                axis = -1
            case nn.ReLU() | nn.Sigmoid() | nn.Tanh():
                activations[name] = (module, axis)
    return _evenly_spaced(activations)


def _evenly_spaced(layers: dict[str, T]) -> dict[str, T]:
    """Return at most `MAX_LAYERS` layers, evenly spaced, including the first and the last."""
    if len(layers) <= MAX_LAYERS:
        return layers
    selected = {round(i * (len(layers) - 1) / (MAX_LAYERS - 1)) for i in range(MAX_LAYERS)}
    return {name: layer for i, (name, layer) in enumerate(layers.items()) if i in selected}


def _leading_rows(tensor: Tensor) -> Tensor:
    """Return a view of the leading rows of a tensor with at most about `MAX_SAMPLE_SIZE` values."""
    return (
        tensor
        if tensor.numel() <= MAX_SAMPLE_SIZE
        else tensor[: max(1, MAX_SAMPLE_SIZE * len(tensor) // tensor.numel())]
    )


def _early_gradient_ratio(squares: Tensor) -> Tensor:
    """Return the gradient at the first tenth of the steps divided by the largest gradient at any step."""
    return (squares[: max(1, len(squares) // 10)].mean() / squares.max()).sqrt()


def _to_floats(scalars: list[Tensor]) -> Iterator[float]:
    """Return the values of scalars on the device, with a single synchronization."""
    return iter(torch.stack(scalars).tolist() if scalars else [])


def _norm_by_layer(layer_names: Iterable[str], norms: Iterable[float]) -> dict[str, float]:
    """Return the norm of each layer from the norms of its parameters; empty if nothing was measured."""
    by_layer: dict[str, float] = {}
    for layer, norm in zip(layer_names, norms, strict=False):
        by_layer[layer] = math.hypot(by_layer.get(layer, 0.0), norm)
    return by_layer


def _round_finite(value: float | None) -> float | None:
    return float(f"{value:.4g}") if value is not None and math.isfinite(value) else None
