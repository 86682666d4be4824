"""A trained model that another one starts from: what of it fits, and is taken.

Source: Yosinski et al. 2014. What is learnt near the input serves other tasks too; the outputs are of one task.

The layers of a network in order, from the input to the output; the same for every family.

A layer is the smallest part that is frozen, or has a learning rate, as a whole: a dense layer, a convolution, a cell,
a residual block with all that is in it. A norm belongs to the layer before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config.models import Network
from ..data.schema import Schema
from ..errors import ParamsError
from ..preprocessing.pipeline import Chain
from .inference import Preprocess
from .serialization import Saved


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


WHICH = ("index", "matrix", "keep", "column", "code")
"""Arrays of a preprocessing that say which feature is which; the others scale."""

LISTED = 3
"""Layers that a line names."""


@dataclass(frozen=True)
class Source:
    """A registered version of a model of ours.

    model: its name in the registry.
    digest: SHA-256 that stands for all that its training wrote.
    """

    model: str
    version: int
    digest: str
    saved: Saved

    @property
    def title(self) -> str:
        """What a person calls it."""
        return f"{self.model} version {self.version}"

    @property
    def facts(self) -> dict[str, str | int]:
        """What a model that starts from it must know of it; plain JSON values."""
        return {"model": self.model, "version": self.version, "digest": self.digest}


@dataclass(frozen=True)
class Taken:
    """The layers of a network that begin with the weights of a source, from the input on, and those that do not."""

    layers: list[Layer]
    fresh: list[Layer]

    @property
    def below(self) -> list[Layer]:
        """Those that were taken but for the network's last one."""
        return self.layers if self.fresh else self.layers[:-1]

    def __str__(self) -> str:
        every = len(self.layers) + len(self.fresh)
        return f"{len(self.layers)} of {every} layers are taken ({_listed(self.layers)}); fresh: {_listed(self.fresh)}"


def take(
    source: Source, network: nn.Module, params: Network, schema: Schema, chain: Chain, *, last: bool = True
) -> Taken:
    """Copy weights and running statistics of `source` into `network`, layer by layer from the input until one differs.

    params, schema, chain: of the network.
    last: whether the last layer may be taken, where it tells the same classes or values.

    Raises:
        ParamsError: the two differ in more than sizes, see other features, or differ in the first layer already.
    """
    for problem in _differences(source.saved, params, schema, chain):
        raise ParamsError(
            f"a network that starts from {source.title} must be and see the same, but {problem} there; make them alike,"
            " or leave training.start out"
        )
    theirs, ours = layers_of(source.saved.model.network), layers_of(network)
    if not last or _told(source.saved.schema) != _told(schema):
        theirs = theirs[:-1]
    pairs = list(takewhile(lambda pair: _shapes(pair[0]) == _shapes(pair[1]), zip(theirs, ours, strict=False)))
    if not pairs:
        there, here = (_shapes(found[0]) if found else [] for found in (theirs, ours))
        raise ParamsError(
            f"the first layer must have the shapes it has in {source.title}, {_written(there)}, but has"
            f" {_written(here)}; bring network and records in line with it, or leave training.start out"
        )
    with torch.no_grad():
        for from_, to in pairs:
            for (_, value), (_, own) in zip(from_.state(), to.state(), strict=True):
                own.copy_(value)
    return Taken(ours[: len(pairs)], ours[len(pairs) :])


def _differences(saved: Saved, params: Network, schema: Schema, chain: Chain) -> Iterator[str]:
    """Yield what must be alike and is not; sizes are not looked at, since shapes tell them."""
    theirs, ours = saved.network.model_dump(), params.model_dump()
    for key, value in ours.items():
        if isinstance(value, str | bool) and key != "init" and theirs.get(key, value) != value:
            yield f"network.{key} is {value} here and {theirs[key]}"
    if saved.schema.kind != schema.kind:
        yield f"the data are of kind {schema.kind} here and {saved.schema.kind}"
    elif schema.kind == "table" and saved.schema.features != schema.features:
        yield f"the columns are {_words(schema.features)} here and {_words(saved.schema.features)}"
    elif saved.schema.vocabulary != schema.vocabulary:
        here, there = len(schema.vocabulary), len(saved.schema.vocabulary)
        yield f"the vocabulary has {here} tokens here and {there} others"
    elif _which(saved.model.preprocess) != _which(Preprocess(chain)):
        yield "the features that cleaning and `select` leave are others than"


def _which(preprocess: Preprocess) -> list[tuple[str, list[float]]]:
    """Return what says which feature is which, in the order of the steps."""
    parts = ((*name.rpartition("_")[::2], value) for name, value in preprocess.state_dict().items())
    found = sorted((int(step), name, value.tolist()) for name, step, value in parts if name in WHICH)
    return [(name, value) for _, name, value in found]


def _told(schema: Schema) -> tuple[object, ...]:
    return schema.classes, schema.values, schema.also, schema.levels, schema.base, schema.log


def _shapes(layer: Layer) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(value.shape)) for name, value in layer.state()]


def _written(shapes: list[tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape)) or 1}" for name, shape in shapes) or "none"


def _listed(layers: list[Layer]) -> str:
    return _words([layer.name for layer in layers])


def _words(names: tuple[str, ...] | list[str]) -> str:
    more = [f"... {names[-1]}"] if len(names) > LISTED else []
    return ", ".join([*names[: LISTED - len(more)], *more]) or "none"
