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
from ..config.datasets import Dataset
from ..config.loading import parse, read_tree, unknown_keys, with_inherited_training
from ..config.models import Model
from ..config.schema import Params
from ..config.search import Categorical, Float, Int, Study, ranges_of
from ..errors import ParamsError, shown
from .distributions import encoded, holds, suggested


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what stands at each dotted key of a tree, blocks too."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        yield key, value
        if isinstance(value, Mapping):
            yield from flat(value, f"{key}.")


def at(tree: Any, key: str) -> Any:
    """Return what stands at a dotted key of a tree; None for nothing."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key of a tree; blocks that are missing are made."""
    *blocks, last = key.split(".")
    for name in blocks:
        inner = tree.get(name)
        tree[name] = inner = inner if isinstance(inner, dict) else {}
        tree = inner
    tree[last] = value


def drop(tree: dict[str, Any], key: str) -> None:
    """Take a dotted key out of a tree."""
    *blocks, last = key.split(".")
    for name in blocks:
        tree = tree[name]
    tree.pop(last, None)


Values = dict[str, Any]
"""Dotted key of a model's block -> value, as params.yaml would have it."""

TAGS = ("name", "method", "design", "family")
"""Keys that say which kind of block it is, and so which other keys it has."""


@dataclass(frozen=True)
class Space:
    """What a study may try of model `name`.

    tree: params.yaml as it was read, each model's `training` laid over the base, of this model and those it uses.
    ranges: dotted key -> range; a key stands behind those that it depends on.
    """

    name: str
    tree: dict[str, Any]
    ranges: Mapping[str, Float | Int | Categorical]

    @classmethod
    def read(cls, name: str, path: Path = paths.PARAMS) -> "Space":
        """Read the space of a model from params.yaml.

        Raises:
            ParamsError: params.yaml breaks the schema, the model has no `search`, or a condition cannot be met.
        """
        params = parse(read_tree(path), path)
        model = params.model(name)
        full = with_inherited_training(read_tree(path))
        names = [other for other in (name, model.lender) if other]
        datasets = {each: full["datasets"][each] for each in {params.models[other].dataset for other in names}}
        tree = {**full, "datasets": datasets, "models": {other: full["models"][other] for other in names}}
        space = cls(name, tree, ranges_of(model.search))
        return cls(name, tree, space.ordered())

    @cached_property
    def base(self) -> Model:
        """The model as params.yaml has it."""
        return self.model({})

    @property
    def study(self) -> Study:
        """How it is to be searched."""
        return self.base.study

    @property
    def dataset(self) -> Dataset:
        """The dataset of the model."""
        return self._params.dataset(self.base.dataset)

    @property
    def seed(self) -> int:
        """What every random choice follows from."""
        return self._params.seed

    @cached_property
    def _params(self) -> Params:
        return parse(self.tree)

    def fixed(self) -> dict[str, Any]:
        """Return what a study does not try of the model: every other value of its block, by dotted key."""
        blocks = {key.rpartition(".")[0] for key in self.ranges if key.rpartition(".")[2] in TAGS}
        return {
            key: value
            for key, value in self.defaults.items()
            if key not in self.ranges
            and not isinstance(value, dict)
            and not any(key.startswith(f"{other}.") for other in (*blocks, *self.ranges))
        }

    @cached_property
    def defaults(self) -> Values:
        """Every value of the model's block as params.yaml has it, with what it leaves to defaults, by dotted key."""
        return dict(flat(self.base.model_dump(mode="json")))

    def current(self) -> Values | None:
        """Return the values that params.yaml has now; None if a range does not hold one of them."""
        values: Values = {}
        for key, found in self.ranges.items():
            if not self.active(key, values):
                continue
            if key not in self.defaults and not isinstance(found, Categorical):
                return None
            value = at(self.base.model_dump(mode="json"), key)
            if not holds(found, value):
                return None
            values[key] = value
        return values

    def first(self) -> list[Values]:
        """Return what a first trial is to try, as Optuna keeps it: what params.yaml has now, if the ranges hold it."""
        current = self.current()
        return [] if current is None else [self.stored(current)]

    def active(self, key: str, values: Values) -> bool:
        """Return whether a key is tried beside `values` of those before it."""
        return all(
            (parent not in self.ranges or parent in values)
            and self._value(parent, values) in (wanted if isinstance(wanted, list) else [wanted])
            for parent, wanted in self.ranges[key].when.items()
        )

    def suggest(self, trial: Trial) -> Values:
        """Return the values that a trial is to try; those that it has already stay."""
        values: Values = {}
        for key, found in self.ranges.items():
            if self.active(key, values):
                values[key] = suggested(trial, key, found)
        return values

    def stored(self, values: Values) -> Values:
        """Return values as Optuna keeps them."""
        return {
            key: encoded(value) if isinstance(self.ranges[key], Categorical) else value for key, value in values.items()
        }

    def block(self, values: Values) -> dict[str, Any]:
        """Return the model's block of params.yaml with `values` in it.

        A block that becomes another kind, by its name, method, design or family, loses the keys that this kind has not.

        Raises:
            ParamsError: it breaks the schema.
        """
        block: dict[str, Any] = json.loads(json.dumps(self.tree["models"][self.name]))
        for key, value in sorted(values.items(), key=lambda item: item[0].rpartition(".")[2] not in TAGS):
            put(block, key, value)
        changed = {key.rpartition(".")[0] for key, value in values.items() if self._is_other_kind(key, value)}
        if changed:
            for unknown in unknown_keys(self._tree(block)):
                key = unknown.removeprefix(f"models.{self.name}.")
                if key.rpartition(".")[0] in changed and key not in values:
                    drop(block, key)
        return block

    def model(self, values: Values) -> Model:
        """Return the model that `values` make.

        Raises:
            ParamsError: it breaks the schema, or does not go with its dataset.
        """
        return self._parsed(self.block(values) if values else self.tree["models"][self.name])

    def _parsed(self, block: dict[str, Any]) -> Model:
        return parse(self._tree(block)).models[self.name]

    def _tree(self, block: dict[str, Any]) -> dict[str, Any]:
        """Return params.yaml with another block for the model; its training is whole, so that there is no base."""
        return {**self.tree, "training": {}, "models": {**self.tree["models"], self.name: block}}

    def _is_other_kind(self, key: str, value: Any) -> bool:
        return key.rpartition(".")[2] in TAGS and self.defaults.get(key) != value

    def _value(self, key: str, values: Values) -> Any:
        return values[key] if key in values else self.defaults.get(key)

    def ordered(self) -> dict[str, Float | Int | Categorical]:
        """Return the ranges in an order in which what a key depends on stands before it.

        Raises:
            ParamsError: a condition cannot be met.
        """
        waiting, done = dict(self.ranges), dict[str, Float | Int | Categorical]()
        while waiting:
            ready = [key for key, found in waiting.items() if not set(found.when) & set(waiting)]
            if not ready:
                raise ParamsError(
                    self._said(next(iter(waiting)), "depends on itself by way of `when`; break the circle")
                )
            for key in ready:
                self._possible(key)
                done[key] = waiting.pop(key)
        return done

    def _possible(self, key: str) -> None:
        """Refuse a condition that cannot be met."""
        for parent, wanted in self.ranges[key].when.items():
            if parent not in self.ranges and parent not in self.defaults:
                raise ParamsError(self._said(key, f"when: {parent} is no key of the model; mend it"))
            options = wanted if isinstance(wanted, list) else [wanted]
            if parent in self.ranges:
                if not any(holds(self.ranges[parent], value) for value in options):
                    raise ParamsError(
                        self._said(key, f"when: {parent} is never {shown(wanted)} in its own range; mend one of them")
                    )
            elif self.defaults[parent] not in options:
                raise ParamsError(
                    self._said(
                        key,
                        f"when: {parent} must be {shown(wanted)}, but is always {shown(self.defaults[parent])}; give it"
                        " a range, or take the key out",
                    )
                )

    def _said(self, key: str, problem: str) -> str:
        return f"models.{self.name}.search.{key}: {problem}"
