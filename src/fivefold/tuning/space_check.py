"""Every corner of a space must make a valid model: found out before the first trial."""

from collections.abc import Callable, Iterator
from itertools import combinations, product
from math import prod
from typing import Any

import numpy as np

from ..config.models import Model
from ..config.search import Categorical, Float, Int
from ..errors import ParamsError, shown
from .space import Space, Values

Refuse = Callable[[Model], None]

MOST = 4096
"""Corners up to which all are looked at; of more, those in which two keys leave params.yaml, and some drawn ones."""
DRAWN = 1000


def check_corners(space: Space, refuse: Refuse = lambda _: None) -> int:
    """Make the model of each corner; return how many there were.

    refuse: raises a `ParamsError` for a model that cannot be searched though it is valid.

    Raises:
        ParamsError: one is not valid; names the values that make it so, as few as there are.
    """
    every = list(corners(space))
    for values in every:
        try:
            refuse(space.model(values))
        except ParamsError as error:
            few, said = _fewest(space, values, str(error), refuse)
            each = ", ".join(f"{key}: {shown(value)}" for key, value in few.items())
            key = f"search.{next(iter(few))}" if len(few) == 1 else "search"
            raise ParamsError(
                f"models.{space.name}.{key}: every corner must be a valid model, but with {each} it is none: {said}"
            ) from None
    return len(every)


def corners(space: Space) -> Iterator[Values]:
    """Yield the values of each corner, those that leave params.yaml in one key first."""
    ends = {key: _ends(found) for key, found in space.ranges.items()}
    start = space.current() or {}
    middle = {key: start.get(key, values[0]) for key, values in ends.items()}
    for key, values in ends.items():
        yield from (_active(space, middle | {key: value}) for value in values)
    if prod(len(values) for values in ends.values()) <= MOST:
        every = product(*ends.values())
        yield from (_active(space, dict(zip(ends, values, strict=True))) for values in every)
        return
    for one, other in combinations(ends, 2):
        for pair in product(ends[one], ends[other]):
            yield _active(space, middle | dict(zip((one, other), pair, strict=True)))
    rng = np.random.default_rng(0)
    for _ in range(DRAWN):
        yield _active(space, {key: values[rng.integers(len(values))] for key, values in ends.items()})


def _ends(found: Float | Int | Categorical) -> list[Any]:
    if isinstance(found, Categorical):
        return list(found.choices)
    return [found.low, found.high] if found.low < found.high else [found.low]


def _active(space: Space, values: Values) -> Values:
    """Return the values whose conditions are met."""
    kept: Values = {}
    for key in space.ranges:
        if space.active(key, kept):
            kept[key] = values[key]
    return kept


def _fewest(space: Space, values: Values, said: str, refuse: Refuse) -> tuple[Values, str]:
    """Return the values without which a model would be valid, and what is said of them."""
    few = dict(values)
    for key in values:
        rest = {other: value for other, value in few.items() if other != key}
        try:
            refuse(space.model(rest))
        except ParamsError as error:
            few, said = rest, str(error)
    return few, said.removeprefix("params.yaml: ").removeprefix(f"models.{space.name}.")
