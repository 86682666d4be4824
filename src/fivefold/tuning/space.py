"""The search space of a model, and the models that its values make.

Values are addressed by dotted keys of the model's block, for instance `network.dropout`.
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
    """Yield each dotted key of a tree with its value, blocks included."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        yield key, value
        if isinstance(value, Mapping):
            yield from iter_nested(value, f"{key}.")


def get_nested(tree: Any, key: str) -> Any:
    """Return the value at a dotted key of a tree, or None if there is none."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def set_nested(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set the value at a dotted key of a tree; missing blocks are created."""
    *blocks, last = key.split(".")
    for name in blocks:
        inner = tree.get(name)
        tree[name] = inner = inner if isinstance(inner, dict) else {}
        tree = inner
    tree[last] = value


def delete_nested(tree: dict[str, Any], key: str) -> None:
    """Delete a dotted key of a tree."""
    *blocks, last = key.split(".")
    for name in blocks:
        tree = tree[name]
    tree.pop(last, None)


ParamValues = dict[str, Any]
"""Dotted key of a model's block -> value in the notation of params.yaml."""

DISCRIMINATOR_KEYS = ("name", "method", "architecture", "family")
"""Keys that select the kind of a block, and thereby its other keys."""


@dataclass(frozen=True)
class SearchSpace:
    """The search space of model `name`.

    tree: params.yaml as it was read, with the `training` defaults merged into this model and the model it depends on.
    ranges: dotted key -> range; a key comes after those that its condition refers to.
    """

    name: str
    tree: dict[str, Any]
    ranges: Mapping[str, FloatRange | IntRange | CategoricalRange]

    @classmethod
    def read(cls, model_name: str, path: Path = paths.PARAMS) -> "SearchSpace":
        """Read the search space of a model from params.yaml.

        Raises:
            ParamsError: params.yaml breaks the schema, or a `when` condition cannot be met.
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
        """The model of params.yaml."""
        return self.build_model({})

    @property
    def study(self) -> Study:
        """The `study` block of the model."""
        return self.base_model.study

    @property
    def dataset(self) -> DatasetConfig:
        """The dataset of the model."""
        return self._params.dataset(self.base_model.dataset)

    @property
    def seed(self) -> int:
        """The seed of params.yaml."""
        return self._params.seed

    @cached_property
    def _params(self) -> Params:
        return parse_params(self.tree)

    def fixed_params(self) -> dict[str, Any]:
        """Return the values of the model that are not searched, by dotted key."""
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
        """Every value of the model's block, with defaults filled in, by dotted key."""
        return dict(iter_nested(self.base_model.model_dump(mode="json")))

    def current_values(self) -> ParamValues | None:
        """Return the searched values of params.yaml, or None if one of them is outside its range."""
        values: ParamValues = {}
        for key, param_range in self.ranges.items():
            if not self.is_active(key, values):
                continue
            if key not in self.defaults and not isinstance(param_range, CategoricalRange):
                return None
            value = get_nested(self.base_model.model_dump(mode="json"), key)
            if not contains_value(param_range, value):
                return None
            values[key] = value
        return values

    def initial_trials(self) -> list[ParamValues]:
        """Return the first trials, in Optuna's form: the values of params.yaml if they are inside the ranges."""
        current = self.current_values()
        return [] if current is None else [self.encode_values(current)]

    def is_active(self, key: str, values: ParamValues) -> bool:
        """Return whether the `when` condition of a key is met by the values of the keys before it."""
        return all(
            (parent not in self.ranges or parent in values)
            and self._lookup_value(parent, values) in (required if isinstance(required, list) else [required])
            for parent, required in self.ranges[key].when.items()
        )

    def suggest(self, trial: Trial) -> ParamValues:
        """Return the values that a trial suggests; values that the trial already has are reused."""
        values: ParamValues = {}
        for key, param_range in self.ranges.items():
            if self.is_active(key, values):
                values[key] = suggest_value(trial, key, param_range)
        return values

    def encode_values(self, values: ParamValues) -> ParamValues:
        """Return values in the form that Optuna stores."""
        return {
            key: encode_choice(value) if isinstance(self.ranges[key], CategoricalRange) else value
            for key, value in values.items()
        }

    def build_block(self, values: ParamValues) -> dict[str, Any]:
        """Return the model's block of params.yaml with `values` set.

        If a block changes its kind (name, method, architecture or family), keys that the new kind lacks are removed.

        Raises:
            ParamsError: the result breaks the schema.
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
        """Return the model with `values` set.

        Raises:
            ParamsError: the model breaks the schema or does not match its dataset.
        """
        return self._parse_model(self.build_block(values) if values else self.tree["models"][self.name])

    def _parse_model(self, block: dict[str, Any]) -> Model:
        return parse_params(self._params_tree(block)).models[self.name]

    def _params_tree(self, block: dict[str, Any]) -> dict[str, Any]:
        """Return params.yaml with another block for the model; it has every training key, so the defaults are empty."""
        return {**self.tree, "training": {}, "models": {**self.tree["models"], self.name: block}}

    def _is_other_kind(self, key: str, value: Any) -> bool:
        return key.rpartition(".")[2] in DISCRIMINATOR_KEYS and self.defaults.get(key) != value

    def _lookup_value(self, key: str, values: ParamValues) -> Any:
        return values[key] if key in values else self.defaults.get(key)

    def sort_ranges(self) -> dict[str, FloatRange | IntRange | CategoricalRange]:
        """Return the ranges in an order in which a key comes after those that its condition refers to.

        Raises:
            ParamsError: a condition cannot be met.
        """
        pending, ordered = dict(self.ranges), dict[str, FloatRange | IntRange | CategoricalRange]()
        while pending:
            ready = [key for key, param_range in pending.items() if not set(param_range.when) & set(pending)]
            if not ready:
                raise self._search_error(
                    next(iter(pending)), "has a cyclic `when` condition; remove one of the conditions"
                )
            for key in ready:
                self._validate_condition(key)
                ordered[key] = pending.pop(key)
        return ordered

    def _validate_condition(self, key: str) -> None:
        """Raise a `ParamsError` if the condition of a key cannot be met."""
        for parent, required in self.ranges[key].when.items():
            if parent not in self.ranges and parent not in self.defaults:
                raise self._search_error(key, f"when: {parent} must be a key of the model, but is not; fix the name")
            options = required if isinstance(required, list) else [required]
            if parent in self.ranges:
                if not any(contains_value(self.ranges[parent], value) for value in options):
                    raise self._search_error(
                        key,
                        f"when: {parent} must be {format_value(required)}, which is not in its own range; change one of"
                        " them",
                    )
            elif self.defaults[parent] not in options:
                raise self._search_error(
                    key,
                    f"when: {parent} must be {format_value(required)}, but is always"
                    f" {format_value(self.defaults[parent])}; add a range for it or remove this key",
                )

    def _search_error(self, key: str, problem: str) -> ParamsError:
        return ParamsError(f"models.{self.name}.search.{key}: {problem}")
