"""The blocks `search` and `study` of a model: search space and settings of hyperparameter optimization.

`search` is nested like the model's own block, with ranges in place of values:

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
"""Blocks of a model that a study can search."""

Scalar = str | int | float | bool | None

Conditions = Annotated[
    Mapping[str, Any],
    AfterValidator(MappingProxyType),
]
"""Conditions by dotted key of the model: a value or a list of values that activate the parameter."""


class FloatRange(StrictModel):
    """Range of floats."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = Field(default=False, description="sample on a logarithmic scale")
    step: float | None = Field(default=None, gt=0, description="step between values")
    when: Conditions = Field(default={}, validate_default=True)


class IntRange(StrictModel):
    """Range of integers."""

    type: Literal["int"]
    low: int
    high: int
    log: bool = Field(default=False, description="sample on a logarithmic scale")
    step: int = Field(default=1, gt=0, description="step between values")
    when: Conditions = Field(default={}, validate_default=True)


class CategoricalRange(StrictModel):
    """List of choices, which can be lists and blocks."""

    type: Literal["categorical"]
    choices: tuple[Any, ...]
    when: Conditions = Field(default={}, validate_default=True)


Range = Annotated[FloatRange | IntRange | CategoricalRange, Field(discriminator="type")]

RANGE_ADAPTER: TypeAdapter[FloatRange | IntRange | CategoricalRange] = TypeAdapter(Range)
RANGE_KEYS = {"type", "low", "high", "choices"}
"""Keys that distinguish a range from a nested block."""


class Study(StrictModel):
    """Settings of a study."""

    n_trials: int = Field(default=40, gt=0, description="total number of trials; overridden by `--trials`")
    folds: int = Field(
        default=5,
        ge=1,
        description="cross-validation folds of the training and validation rows; 1: use the validation split",
    )
    sampler: Literal["auto", "grid", "random", "qmc", "tpe", "gp", "cmaes", "nsga2"] = Field(
        default="auto", description="sampler; auto: selected by the rule in docs/studies.md"
    )
    objectives: tuple[Literal["score", "parameters", "latency"], ...] = Field(
        default=("score",),
        min_length=1,
        description="score: metric on held-out rows; parameters: number of weights; latency: milliseconds per row on"
        " a CPU",
    )
    metric: str = Field(default="auto", description="metric used as score; auto: the main metric of the task")
    pruner: Literal["auto", "median_then_wilcoxon", "median", "none"] = Field(
        default="auto",
        description="median: on epochs of the first fold; median_then_wilcoxon: additionally a paired test over folds;"
        " auto: median_then_wilcoxon, but none with several objectives or with gp, which uses complete trials only",
    )

    @property
    def resolved_pruner(self) -> Literal["median_then_wilcoxon", "median", "none"]:
        """Pruner to use, with `auto` resolved."""
        if len(self.objectives) > 1:
            return "none"
        if self.pruner == "auto":
            return "none" if self.sampler == "gp" else "median_then_wilcoxon"
        return self.pruner


def parse_ranges(tree: Mapping[str, Any], prefix: str = "") -> dict[str, FloatRange | IntRange | CategoricalRange]:
    """Return the ranges of a `search` block by dotted key, in order.

    Raises:
        ParamsError: a range is invalid; the message starts with its dotted key.
    """
    return dict(_iter_ranges(tree, prefix))


def _iter_ranges(
    tree: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, FloatRange | IntRange | CategoricalRange]]:
    for name, inner in tree.items():
        key = f"{prefix}.{name}" if prefix else name
        if not prefix and name not in SEARCHABLE_BLOCKS:
            raise ParamsError(f"{key}: a study searches {', '.join(SEARCHABLE_BLOCKS)}, but not {name}; remove it")
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
        search_range = RANGE_ADAPTER.validate_python(_with_tuple_choices(block))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        inside = ".".join(str(key) for key in first["loc"][1:]) or "type"
        kinds = "float, int or categorical"
        rule = (
            f"must be {kinds}" if first["type"].startswith("union_tag") else first["msg"][0].lower() + first["msg"][1:]
        )
        raise ParamsError(f"{key}.{inside}: {rule}, but the range is {format_value(dict(block))}; fix it") from None
    for problem in _find_range_errors(search_range):
        raise ParamsError(f"{key}: {problem}")
    return search_range


def _with_tuple_choices(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block with `choices` as a tuple, which the strict schema requires."""
    choices = block.get("choices")
    return {**block, "choices": tuple(choices)} if isinstance(choices, list) else dict(block)


def _find_range_errors(search_range: FloatRange | IntRange | CategoricalRange) -> Iterator[str]:
    if isinstance(search_range, CategoricalRange):
        if not search_range.choices:
            yield "choices must contain at least one value, but are empty; add values, or remove the range"
        texts = [repr(choice) for choice in search_range.choices]
        if len(set(texts)) < len(texts):
            duplicate = next(text for text in texts if texts.count(text) > 1)
            yield f"choices must be unique, but {duplicate} occurs twice; remove one"
        return
    if search_range.high < search_range.low:
        yield f"high must be at least low, {search_range.low:g}, but is {search_range.high:g}; swap them"
    elif (
        search_range.low < search_range.high
        and search_range.step is not None
        and search_range.step > (search_range.high - search_range.low) * (1 + 1e-9)
    ):
        yield (
            f"step must be at most high - low, {search_range.high - search_range.low:g}, but is"
            f" {search_range.step:g}, which leaves a single value; lower it"
        )
    if search_range.log and search_range.low <= 0:
        yield f"low must be greater than 0 if log is true, but is {search_range.low:g}; raise it"
    if search_range.log and search_range.step not in (None, 1):
        yield f"step and log cannot be combined, but step is {search_range.step:g}; remove one of them"
