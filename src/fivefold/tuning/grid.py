"""Enumeration of small search spaces: grids, and a sampler that never repeats a point.

Training with the same values gives the same score, so evaluating a point twice adds no information.
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
"""Keys and values of a point as a hashable identifier."""
Points = Mapping[PointKey, ParamValues]
"""Points in the form that Optuna stores, by identifier."""

MAX_POINTS = 10_000
"""Largest number of points that is enumerated."""
N_GRID_VALUES = 5
"""Values per range without steps in a grid."""


def enumerate_points(space: SearchSpace, *, grid: bool) -> Points | None:
    """Return every point of a space, or None if there are more than `MAX_POINTS`.

    Points that differ only in inactive keys are returned once.

    grid: use `N_GRID_VALUES` values of each range without steps.

    Raises:
        ParamsError: a grid has too many points.
    """
    axes = {
        key: grid_values(param_range) if grid else all_values(param_range) for key, param_range in space.ranges.items()
    }
    size = prod(len(values) if values is not None else MAX_POINTS + 1 for values in axes.values())
    if size > MAX_POINTS and grid:
        raise ParamsError(
            f"models.{space.name}.search: a grid must have at most {MAX_POINTS} points, but this one has {size};"
            " set `step` in the ranges or choose another sampler"
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
    """Return every value of a range, at most `MAX_POINTS` + 1 of them, or None for a continuous range."""
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
    """Return the values of a range in a grid: all of them, or `N_GRID_VALUES` of a range without steps."""
    values = all_values(param_range)
    if values is not None and (not _is_continuous(param_range) or len(values) <= N_GRID_VALUES):
        return values
    assert not isinstance(param_range, CategoricalRange)
    spacing = np.geomspace if param_range.log else np.linspace
    values = spacing(param_range.low, param_range.high, N_GRID_VALUES).tolist()
    return sorted({round(value) for value in values}) if isinstance(param_range, IntRange) else values


def _is_continuous(param_range: FloatRange | IntRange | CategoricalRange) -> bool:
    """Return whether a range is numeric and does not set `step`."""
    return not isinstance(param_range, CategoricalRange) and "step" not in param_range.model_fields_set


def describe_grid(space: SearchSpace, n_points: int) -> str:
    """Return the number of points of a grid, and the values that it uses of ranges without steps."""
    reduced = {
        key: grid_values(param_range)
        for key, param_range in space.ranges.items()
        if grid_values(param_range) != all_values(param_range)
    }
    lines = [f"{key}: {', '.join(f'{value:.4g}' for value in values)}" for key, values in reduced.items()]
    hint = ["set `step` in a range for other values"] if lines else []
    return "; ".join([f"grid of {n_points} points", *lines, *hint])


def point_key(values: ParamValues) -> PointKey:
    """Return the identifier of a point; floats are rounded to 12 digits to remove floating-point noise."""
    return frozenset(
        (key, f"{value:.12g}" if isinstance(value, float) else repr(value)) for key, value in values.items()
    )


def list_tried_points(trials: Iterable[FrozenTrial]) -> list[PointKey]:
    """Return the identifiers of the points that trials have evaluated or are enqueued with."""
    trial_values = [{**trial.system_attrs.get("fixed_params", {}), **trial.params} for trial in trials]
    return [point_key(values) for values in trial_values if values]


class UniqueSampler(BaseSampler):
    """Sampler that draws key by key from another sampler, restricted to points that were not evaluated.

    A value of the inner sampler is replaced by that of a random untried point if no untried point has it.

    method: name of the inner sampler. inner: the sampler. untried: points without a trial. seed: of the replacements.
    """

    def __init__(self, method: str, inner: BaseSampler, untried: Points, seed: int) -> None:
        self.method, self.inner, self.untried = method, inner, untried
        self.rng = np.random.default_rng(seed)
        self.relative_params: dict[str, Any] | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return an empty space: each key is drawn on its own, given the keys before it."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return no values."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value of a key."""
        if self.relative_params is None:
            relative_space = self.inner.infer_relative_search_space(study, trial)
            self.relative_params = self.inner.sample_relative(study, trial, relative_space)
        if param_name in self.relative_params:
            value = self.relative_params[param_name]
        else:
            value = self.inner.sample_independent(study, trial, param_name, param_distribution)
        chosen, drawn = point_key(trial.params), point_key({param_name: value})
        candidates = {key: point for key, point in self.untried.items() if chosen <= key}
        if not candidates or any(drawn <= key for key in candidates):
            return value
        return list(candidates.values())[self.rng.integers(len(candidates))][param_name]

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Prepare the inner sampler."""
        self.inner.before_trial(study, trial)
