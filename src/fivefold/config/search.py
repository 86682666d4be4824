"""The blocks `search` and `study` of a model: which values a study tries, and how it goes about it.

`search` has the tree of the model's own block; where a value stands there, a range stands here:

    search:
      network:
        norm: {type: categorical, choices: [none, batch]}
        dropout: {type: float, low: 0.0, high: 0.5, when: {network.norm: none}}
      training:
        optimizer: {lr: {type: float, low: 0.0001, high: 0.03, log: true}}
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from ..errors import ParamsError, format_value
from .base import StrictModel

SEARCHABLE_BLOCKS = ("select", "network", "training")
"""Blocks of a model of which a study may try values."""

Scalar = str | int | float | bool | None

Conditions = Annotated[
    Mapping[str, Any],
    AfterValidator(MappingProxyType),
]
"""Dotted key of the model: value or list of values; tried only where the key has one of them."""


class FloatRange(StrictModel):
    """A number between two."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = Field(default=False, description="as often between 0.01 and 0.1 as between 0.1 and 1")
    step: float | None = Field(default=None, gt=0, description="distance of the values that are tried")
    when: Conditions = Field(default={}, validate_default=True)


class IntRange(StrictModel):
    """A whole number between two."""

    type: Literal["int"]
    low: int
    high: int
    log: bool = Field(default=False, description="as often between 10 and 100 as between 100 and 1000")
    step: int = Field(default=1, gt=0, description="distance of the values that are tried")
    when: Conditions = Field(default={}, validate_default=True)


class CategoricalRange(StrictModel):
    """One of several values, which may be lists and blocks."""

    type: Literal["categorical"]
    choices: tuple[Any, ...]
    when: Conditions = Field(default={}, validate_default=True)


Range = Annotated[FloatRange | IntRange | CategoricalRange, Field(discriminator="type")]

RANGE_ADAPTER: TypeAdapter[FloatRange | IntRange | CategoricalRange] = TypeAdapter(Range)
RANGE_KEYS = {"type", "low", "high", "choices"}
"""Keys by which a range is known from a block."""


class Study(StrictModel):
    """How a study goes about its search."""

    n_trials: int = Field(default=40, gt=0, description="in all; `--trials` says otherwise")
    folds: int = Field(
        default=5, ge=1, description="of the training and validation rows; 1: the dataset's own validation rows"
    )
    sampler: Literal["auto", "grid", "random", "qmc", "tpe", "gp", "cmaes", "nsga2"] = Field(
        default="auto", description="what chooses the next values; auto: by the rule in docs/studies.md"
    )
    objectives: tuple[Literal["score", "parameters", "latency"], ...] = Field(
        default=("score",),
        min_length=1,
        description="score: of the rows held out; parameters: weights of the network; latency: ms a row on a CPU",
    )
    metric: str = Field(default="auto", description="what the score is; auto: the leading metric of the task")
    pruner: Literal["auto", "median_then_wilcoxon", "median", "none"] = Field(
        default="auto",
        description="median: by epochs of the first fold; two_stage: then by a paired test over folds too; auto:"
        " two_stage, but none for several objectives, and for gp, which learns from complete trials alone",
    )

    @property
    def resolved_pruner(self) -> Literal["median_then_wilcoxon", "median", "none"]:
        """How trials are given up."""
        if len(self.objectives) > 1:
            return "none"
        if self.pruner == "auto":
            return "none" if self.sampler == "gp" else "median_then_wilcoxon"
        return self.pruner


def parse_ranges(tree: Mapping[str, Any], prefix: str = "") -> dict[str, FloatRange | IntRange | CategoricalRange]:
    """Return the ranges of a `search` block by dotted key, in its order.

    Raises:
        ParamsError: a range breaks a rule; begins with its dotted key.
    """
    return dict(_iter_ranges(tree, prefix))


def _iter_ranges(
    tree: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, FloatRange | IntRange | CategoricalRange]]:
    for name, inner in tree.items():
        key = f"{prefix}.{name}" if prefix else name
        if not prefix and name not in SEARCHABLE_BLOCKS:
            raise ParamsError(
                f"{key}: a study tries values of {', '.join(SEARCHABLE_BLOCKS)}, but not of {name}; take it out"
            )
        if not isinstance(inner, Mapping):
            raise ParamsError(
                f"{key}: must be a range with a `type`, but is {format_value(inner)}; see docs/studies.md"
            )
        if RANGE_KEYS & set(inner) and not isinstance(inner.get("type"), Mapping):
            yield key, _parse_range(key, inner)
        else:
            yield from _iter_ranges(inner, key)


def _parse_range(key: str, block: Mapping[str, Any]) -> FloatRange | IntRange | CategoricalRange:
    try:
        found = RANGE_ADAPTER.validate_python(_with_tuple_choices(block))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        inside = ".".join(str(part) for part in first["loc"][1:]) or "type"
        kinds = "float, int or categorical"
        said = (
            f"must be {kinds}" if first["type"].startswith("union_tag") else first["msg"][0].lower() + first["msg"][1:]
        )
        raise ParamsError(f"{key}.{inside}: {said}, but the range is {format_value(dict(block))}; mend it") from None
    for problem in _find_range_errors(found):
        raise ParamsError(f"{key}: {problem}")
    return found


def _with_tuple_choices(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block whose choices are a tuple, as the strict schema has them."""
    choices = block.get("choices")
    return {**block, "choices": tuple(choices)} if isinstance(choices, list) else dict(block)


def _find_range_errors(search_range: FloatRange | IntRange | CategoricalRange) -> Iterator[str]:
    if isinstance(search_range, CategoricalRange):
        if not search_range.choices:
            yield "choices must be one value or more, but are none; write some, or take the range out"
        texts = [repr(choice) for choice in search_range.choices]
        if len(set(texts)) < len(texts):
            twice = next(text for text in texts if texts.count(text) > 1)
            yield f"choices must differ, but {twice} stands there twice; take one out"
        return
    if search_range.high < search_range.low:
        yield f"high must be at least low, {search_range.low:g}, but is {search_range.high:g}; swap them"
    elif (
        search_range.low < search_range.high
        and search_range.step is not None
        and search_range.step > (search_range.high - search_range.low) * (1 + 1e-9)
    ):
        yield (
            f"step must be at most from low to high, {search_range.high - search_range.low:g}, but is {search_range.step:g}: nothing but low"
            " would be tried; lower it"
        )
    if search_range.log and search_range.low <= 0:
        yield f"low must be above 0 where log is true, but is {search_range.low:g}; raise it"
    if search_range.log and search_range.step not in (None, 1):
        yield f"step and log exclude each other, but step is {search_range.step:g}; leave one out"
