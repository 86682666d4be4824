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

from .summary import Measured

LAYERS = 10
"""Layers that are looked at, at most: the first, the last, and as many between."""
SAMPLE = 2**20
"""Numbers of a tensor whose change is measured: a copy of them must be kept for a step."""
BOUND = 0.01
"""Distance from its bounds, as a share of what lies between them, at which a sigmoid or tanh is saturated."""

Sizes = dict[str, float | None]

Call = tuple[str, int, int]
"""Of an activation: its name, which call of it, and how many units it has there."""

T = TypeVar("T")


class Probe:
    """Measures the next step of a network after `arm`.

    Args:
        network: lies on its device already.
        optimizer: what moves it.
        inside: whether to look at activations and recurrent layers too; nobody can look into a compiled network.
    """

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer, *, inside: bool = True) -> None:
        self.optimizer = optimizer
        self.layers = layers_of(network)
        self.units = activations_of(network) if inside else {}
        self.first = next(m for m in network.modules() if next(m.parameters(recurse=False), None) is not None)
        self.cells = {name: m for name, m in network.named_modules() if inside and isinstance(m, nn.RNNBase)}
        self.hooks: list[RemovableHandle] = []
        self._forget()

    def _forget(self) -> None:
        self.owners: list[str] = []
        """The layer of each parameter that got a gradient; the next three are of the same parameters."""
        self.gradients: Sequence[Tensor] = ()
        self.weights: Sequence[Tensor] = ()
        self.changes: Sequence[Tensor] = ()
        self.alive: dict[Call, Tensor] = {}
        """Of each call of an activation, which units move for some row."""
        self.calls: Counter[str] = Counter()
        """How often an activation was called for the rows that go through the network now."""
        self.squares: dict[str, Tensor] = {}
        """Of a recurrent layer, the square of the gradient at each step, (t,)."""

    def arm(self) -> None:
        """Hook into the network, until `look`."""
        self._forget()
        if self.units:
            self.hooks.append(self.first.register_forward_pre_hook(lambda *_: self.calls.clear()))
        for name, (activation, axis) in self.units.items():
            self.hooks.append(activation.register_forward_hook(partial(self._see, name, axis)))
        for name, cell in self.cells.items():
            self.hooks.append(cell.register_forward_pre_hook(partial(self._listen, name)))

    @torch.no_grad()
    def look(self) -> None:
        """Measure gradients, and the update that the optimiser makes of them: call between backward and its step."""
        self.disarm()
        owned = [(layer, p) for layer, own in self.layers.items() for p in own if p.grad is not None]
        if not owned:
            return
        self.owners = [layer for layer, _ in owned]
        self.gradients = torch._foreach_norm([p.grad for _, p in owned if p.grad is not None])
        parts = [_part(p.detach()) for _, p in owned]
        before = [part.clone() for part in parts]
        self.weights = torch._foreach_norm(parts)

        @torch.no_grad()
        def after(*_: Any) -> None:
            self.changes = torch._foreach_norm(torch._foreach_sub(parts, before))
            self.disarm()

        self.hooks.append(self.optimizer.register_step_post_hook(after))

    def disarm(self) -> None:
        """Unhook."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    def read(self) -> dict[str, Sizes]:
        """Return what was measured by kind and layer: see `course.Measured`."""
        self.disarm()
        reaches = [_reach(squares) for squares in self.squares.values()]
        numbers = _numbers([*self.gradients, *self.weights, *self.changes, *reaches])
        gradients, weights, changes = (
            _by_layer(self.owners, islice(numbers, len(norms)))
            for norms in (self.gradients, self.weights, self.changes)
        )
        updates = {name: changes[name] / weights[name] for name in changes if weights[name]}
        return {
            "gradient": {name: _rounded(gradients.get(name)) for name in self.layers},
            "update": {name: _rounded(updates.get(name)) for name in self.layers},
            "dead": {name: _rounded(share) for name, share in self._dead().items()},
            "reach": {name: _rounded(share) for name, share in zip(self.squares, numbers, strict=False)},
        }

    def _dead(self) -> dict[str, float]:
        """Return the share of dead units of each activation."""
        flags = iter(torch.cat([*self.alive.values()]).tolist() if self.alive else [])
        units: dict[str, list[bool]] = {}
        for name, _, n in self.alive:
            units.setdefault(name, []).extend(islice(flags, n))
        return {name: 1 - sum(alive) / len(alive) for name, alive in units.items()}

    def _see(self, name: str, axis: int, module: nn.Module, _: Any, out: Tensor) -> None:
        """Note which units move for some row; a batch may come in parts, and one activation stand in many places."""
        out = out.detach()
        others = [dim for dim in range(out.ndim) if dim != axis % out.ndim]
        match module:
            case nn.Tanh():
                alive = out.abs().amin(others) < 1 - 2 * BOUND
            case nn.Sigmoid():
                alive = (out - 0.5).abs().amin(others) < 0.5 - BOUND
            case _:
                alive = out.amax(others) > 0
        call = (name, self.calls[name], len(alive))
        self.calls[name] += 1
        self.alive[call] = alive | self.alive[call] if call in self.alive else alive

    def _listen(self, name: str, cell: nn.RNNBase, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Have a recurrent layer find the gradient of its input (b, t, f), which is no part of any other."""
        x = args[0] if args[0].requires_grad else args[0].detach().requires_grad_()
        others = (0, 2) if cell.batch_first else (1, 2)

        def note(gradient: Tensor) -> None:
            squares = gradient.detach().float().square().sum(others)
            self.squares[name] = self.squares[name] + squares if name in self.squares else squares

        x.register_hook(note)
        return (x, *args[1:])


def note(seen: dict[str, Sizes], measured: Measured, epochs: int) -> None:
    """Add what was measured in an epoch to what was in those before it."""
    for kind, sizes in seen.items():
        layers = measured.setdefault(kind, {})
        for name in dict.fromkeys((*layers, *sizes)):
            layers.setdefault(name, [None] * epochs).append(sizes.get(name))


def layers_of(network: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of layers with weights, by the name of the module that owns them; `LAYERS` at most."""
    owned: dict[str, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        own = name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
        owned.setdefault(own or name, []).append(parameter)
    return _thinned({name: own for name, own in owned.items() if any(p.ndim > 1 for p in own)})


def activations_of(network: nn.Module) -> dict[str, tuple[nn.Module, int]]:
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
    return _thinned(found)


def _thinned(layers: dict[str, T]) -> dict[str, T]:
    """Return `LAYERS` of them, evenly spaced, the first and the last among them."""
    if len(layers) <= LAYERS:
        return layers
    kept = {round(i * (len(layers) - 1) / (LAYERS - 1)) for i in range(LAYERS)}
    return {name: layer for i, (name, layer) in enumerate(layers.items()) if i in kept}


def _part(tensor: Tensor) -> Tensor:
    """Return so many leading rows of a large tensor that they are about `SAMPLE` numbers; a view."""
    return tensor if tensor.numel() <= SAMPLE else tensor[: max(1, SAMPLE * len(tensor) // tensor.numel())]


def _reach(squares: Tensor) -> Tensor:
    """Return the size of the gradient at the first tenth of steps as a share of the largest."""
    return (squares[: max(1, len(squares) // 10)].mean() / squares.max()).sqrt()


def _numbers(scalars: list[Tensor]) -> Iterator[float]:
    """Yield numbers that lie on the device; it is waited for once."""
    return iter(torch.stack(scalars).tolist() if scalars else [])


def _by_layer(owners: Iterable[str], norms: Iterable[float]) -> dict[str, float]:
    """Return the norm of each layer, of those of its parameters; empty if nothing was measured."""
    found: dict[str, float] = {}
    for layer, norm in zip(owners, norms, strict=False):
        found[layer] = math.hypot(found.get(layer, 0.0), norm)
    return found


def _rounded(value: float | None) -> float | None:
    return float(f"{value:.4g}") if value is not None and math.isfinite(value) else None
