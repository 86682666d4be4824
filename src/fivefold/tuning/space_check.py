"""Every corner of a space must make a valid model: found out before the first trial."""

from collections.abc import Callable, Iterator
from itertools import combinations, product
from math import prod
from typing import Any

import numpy as np

from ..config.models import Model
from ..config.search import CategoricalRange, FloatRange, IntRange
from ..errors import ParamsError, format_value
from .space import ParamValues, SearchSpace

ModelCheck = Callable[[Model], None]

MAX_CORNERS = 4096
"""Corners up to which all are looked at; of more, those in which two keys leave params.yaml, and some drawn ones."""
N_SAMPLED_CORNERS = 1000


def validate_bounds(space: SearchSpace, check_model: ModelCheck = lambda _: None) -> int:
    """Make the model of each corner; return how many there were.

    refuse: raises a `ParamsError` for a model that cannot be searched though it is valid.

    Raises:
        ParamsError: one is not valid; names the values that make it so, as few as there are.
    """
    every = list(iter_corners(space))
    for values in every:
        try:
            check_model(space.build_model(values))
        except ParamsError as error:
            few, said = _minimal_invalid_values(space, values, str(error), check_model)
            each = ", ".join(f"{key}: {format_value(value)}" for key, value in few.items())
            key = f"search.{next(iter(few))}" if len(few) == 1 else "search"
            raise ParamsError(
                f"models.{space.name}.{key}: every corner must be a valid model, but with {each} it is none: {said}"
            ) from None
    return len(every)


def iter_corners(space: SearchSpace) -> Iterator[ParamValues]:
    """Yield the values of each corner, those that leave params.yaml in one key first."""
    ends = {key: _end_values(found) for key, found in space.ranges.items()}
    start = space.current_values() or {}
    middle = {key: start.get(key, values[0]) for key, values in ends.items()}
    for key, values in ends.items():
        yield from (_filter_active(space, middle | {key: value}) for value in values)
    if prod(len(values) for values in ends.values()) <= MAX_CORNERS:
        every = product(*ends.values())
        yield from (_filter_active(space, dict(zip(ends, values, strict=True))) for values in every)
        return
    for one, other in combinations(ends, 2):
        for pair in product(ends[one], ends[other]):
            yield _filter_active(space, middle | dict(zip((one, other), pair, strict=True)))
    rng = np.random.default_rng(0)
    for _ in range(N_SAMPLED_CORNERS):
        yield _filter_active(space, {key: values[rng.integers(len(values))] for key, values in ends.items()})


def _end_values(param_range: FloatRange | IntRange | CategoricalRange) -> list[Any]:
    if isinstance(param_range, CategoricalRange):
        return list(param_range.choices)
    return [param_range.low, param_range.high] if param_range.low < param_range.high else [param_range.low]


def _filter_active(space: SearchSpace, values: ParamValues) -> ParamValues:
    """Return the values whose conditions are met."""
    kept: ParamValues = {}
    for key in space.ranges:
        if space.is_active(key, kept):
            kept[key] = values[key]
    return kept


def _minimal_invalid_values(
    space: SearchSpace, values: ParamValues, message: str, check_model: ModelCheck
) -> tuple[ParamValues, str]:
    """Return the values without which a model would be valid, and what is said of them."""
    few = dict(values)
    for key in values:
        rest = {other: value for other, value in few.items() if other != key}
        try:
            check_model(space.build_model(rest))
        except ParamsError as error:
            few, message = rest, str(error)
    return few, message.removeprefix("params.yaml: ").removeprefix(f"models.{space.name}.")
