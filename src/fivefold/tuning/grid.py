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

from ..config.search import CategoricalRange, FloatRange, IntRange
from ..errors import ParamsError
from .space import ParamValues, SearchSpace

PointKey = frozenset[tuple[str, str]]
"""Keys and values of a point, by which it is known again."""
Points = Mapping[PointKey, ParamValues]
"""Points as Optuna keeps them."""

MAX_POINTS = 10_000
"""Points at most that are looked at one by one."""
N_GRID_VALUES = 5
"""Values that a grid takes of a range of numbers without steps."""


def enumerate_points(space: SearchSpace, *, grid: bool) -> Points | None:
    """Return every point of a space; None of one that has too many. Of points that differ in what is not tried, one.

    grid: take `STEPS` values of a range without steps.

    Raises:
        ParamsError: a grid has too many.
    """
    axes = {key: grid_values(found) if grid else all_values(found) for key, found in space.ranges.items()}
    size = prod(len(values) if values is not None else MAX_POINTS + 1 for values in axes.values())
    if size > MAX_POINTS and grid:
        raise ParamsError(
            f"models.{space.name}.search: a grid has at most {MAX_POINTS} points, but this one {size}; say a step, or choose"
            " another sampler"
        )
    if size > MAX_POINTS:
        return None
    points = dict[PointKey, ParamValues]()
    for point in itertools.product(*(values or () for values in axes.values())):
        values: ParamValues = {}
        for key, value in zip(axes, point, strict=True):
            if space.is_active(key, values):
                values[key] = value
        stored = space.encode_values(values)
        points.setdefault(point_key(stored), stored)
    return points


def all_values(param_range: FloatRange | IntRange | CategoricalRange) -> list[Any] | None:
    """Return every value of a range, of too many the first ones; None if there are endless ones."""
    match param_range:
        case CategoricalRange():
            return list(param_range.choices)
        case IntRange():
            return list(range(param_range.low, param_range.high + 1, param_range.step)[: MAX_POINTS + 1])
        case FloatRange(step=float() as step):
            steps = min(int((param_range.high - param_range.low) / step + 1e-9), MAX_POINTS)
            return [param_range.low + i * step for i in range(steps + 1)]
    return [param_range.low] if param_range.low == param_range.high else None


def grid_values(param_range: FloatRange | IntRange | CategoricalRange) -> list[Any]:
    """Return the values that a grid takes of a range: all that it has, or of one without steps a few."""
    every = all_values(param_range)
    if every is not None and (not _is_continuous(param_range) or len(every) <= N_GRID_VALUES):
        return every
    assert not isinstance(param_range, CategoricalRange)
    spread = np.geomspace if param_range.log else np.linspace
    values = spread(param_range.low, param_range.high, N_GRID_VALUES).tolist()
    return sorted({round(value) for value in values}) if isinstance(param_range, IntRange) else values


def _is_continuous(param_range: FloatRange | IntRange | CategoricalRange) -> bool:
    """Return whether a range is of numbers without steps: of whole ones, whether nobody said `step`."""
    return not isinstance(param_range, CategoricalRange) and "step" not in param_range.model_fields_set


def describe_grid(space: SearchSpace, n_points: int) -> str:
    """Return what a person is told of a grid: how many points it has, and what it takes of ranges without steps."""
    few = {key: grid_values(found) for key, found in space.ranges.items() if grid_values(found) != all_values(found)}
    said = [f"{key} takes {', '.join(f'{value:.4g}' for value in values)}" for key, values in few.items()]
    return "; ".join([f"grid of {n_points} points", *said, *(["say `step` in a range for others"] if said else [])])


def point_key(values: ParamValues) -> PointKey:
    """Return by what a point is known again: numbers but for the noise of a sum of steps."""
    return frozenset(
        (key, f"{value:.12g}" if isinstance(value, float) else repr(value)) for key, value in values.items()
    )


def list_tried_points(trials: Iterable[FrozenTrial]) -> list[PointKey]:
    """Return the points that trials have tried, or have been told to."""
    every = [{**trial.system_attrs.get("fixed_params", {}), **trial.params} for trial in trials]
    return [point_key(values) for values in every if values]


class UniqueSampler(BaseSampler):
    """Draws key by key as another sampler does, but where no point of `left` could come of that, as one of them has it.

    method: what `inner` is called. left: points that were not tried.
    """

    def __init__(self, method: str, inner: BaseSampler, untried: Points, seed: int) -> None:
        self.method, self.inner, self.untried = method, inner, untried
        self.rng = np.random.default_rng(seed)
        self.relative_params: dict[str, Any] | None = None

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
        if self.relative_params is None:
            together = self.inner.infer_relative_search_space(study, trial)
            self.relative_params = self.inner.sample_relative(study, trial, together)
        if param_name in self.relative_params:
            value = self.relative_params[param_name]
        else:
            value = self.inner.sample_independent(study, trial, param_name, param_distribution)
        before, drawn = point_key(trial.params), point_key({param_name: value})
        fitting = {known: point for known, point in self.untried.items() if before <= known}
        if not fitting or any(drawn <= known for known in fitting):
            return value
        return list(fitting.values())[self.rng.integers(len(fitting))][param_name]

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Have the other sampler make ready."""
        self.inner.before_trial(study, trial)
