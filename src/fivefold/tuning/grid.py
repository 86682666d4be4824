"""The points of a space that has few of them: those that a grid tries, and those that no other sampler tries twice.

A training of the same values gives the same score, so that to try a point again tells nothing.
"""

import itertools
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from ..config.search import Categorical, Float, Int
from ..errors import ParamsError
from .space import Space, Values

Mark = frozenset[tuple[str, str]]
"""Keys and values of a point, by which it is known again."""
Points = Mapping[Mark, Values]
"""Points as Optuna keeps them."""

MOST = 10_000
"""Points at most that are looked at one by one."""
STEPS = 5
"""Values that a grid takes of a range of numbers without steps."""


def points_of(space: Space, *, grid: bool) -> Points | None:
    """Return every point of a space; None of one that has too many. Of points that differ in what is not tried, one.

    grid: take `STEPS` values of a range without steps.

    Raises:
        ParamsError: a grid has too many.
    """
    axes = {key: taken(found) if grid else whole(found) for key, found in space.ranges.items()}
    size = prod(len(values) if values is not None else MOST + 1 for values in axes.values())
    if size > MOST and grid:
        raise ParamsError(
            f"models.{space.name}.search: a grid has at most {MOST} points, but this one {size}; say a step, or choose"
            " another sampler"
        )
    if size > MOST:
        return None
    points = dict[Mark, Values]()
    for point in itertools.product(*(values or () for values in axes.values())):
        values: Values = {}
        for key, value in zip(axes, point, strict=True):
            if space.active(key, values):
                values[key] = value
        stored = space.stored(values)
        points.setdefault(mark(stored), stored)
    return points


def whole(found: Float | Int | Categorical) -> list[Any] | None:
    """Return every value of a range, of too many the first ones; None if there are endless ones."""
    match found:
        case Categorical():
            return list(found.choices)
        case Int():
            return list(range(found.low, found.high + 1, found.step)[: MOST + 1])
        case Float(step=float() as step):
            steps = min(int((found.high - found.low) / step + 1e-9), MOST)
            return [found.low + i * step for i in range(steps + 1)]
    return [found.low] if found.low == found.high else None


def taken(found: Float | Int | Categorical) -> list[Any]:
    """Return the values that a grid takes of a range: all that it has, or of one without steps a few."""
    every = whole(found)
    if every is not None and (not _stepless(found) or len(every) <= STEPS):
        return every
    assert not isinstance(found, Categorical)
    spread = np.geomspace if found.log else np.linspace
    values = spread(found.low, found.high, STEPS).tolist()
    return sorted({round(value) for value in values}) if isinstance(found, Int) else values


def _stepless(found: Float | Int | Categorical) -> bool:
    """Return whether a range is of numbers without steps: of whole ones, whether nobody said `step`."""
    return not isinstance(found, Categorical) and "step" not in found.model_fields_set


def grid_line(space: Space, points: int) -> str:
    """Return what a person is told of a grid: how many points it has, and what it takes of ranges without steps."""
    few = {key: taken(found) for key, found in space.ranges.items() if taken(found) != whole(found)}
    said = [f"{key} takes {', '.join(f'{value:.4g}' for value in values)}" for key, values in few.items()]
    return "; ".join([f"grid of {points} points", *said, *(["say `step` in a range for others"] if said else [])])


def mark(values: Values) -> Mark:
    """Return by what a point is known again: numbers but for the noise of a sum of steps."""
    return frozenset(
        (key, f"{value:.12g}" if isinstance(value, float) else repr(value)) for key, value in values.items()
    )


def tried(trials: Iterable[FrozenTrial]) -> list[Mark]:
    """Return the points that trials have tried, or have been told to."""
    every = [{**trial.system_attrs.get("fixed_params", {}), **trial.params} for trial in trials]
    return [mark(values) for values in every if values]


class Fresh(BaseSampler):
    """Draws key by key as another sampler does, but where no point of `left` could come of that, as one of them has it.

    method: what `inner` is called. left: points that were not tried.
    """

    def __init__(self, method: str, inner: BaseSampler, left: Points, seed: int) -> None:
        self.method, self.inner, self.left = method, inner, left
        self.random = np.random.default_rng(seed)
        self.drawn: dict[str, Any] | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return nothing: each key is drawn by itself, when those before it are known."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value of a key."""
        if self.drawn is None:
            together = self.inner.infer_relative_search_space(study, trial)
            self.drawn = self.inner.sample_relative(study, trial, together)
        if param_name in self.drawn:
            value = self.drawn[param_name]
        else:
            value = self.inner.sample_independent(study, trial, param_name, param_distribution)
        before, drawn = mark(trial.params), mark({param_name: value})
        fitting = {known: point for known, point in self.left.items() if before <= known}
        if not fitting or any(drawn <= known for known in fitting):
            return value
        return list(fitting.values())[self.random.integers(len(fitting))][param_name]

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Have the other sampler make ready."""
        self.inner.before_trial(study, trial)
