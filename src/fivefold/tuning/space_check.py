"""Validation of a search space at its bounds, before the first trial."""

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
"""Up to this number, all combinations of bounds are checked; of more, all pairs of keys and a random sample."""
N_SAMPLED_CORNERS = 1000
"""Combinations in this sample."""


def validate_bounds(space: SearchSpace, check_model: ModelCheck = lambda _: None) -> int:
    """Build the model of each combination of range bounds; return the number of combinations.

    check_model: raises a `ParamsError` for a valid model that cannot be searched.

    Raises:
        ParamsError: a combination is invalid; names a minimal set of values that makes it so.
    """
    corners = list(iter_corners(space))
    for values in corners:
        try:
            check_model(space.build_model(values))
        except ParamsError as error:
            minimal, message = _minimal_invalid_values(space, values, str(error), check_model)
            named = ", ".join(f"{key}: {format_value(value)}" for key, value in minimal.items())
            key = f"search.{next(iter(minimal))}" if len(minimal) == 1 else "search"
            raise ParamsError(
                f"models.{space.name}.{key}: every combination of range bounds must be a valid model, but"
                f" {named} is not: {message}"
            ) from None
    return len(corners)


def iter_corners(space: SearchSpace) -> Iterator[ParamValues]:
    """Yield combinations of range bounds, first those that differ from params.yaml in one key."""
    bounds = {key: _end_values(param_range) for key, param_range in space.ranges.items()}
    current = space.current_values() or {}
    base = {key: current.get(key, values[0]) for key, values in bounds.items()}
    for key, values in bounds.items():
        yield from (_filter_active(space, base | {key: value}) for value in values)
    if prod(len(values) for values in bounds.values()) <= MAX_CORNERS:
        yield from (
            _filter_active(space, dict(zip(bounds, values, strict=True))) for values in product(*bounds.values())
        )
        return
    for first, second in combinations(bounds, 2):
        for pair in product(bounds[first], bounds[second]):
            yield _filter_active(space, base | dict(zip((first, second), pair, strict=True)))
    rng = np.random.default_rng(0)
    for _ in range(N_SAMPLED_CORNERS):
        yield _filter_active(space, {key: values[rng.integers(len(values))] for key, values in bounds.items()})


def _end_values(param_range: FloatRange | IntRange | CategoricalRange) -> list[Any]:
    if isinstance(param_range, CategoricalRange):
        return list(param_range.choices)
    return [param_range.low, param_range.high] if param_range.low < param_range.high else [param_range.low]


def _filter_active(space: SearchSpace, values: ParamValues) -> ParamValues:
    """Return the values of active keys."""
    active: ParamValues = {}
    for key in space.ranges:
        if space.is_active(key, active):
            active[key] = values[key]
    return active


def _minimal_invalid_values(
    space: SearchSpace, values: ParamValues, message: str, check_model: ModelCheck
) -> tuple[ParamValues, str]:
    """Return a minimal subset of the values that is still invalid, and its error message without the prefix."""
    minimal = dict(values)
    for key in values:
        remaining = {other: value for other, value in minimal.items() if other != key}
        try:
            check_model(space.build_model(remaining))
        except ParamsError as error:
            minimal, message = remaining, str(error)
    return minimal, message.removeprefix("params.yaml: ").removeprefix(f"models.{space.name}.")
