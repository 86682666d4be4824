"""Transfer learning: copy the matching layers of a trained model into a new network, and its layers in order.

Source: Yosinski et al. 2014: features near the input transfer to other tasks, the outputs belong to one task.
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
    """The smallest part of a network that is frozen, or has a learning rate, as a whole.

    It is a dense layer, a convolution, a recurrent cell or a residual block. A norm belongs to the layer before it.

    Attributes:
        modules: by their names in the network; the first one names the group.
    """

    modules: dict[str, nn.Module]

    @property
    def name(self) -> str:
        """Name of the first module in the network."""
        return next(iter(self.modules))

    def parameters(self) -> list[nn.Parameter]:
        """Return the weights and biases."""
        return [p for module in self.modules.values() for p in module.parameters()]

    def named_tensors(self) -> list[tuple[str, Tensor]]:
        """Return weights, biases and running statistics, by their names within each module."""
        return [pair for module in self.modules.values() for pair in module.state_dict().items()]

    def set_frozen(self, frozen: bool) -> None:
        """Freeze or unfreeze the parameters; norms of a frozen group use and keep their running statistics."""
        for module in self.modules.values():
            module.requires_grad_(not frozen)
            for submodule in module.modules():
                if next(submodule.buffers(recurse=False), None) is not None:
                    submodule.train(not frozen)


def layer_groups(network: nn.Module) -> list[LayerGroup]:
    """Return the layer groups of a network from input to output.

    Every parameter is in exactly one group; the last group computes the outputs.
    """
    groups: list[LayerGroup] = []
    for name, module in _iter_layers("", network):
        if groups and all(p.ndim <= 1 for p in module.parameters()):
            groups[-1].modules[name] = module
        else:
            groups.append(LayerGroup({name: module}))
    return groups


def _iter_layers(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that have a state, descending into lists and classes named ...Network only."""
    is_container = isinstance(module, nn.Sequential | nn.ModuleList) or type(module).__name__.endswith("Network")
    if is_container and not module._parameters:
        for key, child in module.named_children():
            yield from _iter_layers(f"{name}.{key}" if name else key, child)
    elif module.state_dict():
        yield name, module


FEATURE_INDEX_ARRAYS = ("index", "matrix", "keep", "column", "code")
"""Arrays of preprocessing steps that determine which feature is which; the other arrays only scale."""

MAX_LISTED = 3
"""Maximum number of layers named in a line."""


@dataclass(frozen=True)
class PretrainedModel:
    """A registered version of a trained model.

    Attributes:
        model_name: its name in the registry.
        version: its version in the registry.
        digest: SHA-256 of the manifest of its training outputs.
        trained_model: the loaded model.
    """

    model_name: str
    version: int
    digest: str
    trained_model: TrainedModel

    @property
    def display_name(self) -> str:
        """Name and version, for messages."""
        return f"{self.model_name} version {self.version}"

    @property
    def metadata(self) -> dict[str, str | int]:
        """Name, version and digest as JSON values, stored with every model that is initialized from this one."""
        return {"model": self.model_name, "version": self.version, "digest": self.digest}


@dataclass(frozen=True)
class TransferReport:
    """The layers of a network that were initialized from a pretrained model, and those that were not.

    Attributes:
        transferred: from the input on.
        initialized: the remaining layers, with new weights.
    """

    transferred: list[LayerGroup]
    initialized: list[LayerGroup]

    @property
    def transferred_hidden(self) -> list[LayerGroup]:
        """The transferred layers without the network's last one."""
        return self.transferred if self.initialized else self.transferred[:-1]

    def __str__(self) -> str:
        n_layers = len(self.transferred) + len(self.initialized)
        return (
            f"{len(self.transferred)} of {n_layers} layers transferred ({_format_layer_names(self.transferred)});"
            f" newly initialized: {_format_layer_names(self.initialized)}"
        )


def load_matching_weights(
    pretrained: PretrainedModel,
    network: nn.Module,
    params: NetworkConfig,
    schema: Schema,
    pipeline: Pipeline,
    *,
    include_last: bool = True,
) -> TransferReport:
    """Copy weights and running statistics of `pretrained` into `network`, up to the first layer that differs.

    Args:
        pretrained: the source.
        network: the target, modified in place.
        params, schema, pipeline: those of `network`.
        include_last: whether the last layer may be copied too if both models predict the same classes or values.

    Raises:
        ParamsError: the models differ in more than sizes, use other features, or differ in the first layer already.
    """
    for problem in _incompatibilities(pretrained.trained_model, params, schema, pipeline):
        raise ParamsError(
            f"a network initialized from {pretrained.display_name} must have the same architecture and features, but"
            f" {problem} there; make them equal, or remove training.pretrained"
        )
    source_layers, layers = layer_groups(pretrained.trained_model.model.network), layer_groups(network)
    if not include_last or _target_description(pretrained.trained_model.schema) != _target_description(schema):
        source_layers = source_layers[:-1]
    pairs = list(
        takewhile(
            lambda pair: _tensor_shapes(pair[0]) == _tensor_shapes(pair[1]), zip(source_layers, layers, strict=False)
        )
    )
    if not pairs:
        there, here = (_tensor_shapes(groups[0]) if groups else [] for groups in (source_layers, layers))
        raise ParamsError(
            f"the first layer must have the same shapes as in {pretrained.display_name}, {_format_shapes(there)}, but"
            f" has {_format_shapes(here)}; change network or features accordingly, or remove training.pretrained"
        )
    with torch.no_grad():
        for source, target in pairs:
            for (_, value), (_, own) in zip(source.named_tensors(), target.named_tensors(), strict=True):
                own.copy_(value)
    return TransferReport(layers[: len(pairs)], layers[len(pairs) :])


def _incompatibilities(
    trained_model: TrainedModel, params: NetworkConfig, schema: Schema, pipeline: Pipeline
) -> Iterator[str]:
    """Yield what must be equal but differs; sizes are not compared, since the shapes of the layers are."""
    source_params, target_params = trained_model.network_config.model_dump(), params.model_dump()
    for key, value in target_params.items():
        if isinstance(value, str | bool) and key != "init" and source_params.get(key, value) != value:
            yield f"network.{key} is {value} here and {source_params[key]}"
    if trained_model.schema.kind != schema.kind:
        yield f"the data kind is {schema.kind} here and {trained_model.schema.kind}"
    elif schema.kind == "table" and trained_model.schema.features != schema.features:
        yield f"the columns are {_join_names(schema.features)} here and {_join_names(trained_model.schema.features)}"
    elif trained_model.schema.vocabulary != schema.vocabulary:
        here, there = len(schema.vocabulary), len(trained_model.schema.vocabulary)
        yield f"the vocabulary has {here} tokens here and {there} different ones"
    elif _feature_selection_arrays(trained_model.model.preprocess) != _feature_selection_arrays(Preprocess(pipeline)):
        yield "preprocessing and `select` leave other features than"


def _feature_selection_arrays(preprocess: Preprocess) -> list[tuple[str, list[float]]]:
    """Return the arrays that determine which feature is which, in the order of the steps."""
    named = ((*name.rpartition("_")[::2], value) for name, value in preprocess.state_dict().items())
    arrays = sorted((int(step), name, value.tolist()) for name, step, value in named if name in FEATURE_INDEX_ARRAYS)
    return [(name, value) for _, name, value in arrays]


def _target_description(schema: Schema) -> tuple[object, ...]:
    return schema.classes, schema.values, schema.extra_targets, schema.quantiles, schema.difference, schema.log_target


def _tensor_shapes(layer: LayerGroup) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(value.shape)) for name, value in layer.named_tensors()]


def _format_shapes(shapes: list[tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape)) or 1}" for name, shape in shapes) or "none"


def _format_layer_names(layers: list[LayerGroup]) -> str:
    return _join_names([layer.name for layer in layers])


def _join_names(names: tuple[str, ...] | list[str]) -> str:
    last = [f"... {names[-1]}"] if len(names) > MAX_LISTED else []
    return ", ".join([*names[: MAX_LISTED - len(last)], *last]) or "none"
