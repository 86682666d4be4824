"""The values that a study may try of a model, and the model that some of them make.

Trees of plain values by dotted key: network.dropout.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from optuna import Trial

from .. import paths
from ..config.datasets import DatasetConfig
from ..config.loading import apply_training_defaults, find_unknown_keys, parse_params, read_yaml
from ..config.models import Model
from ..config.schema import Params
from ..config.search import CategoricalRange, FloatRange, IntRange, Study, parse_ranges
from ..errors import ParamsError, format_value
from .distributions import contains_value, encode_choice, suggest_value


def iter_nested(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what stands at each dotted key of a tree, blocks too."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        yield key, value
        if isinstance(value, Mapping):
            yield from iter_nested(value, f"{key}.")


def get_nested(tree: Any, key: str) -> Any:
    """Return what stands at a dotted key of a tree; None for nothing."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def set_nested(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key of a tree; blocks that are missing are made."""
    *blocks, last = key.split(".")
    for name in blocks:
        inner = tree.get(name)
        tree[name] = inner = inner if isinstance(inner, dict) else {}
        tree = inner
    tree[last] = value


def delete_nested(tree: dict[str, Any], key: str) -> None:
    """Take a dotted key out of a tree."""
    *blocks, last = key.split(".")
    for name in blocks:
        tree = tree[name]
    tree.pop(last, None)


ParamValues = dict[str, Any]
"""Dotted key of a model's block -> value, as params.yaml would have it."""

DISCRIMINATOR_KEYS = ("name", "method", "architecture", "family")
"""Keys that say which kind of block it is, and so which other keys it has."""


@dataclass(frozen=True)
class SearchSpace:
    """What a study may try of model `name`.

    tree: params.yaml as it was read, each model's `training` laid over the base, of this model and those it uses.
    ranges: dotted key -> range; a key stands behind those that it depends on.
    """

    name: str
    tree: dict[str, Any]
    ranges: Mapping[str, FloatRange | IntRange | CategoricalRange]

    @classmethod
    def read(cls, model_name: str, path: Path = paths.PARAMS) -> "SearchSpace":
        """Read the space of a model from params.yaml.

        Raises:
            ParamsError: params.yaml breaks the schema, the model has no `search`, or a condition cannot be met.
        """
        params = parse_params(read_yaml(path), path)
        model = params.model(model_name)
        full = apply_training_defaults(read_yaml(path))
        names = [other for other in (model_name, model.source_model) if other]
        datasets = {each: full["datasets"][each] for each in {params.models[other].dataset for other in names}}
        tree = {**full, "datasets": datasets, "models": {other: full["models"][other] for other in names}}
        space = cls(model_name, tree, parse_ranges(model.search))
        return cls(model_name, tree, space.sort_ranges())

    @cached_property
    def base_model(self) -> Model:
        """The model as params.yaml has it."""
        return self.build_model({})

    @property
    def study(self) -> Study:
        """How it is to be searched."""
        return self.base_model.study

    @property
    def dataset(self) -> DatasetConfig:
        """The dataset of the model."""
        return self._params.dataset(self.base_model.dataset)

    @property
    def seed(self) -> int:
        """What every random choice follows from."""
        return self._params.seed

    @cached_property
    def _params(self) -> Params:
        return parse_params(self.tree)

    def fixed_params(self) -> dict[str, Any]:
        """Return what a study does not try of the model: every other value of its block, by dotted key."""
        blocks = {key.rpartition(".")[0] for key in self.ranges if key.rpartition(".")[2] in DISCRIMINATOR_KEYS}
        return {
            key: value
            for key, value in self.defaults.items()
            if key not in self.ranges
            and not isinstance(value, dict)
            and not any(key.startswith(f"{other}.") for other in (*blocks, *self.ranges))
        }

    @cached_property
    def defaults(self) -> ParamValues:
        """Every value of the model's block as params.yaml has it, with what it leaves to defaults, by dotted key."""
        return dict(iter_nested(self.base_model.model_dump(mode="json")))

    def current_values(self) -> ParamValues | None:
        """Return the values that params.yaml has now; None if a range does not hold one of them."""
        values: ParamValues = {}
        for key, found in self.ranges.items():
            if not self.is_active(key, values):
                continue
            if key not in self.defaults and not isinstance(found, CategoricalRange):
                return None
            value = get_nested(self.base_model.model_dump(mode="json"), key)
            if not contains_value(found, value):
                return None
            values[key] = value
        return values

    def initial_trials(self) -> list[ParamValues]:
        """Return what a first trial is to try, as Optuna keeps it: what params.yaml has now, if the ranges hold it."""
        current = self.current_values()
        return [] if current is None else [self.encode_values(current)]

    def is_active(self, key: str, values: ParamValues) -> bool:
        """Return whether a key is tried beside `values` of those before it."""
        return all(
            (parent not in self.ranges or parent in values)
            and self._lookup_value(parent, values) in (wanted if isinstance(wanted, list) else [wanted])
            for parent, wanted in self.ranges[key].when.items()
        )

    def suggest(self, trial: Trial) -> ParamValues:
        """Return the values that a trial is to try; those that it has already stay."""
        values: ParamValues = {}
        for key, found in self.ranges.items():
            if self.is_active(key, values):
                values[key] = suggest_value(trial, key, found)
        return values

    def encode_values(self, values: ParamValues) -> ParamValues:
        """Return values as Optuna keeps them."""
        return {
            key: encode_choice(value) if isinstance(self.ranges[key], CategoricalRange) else value
            for key, value in values.items()
        }

    def build_block(self, values: ParamValues) -> dict[str, Any]:
        """Return the model's block of params.yaml with `values` in it.

        A block that becomes another kind, by its name, method, design or family, loses the keys that this kind has not.

        Raises:
            ParamsError: it breaks the schema.
        """
        block: dict[str, Any] = json.loads(json.dumps(self.tree["models"][self.name]))
        for key, value in sorted(values.items(), key=lambda item: item[0].rpartition(".")[2] not in DISCRIMINATOR_KEYS):
            set_nested(block, key, value)
        changed = {key.rpartition(".")[0] for key, value in values.items() if self._is_other_kind(key, value)}
        if changed:
            for unknown in find_unknown_keys(self._params_tree(block)):
                key = unknown.removeprefix(f"models.{self.name}.")
                if key.rpartition(".")[0] in changed and key not in values:
                    delete_nested(block, key)
        return block

    def build_model(self, values: ParamValues) -> Model:
        """Return the model that `values` make.

        Raises:
            ParamsError: it breaks the schema, or does not go with its dataset.
        """
        return self._parse_model(self.build_block(values) if values else self.tree["models"][self.name])

    def _parse_model(self, block: dict[str, Any]) -> Model:
        return parse_params(self._params_tree(block)).models[self.name]

    def _params_tree(self, block: dict[str, Any]) -> dict[str, Any]:
        """Return params.yaml with another block for the model; its training is whole, so that there is no base."""
        return {**self.tree, "training": {}, "models": {**self.tree["models"], self.name: block}}

    def _is_other_kind(self, key: str, value: Any) -> bool:
        return key.rpartition(".")[2] in DISCRIMINATOR_KEYS and self.defaults.get(key) != value

    def _lookup_value(self, key: str, values: ParamValues) -> Any:
        return values[key] if key in values else self.defaults.get(key)

    def sort_ranges(self) -> dict[str, FloatRange | IntRange | CategoricalRange]:
        """Return the ranges in an order in which what a key depends on stands before it.

        Raises:
            ParamsError: a condition cannot be met.
        """
        waiting, done = dict(self.ranges), dict[str, FloatRange | IntRange | CategoricalRange]()
        while waiting:
            ready = [key for key, found in waiting.items() if not set(found.when) & set(waiting)]
            if not ready:
                raise ParamsError(
                    self._error_message(next(iter(waiting)), "depends on itself by way of `when`; break the circle")
                )
            for key in ready:
                self._validate_condition(key)
                done[key] = waiting.pop(key)
        return done

    def _validate_condition(self, key: str) -> None:
        """Refuse a condition that cannot be met."""
        for parent, wanted in self.ranges[key].when.items():
            if parent not in self.ranges and parent not in self.defaults:
                raise ParamsError(self._error_message(key, f"when: {parent} is no key of the model; mend it"))
            options = wanted if isinstance(wanted, list) else [wanted]
            if parent in self.ranges:
                if not any(contains_value(self.ranges[parent], value) for value in options):
                    raise ParamsError(
                        self._error_message(
                            key, f"when: {parent} is never {format_value(wanted)} in its own range; mend one of them"
                        )
                    )
            elif self.defaults[parent] not in options:
                raise ParamsError(
                    self._error_message(
                        key,
                        f"when: {parent} must be {format_value(wanted)}, but is always {format_value(self.defaults[parent])}; give it"
                        " a range, or take the key out",
                    )
                )

    def _error_message(self, key: str, problem: str) -> str:
        return f"models.{self.name}.search.{key}: {problem}"
