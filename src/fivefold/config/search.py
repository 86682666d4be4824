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

from ..errors import ParamsError, shown
from .base import Strict

SEARCHED = ("select", "network", "training")
"""Blocks of a model of which a study may try values."""

Scalar = str | int | float | bool | None

When = Annotated[
    Mapping[str, Any],
    AfterValidator(MappingProxyType),
]
"""Dotted key of the model: value or list of values; tried only where the key has one of them."""


class Float(Strict):
    """A number between two."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = Field(default=False, description="as often between 0.01 and 0.1 as between 0.1 and 1")
    step: float | None = Field(default=None, gt=0, description="distance of the values that are tried")
    when: When = Field(default={}, validate_default=True)


class Int(Strict):
    """A whole number between two."""

    type: Literal["int"]
    low: int
    high: int
    log: bool = Field(default=False, description="as often between 10 and 100 as between 100 and 1000")
    step: int = Field(default=1, gt=0, description="distance of the values that are tried")
    when: When = Field(default={}, validate_default=True)


class Categorical(Strict):
    """One of several values, which may be lists and blocks."""

    type: Literal["categorical"]
    choices: tuple[Any, ...]
    when: When = Field(default={}, validate_default=True)


Range = Annotated[Float | Int | Categorical, Field(discriminator="type")]

RANGE: TypeAdapter[Float | Int | Categorical] = TypeAdapter(Range)
MARKS = {"type", "low", "high", "choices"}
"""Keys by which a range is known from a block."""


class Study(Strict):
    """How a study goes about its search."""

    trials: int = Field(default=40, gt=0, description="in all; `--trials` says otherwise")
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
    prune: Literal["auto", "two_stage", "median", "none"] = Field(
        default="auto",
        description="median: by epochs of the first fold; two_stage: then by a paired test over folds too; auto:"
        " two_stage, but none for several objectives, and for gp, which learns from complete trials alone",
    )

    @property
    def pruning(self) -> Literal["two_stage", "median", "none"]:
        """How trials are given up."""
        if len(self.objectives) > 1:
            return "none"
        if self.prune == "auto":
            return "none" if self.sampler == "gp" else "two_stage"
        return self.prune


def ranges_of(tree: Mapping[str, Any], at: str = "") -> dict[str, Float | Int | Categorical]:
    """Return the ranges of a `search` block by dotted key, in its order.

    Raises:
        ParamsError: a range breaks a rule; begins with its dotted key.
    """
    return dict(_walk(tree, at))


def _walk(tree: Mapping[str, Any], at: str) -> Iterator[tuple[str, Float | Int | Categorical]]:
    for name, inner in tree.items():
        key = f"{at}.{name}" if at else name
        if not at and name not in SEARCHED:
            raise ParamsError(f"{key}: a study tries values of {', '.join(SEARCHED)}, but not of {name}; take it out")
        if not isinstance(inner, Mapping):
            raise ParamsError(f"{key}: must be a range with a `type`, but is {shown(inner)}; see docs/studies.md")
        if MARKS & set(inner) and not isinstance(inner.get("type"), Mapping):
            yield key, _range(key, inner)
        else:
            yield from _walk(inner, key)


def _range(key: str, block: Mapping[str, Any]) -> Float | Int | Categorical:
    try:
        found = RANGE.validate_python(_tuples(block))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        inside = ".".join(str(part) for part in first["loc"][1:]) or "type"
        kinds = "float, int or categorical"
        said = (
            f"must be {kinds}" if first["type"].startswith("union_tag") else first["msg"][0].lower() + first["msg"][1:]
        )
        raise ParamsError(f"{key}.{inside}: {said}, but the range is {shown(dict(block))}; mend it") from None
    for problem in _problems(found):
        raise ParamsError(f"{key}: {problem}")
    return found


def _tuples(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block whose choices are a tuple, as the strict schema has them."""
    choices = block.get("choices")
    return {**block, "choices": tuple(choices)} if isinstance(choices, list) else dict(block)


def _problems(found: Float | Int | Categorical) -> Iterator[str]:
    if isinstance(found, Categorical):
        if not found.choices:
            yield "choices must be one value or more, but are none; write some, or take the range out"
        texts = [repr(choice) for choice in found.choices]
        if len(set(texts)) < len(texts):
            twice = next(text for text in texts if texts.count(text) > 1)
            yield f"choices must differ, but {twice} stands there twice; take one out"
        return
    if found.high < found.low:
        yield f"high must be at least low, {found.low:g}, but is {found.high:g}; swap them"
    elif found.low < found.high and found.step is not None and found.step > (found.high - found.low) * (1 + 1e-9):
        yield (
            f"step must be at most from low to high, {found.high - found.low:g}, but is {found.step:g}: nothing but low"
            " would be tried; lower it"
        )
    if found.log and found.low <= 0:
        yield f"low must be above 0 where log is true, but is {found.low:g}; raise it"
    if found.log and found.step not in (None, 1):
        yield f"step and log exclude each other, but step is {found.step:g}; leave one out"
