"""Look at one step of a training: its gradients, its update, its activations; nothing of the step changes.

What is measured stays on the device until it is asked for, so that a step never waits.
Shapes: b rows, t steps, f features a step.
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
"""Layers that are looked at, at most: the first, the last, and as many between."""
MAX_SAMPLE_SIZE = 2**20
"""Numbers of a tensor whose change is measured: a copy of them must be kept for a step."""
SATURATION_MARGIN = 0.01
"""Distance from its bounds, as a share of what lies between them, at which a sigmoid or tanh is saturated."""

ValueByLayer = dict[str, float | None]

ActivationCall = tuple[str, int, int]
"""Of an activation: its name, which call of it, and how many units it has there."""

T = TypeVar("T")


class Probe:
    """Measures the next step of a network after `arm`.

    Args:
        network: lies on its device already.
        optimizer: what moves it.
        inside: whether to look at activations and recurrent layers too; nobody can look into a compiled network.
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
        """The layer of each parameter that got a gradient; the next three are of the same parameters."""
        self.gradient_norms: Sequence[Tensor] = ()
        self.weight_norms: Sequence[Tensor] = ()
        self.update_norms: Sequence[Tensor] = ()
        self.active_units: dict[ActivationCall, Tensor] = {}
        """Of each call of an activation, which units move for some row."""
        self.call_counts: Counter[str] = Counter()
        """How often an activation was called for the rows that go through the network now."""
        self.squared_gradients: dict[str, Tensor] = {}
        """Of a recurrent layer, the square of the gradient at each step, (t,)."""

    def add_hooks(self) -> None:
        """Hook into the network, until `look`."""
        self._reset()
        if self.activations:
            self.hooks.append(self.first_module.register_forward_pre_hook(lambda *_: self.call_counts.clear()))
        for name, (activation, axis) in self.activations.items():
            self.hooks.append(activation.register_forward_hook(partial(self._record_activation, name, axis)))
        for name, cell in self.recurrent_layers.items():
            self.hooks.append(cell.register_forward_pre_hook(partial(self._track_input_gradient, name)))

    @torch.no_grad()
    def measure(self) -> None:
        """Measure gradients, and the update that the optimiser makes of them: call between backward and its step."""
        self.remove_hooks()
        owned = [(layer, p) for layer, own in self.parameters_by_layer.items() for p in own if p.grad is not None]
        if not owned:
            return
        self.layer_names = [layer for layer, _ in owned]
        self.gradient_norms = torch._foreach_norm([p.grad for _, p in owned if p.grad is not None])
        parts = [_leading_rows(p.detach()) for _, p in owned]
        before = [part.clone() for part in parts]
        self.weight_norms = torch._foreach_norm(parts)

        @torch.no_grad()
        def after(*_: Any) -> None:
            self.update_norms = torch._foreach_norm(torch._foreach_sub(parts, before))
            self.remove_hooks()

        self.hooks.append(self.optimizer.register_step_post_hook(after))

    def remove_hooks(self) -> None:
        """Unhook."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    def read(self) -> dict[str, ValueByLayer]:
        """Return what was measured by kind and layer: see `course.Measured`."""
        self.remove_hooks()
        reaches = [_early_gradient_ratio(squares) for squares in self.squared_gradients.values()]
        numbers = _to_floats([*self.gradient_norms, *self.weight_norms, *self.update_norms, *reaches])
        gradients, weights, changes = (
            _norm_by_layer(self.layer_names, islice(numbers, len(norms)))
            for norms in (self.gradient_norms, self.weight_norms, self.update_norms)
        )
        updates = {name: changes[name] / weights[name] for name in changes if weights[name]}
        return {
            "gradient": {name: _round_finite(gradients.get(name)) for name in self.parameters_by_layer},
            "update": {name: _round_finite(updates.get(name)) for name in self.parameters_by_layer},
            "dead": {name: _round_finite(share) for name, share in self._dead_fractions().items()},
            "reach": {name: _round_finite(share) for name, share in zip(self.squared_gradients, numbers, strict=False)},
        }

    def _dead_fractions(self) -> dict[str, float]:
        """Return the share of dead units of each activation."""
        flags = iter(torch.cat([*self.active_units.values()]).tolist() if self.active_units else [])
        units: dict[str, list[bool]] = {}
        for name, _, n in self.active_units:
            units.setdefault(name, []).extend(islice(flags, n))
        return {name: 1 - sum(alive) / len(alive) for name, alive in units.items()}

    def _record_activation(self, name: str, axis: int, module: nn.Module, _: Any, out: Tensor) -> None:
        """Note which units move for some row; a batch may come in parts, and one activation stand in many places."""
        out = out.detach()
        others = [dim for dim in range(out.ndim) if dim != axis % out.ndim]
        match module:
            case nn.Tanh():
                alive = out.abs().amin(others) < 1 - 2 * SATURATION_MARGIN
            case nn.Sigmoid():
                alive = (out - 0.5).abs().amin(others) < 0.5 - SATURATION_MARGIN
            case _:
                alive = out.amax(others) > 0
        call = (name, self.call_counts[name], len(alive))
        self.call_counts[name] += 1
        self.active_units[call] = alive | self.active_units[call] if call in self.active_units else alive

    def _track_input_gradient(self, name: str, cell: nn.RNNBase, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Have a recurrent layer find the gradient of its input (b, t, f), which is no part of any other."""
        x = args[0] if args[0].requires_grad else args[0].detach().requires_grad_()
        others = (0, 2) if cell.batch_first else (1, 2)

        def note(gradient: Tensor) -> None:
            squares = gradient.detach().float().square().sum(others)
            self.squared_gradients[name] = (
                self.squared_gradients[name] + squares if name in self.squared_gradients else squares
            )

        x.register_hook(note)
        return (x, *args[1:])


def append_measurements(values: dict[str, ValueByLayer], measurements: Measurements, n_epochs: int) -> None:
    """Add what was measured in an epoch to what was in those before it."""
    for kind, sizes in values.items():
        layers = measurements.setdefault(kind, {})
        for name in dict.fromkeys((*layers, *sizes)):
            layers.setdefault(name, [None] * n_epochs).append(sizes.get(name))


def group_parameters(network: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of layers with weights, by the name of the module that owns them; `LAYERS` at most."""
    owned: dict[str, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        own = name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
        owned.setdefault(own or name, []).append(parameter)
    return _evenly_spaced({name: own for name, own in owned.items() if any(p.ndim > 1 for p in own)})


def find_activations(network: nn.Module) -> dict[str, tuple[nn.Module, int]]:
    """Return the activations whose units can be dead, and the axis of units: 1 behind convolutions, else the last."""
    found: dict[str, tuple[nn.Module, int]] = {}
    axis = -1
    for name, module in network.named_modules():
        match module:
            case nn.Conv1d() | nn.Conv2d():
                axis = 1
            case nn.Linear() | nn.LayerNorm() | nn.RNNBase():
                axis = -1
            case nn.ReLU() | nn.Sigmoid() | nn.Tanh():
                found[name] = (module, axis)
    return _evenly_spaced(found)


def _evenly_spaced(layers: dict[str, T]) -> dict[str, T]:
    """Return `LAYERS` of them, evenly spaced, the first and the last among them."""
    if len(layers) <= MAX_LAYERS:
        return layers
    kept = {round(i * (len(layers) - 1) / (MAX_LAYERS - 1)) for i in range(MAX_LAYERS)}
    return {name: layer for i, (name, layer) in enumerate(layers.items()) if i in kept}


def _leading_rows(tensor: Tensor) -> Tensor:
    """Return so many leading rows of a large tensor that they are about `SAMPLE` numbers; a view."""
    return (
        tensor
        if tensor.numel() <= MAX_SAMPLE_SIZE
        else tensor[: max(1, MAX_SAMPLE_SIZE * len(tensor) // tensor.numel())]
    )


def _early_gradient_ratio(squares: Tensor) -> Tensor:
    """Return the size of the gradient at the first tenth of steps as a share of the largest."""
    return (squares[: max(1, len(squares) // 10)].mean() / squares.max()).sqrt()


def _to_floats(scalars: list[Tensor]) -> Iterator[float]:
    """Yield numbers that lie on the device; it is waited for once."""
    return iter(torch.stack(scalars).tolist() if scalars else [])


def _norm_by_layer(layer_names: Iterable[str], norms: Iterable[float]) -> dict[str, float]:
    """Return the norm of each layer, of those of its parameters; empty if nothing was measured."""
    found: dict[str, float] = {}
    for layer, norm in zip(layer_names, norms, strict=False):
        found[layer] = math.hypot(found.get(layer, 0.0), norm)
    return found


def _round_finite(value: float | None) -> float | None:
    return float(f"{value:.4g}") if value is not None and math.isfinite(value) else None
