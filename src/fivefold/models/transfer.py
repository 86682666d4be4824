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

from ..config.models import NetworkConfig
from ..data.schema import Schema
from ..errors import ParamsError
from ..preprocessing.pipeline import Pipeline
from .inference import Preprocess
from .serialization import TrainedModel


class LayerGroup(NamedTuple):
    """Modules that belong together, by their names in the network; the first one names the layer."""

    modules: dict[str, nn.Module]

    @property
    def name(self) -> str:
        """Its name in the network."""
        return next(iter(self.modules))

    def parameters(self) -> list[nn.Parameter]:
        """Return the weights and biases."""
        return [p for module in self.modules.values() for p in module.parameters()]

    def named_tensors(self) -> list[tuple[str, Tensor]]:
        """Return weights, biases and running statistics, by their names within each module."""
        return [pair for module in self.modules.values() for pair in module.state_dict().items()]

    def set_frozen(self, frozen: bool) -> None:
        """Have the layer stay as it is, norms with the statistics that they have; or have it learn again."""
        for module in self.modules.values():
            module.requires_grad_(not frozen)
            for part in module.modules():
                if next(part.buffers(recurse=False), None) is not None:
                    part.train(not frozen)


def layer_groups(network: nn.Module) -> list[LayerGroup]:
    """Return the layers of a network; every parameter is in one of them, the outputs come from the last."""
    found: list[LayerGroup] = []
    for name, module in _iter_layers("", network):
        if found and all(p.ndim <= 1 for p in module.parameters()):
            found[-1].modules[name] = module
        else:
            found.append(LayerGroup({name: module}))
    return found


def _iter_layers(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the parts with a state: of lists and of classes named ...Network what is in them, others whole."""
    listed = isinstance(module, nn.Sequential | nn.ModuleList) or type(module).__name__.endswith("Network")
    if listed and not module._parameters:
        for key, child in module.named_children():
            yield from _iter_layers(f"{name}.{key}" if name else key, child)
    elif module.state_dict():
        yield name, module


FEATURE_INDEX_ARRAYS = ("index", "matrix", "keep", "column", "code")
"""Arrays of a preprocessing that say which feature is which; the others scale."""

MAX_LISTED = 3
"""Layers that a line names."""


@dataclass(frozen=True)
class PretrainedModel:
    """A registered version of a model of ours.

    model: its name in the registry.
    digest: SHA-256 that stands for all that its training wrote.
    """

    model_name: str
    version: int
    digest: str
    trained_model: TrainedModel

    @property
    def display_name(self) -> str:
        """What a person calls it."""
        return f"{self.model_name} version {self.version}"

    @property
    def metadata(self) -> dict[str, str | int]:
        """What a model that starts from it must know of it; plain JSON values."""
        return {"model": self.model_name, "version": self.version, "digest": self.digest}


@dataclass(frozen=True)
class TransferReport:
    """The layers of a network that begin with the weights of a source, from the input on, and those that do not."""

    transferred: list[LayerGroup]
    initialized: list[LayerGroup]

    @property
    def transferred_hidden(self) -> list[LayerGroup]:
        """Those that were taken but for the network's last one."""
        return self.transferred if self.initialized else self.transferred[:-1]

    def __str__(self) -> str:
        every = len(self.transferred) + len(self.initialized)
        return f"{len(self.transferred)} of {every} layers are taken ({_format_layer_names(self.transferred)}); fresh: {_format_layer_names(self.initialized)}"


def load_matching_weights(
    pretrained: PretrainedModel,
    network: nn.Module,
    params: NetworkConfig,
    schema: Schema,
    pipeline: Pipeline,
    *,
    include_last: bool = True,
) -> TransferReport:
    """Copy weights and running statistics of `source` into `network`, layer by layer from the input until one differs.

    params, schema, chain: of the network.
    last: whether the last layer may be taken, where it tells the same classes or values.

    Raises:
        ParamsError: the two differ in more than sizes, see other features, or differ in the first layer already.
    """
    for problem in _incompatibilities(pretrained.trained_model, params, schema, pipeline):
        raise ParamsError(
            f"a network that starts from {pretrained.display_name} must be and see the same, but {problem} there; make them alike,"
            " or leave training.pretrained out"
        )
    theirs, ours = layer_groups(pretrained.trained_model.model.network), layer_groups(network)
    if not include_last or _target_description(pretrained.trained_model.schema) != _target_description(schema):
        theirs = theirs[:-1]
    pairs = list(
        takewhile(lambda pair: _tensor_shapes(pair[0]) == _tensor_shapes(pair[1]), zip(theirs, ours, strict=False))
    )
    if not pairs:
        there, here = (_tensor_shapes(found[0]) if found else [] for found in (theirs, ours))
        raise ParamsError(
            f"the first layer must have the shapes it has in {pretrained.display_name}, {_format_shapes(there)}, but has"
            f" {_format_shapes(here)}; bring network and records in line with it, or leave training.pretrained out"
        )
    with torch.no_grad():
        for from_, to in pairs:
            for (_, value), (_, own) in zip(from_.named_tensors(), to.named_tensors(), strict=True):
                own.copy_(value)
    return TransferReport(ours[: len(pairs)], ours[len(pairs) :])


def _incompatibilities(
    trained_model: TrainedModel, params: NetworkConfig, schema: Schema, pipeline: Pipeline
) -> Iterator[str]:
    """Yield what must be alike and is not; sizes are not looked at, since shapes tell them."""
    theirs, ours = trained_model.network_config.model_dump(), params.model_dump()
    for key, value in ours.items():
        if isinstance(value, str | bool) and key != "init" and theirs.get(key, value) != value:
            yield f"network.{key} is {value} here and {theirs[key]}"
    if trained_model.schema.kind != schema.kind:
        yield f"the data are of kind {schema.kind} here and {trained_model.schema.kind}"
    elif schema.kind == "table" and trained_model.schema.features != schema.features:
        yield f"the columns are {_join_names(schema.features)} here and {_join_names(trained_model.schema.features)}"
    elif trained_model.schema.vocabulary != schema.vocabulary:
        here, there = len(schema.vocabulary), len(trained_model.schema.vocabulary)
        yield f"the vocabulary has {here} tokens here and {there} others"
    elif _feature_selection_arrays(trained_model.model.preprocess) != _feature_selection_arrays(Preprocess(pipeline)):
        yield "the features that cleaning and `select` leave are others than"


def _feature_selection_arrays(preprocess: Preprocess) -> list[tuple[str, list[float]]]:
    """Return what says which feature is which, in the order of the steps."""
    parts = ((*name.rpartition("_")[::2], value) for name, value in preprocess.state_dict().items())
    found = sorted((int(step), name, value.tolist()) for name, step, value in parts if name in FEATURE_INDEX_ARRAYS)
    return [(name, value) for _, name, value in found]


def _target_description(schema: Schema) -> tuple[object, ...]:
    return schema.classes, schema.values, schema.extra_targets, schema.quantiles, schema.difference, schema.log_target


def _tensor_shapes(layer: LayerGroup) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(value.shape)) for name, value in layer.named_tensors()]


def _format_shapes(shapes: list[tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape)) or 1}" for name, shape in shapes) or "none"


def _format_layer_names(layers: list[LayerGroup]) -> str:
    return _join_names([layer.name for layer in layers])


def _join_names(names: tuple[str, ...] | list[str]) -> str:
    more = [f"... {names[-1]}"] if len(names) > MAX_LISTED else []
    return ", ".join([*names[: MAX_LISTED - len(more)], *more]) or "none"
