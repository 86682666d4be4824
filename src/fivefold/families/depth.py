"""The layers of a network in order, from the input to the output; the same for every family.

A layer is the smallest part that is frozen, or has a learning rate, as a whole: a dense layer, a convolution, a cell,
a residual block with all that is in it. A norm belongs to the layer before it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn


class Layer(NamedTuple):
    """Modules that belong together, by their names in the network; the first one names the layer."""

    modules: dict[str, nn.Module]

    @property
    def name(self) -> str:
        """Its name in the network."""
        return next(iter(self.modules))

    def parameters(self) -> list[nn.Parameter]:
        """Return the weights and biases."""
        return [p for module in self.modules.values() for p in module.parameters()]

    def state(self) -> list[tuple[str, Tensor]]:
        """Return weights, biases and running statistics, by their names within each module."""
        return [pair for module in self.modules.values() for pair in module.state_dict().items()]

    def freeze(self, frozen: bool) -> None:
        """Have the layer stay as it is, norms with the statistics that they have; or have it learn again."""
        for module in self.modules.values():
            module.requires_grad_(not frozen)
            for part in module.modules():
                if next(part.buffers(recurse=False), None) is not None:
                    part.train(not frozen)


def layers_of(network: nn.Module) -> list[Layer]:
    """Return the layers of a network; every parameter is in one of them, the outputs come from the last."""
    found: list[Layer] = []
    for name, module in _parts("", network):
        if found and all(p.ndim <= 1 for p in module.parameters()):
            found[-1].modules[name] = module
        else:
            found.append(Layer({name: module}))
    return found


def _parts(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the parts with a state: of lists and of classes named ...Network what is in them, others whole."""
    listed = isinstance(module, nn.Sequential | nn.ModuleList) or type(module).__name__.endswith("Network")
    if listed and not module._parameters:
        for key, child in module.named_children():
            yield from _parts(f"{name}.{key}" if name else key, child)
    elif module.state_dict():
        yield name, module
