"""What chooses the values that are tried next.

    auto, the first that fits:
    nsga2   several objectives
    grid    few enough points that all can be tried
    tpe     conditions
    gp      nothing is pruned, at most 10 keys, at most 200 trials: it learns from complete trials alone
    cmaes   numbers alone, 500 trials or more
    tpe     everything else

A sampler is made anew for each trial, seeded by the study's seed and the trial's number: a study that was interrupted
goes on as it would have gone on, and no two workers draw the same.
"""

import itertools
import warnings
from math import prod
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from ..errors import ParamsError
from ..params.search import Categorical, Float, Int, Study
from ..training.seeds import mix
from .space import Space, Values

GRID, MOST = 200, 10_000
"""Points at most of a grid that `auto` chooses, and of any."""
KEYS, TRIALS = 10, 200
"""At most, for a Gaussian process."""
MANY = 500
"""Trials at least, for CMA-ES."""
STEPS = 5
"""Values that a grid takes of a range of numbers without steps."""
STARTUP = 10
"""Trials that are drawn before a model of them is made."""


def method_of(study: Study, space: Space, total: int) -> str:
    """Return which sampler a study has."""
    if study.sampler != "auto":
        return study.sampler
    ranges = space.ranges.values()
    discrete = all(isinstance(found, Categorical) or (isinstance(found, Int) and not found.log) for found in ranges)
    if len(study.objectives) > 1:
        return "nsga2"
    if discrete and prod(len(_points(found)) for found in ranges) <= min(total, GRID):
        return "grid"
    if any(found.when for found in ranges):
        return "tpe"
    if study.prune == "none" and len(space.ranges) <= KEYS and total <= TRIALS:
        return "gp"
    if total >= MANY and not any(isinstance(found, Categorical) for found in ranges):
        return "cmaes"
    return "tpe"


def sampler_of(method: str, seed: int, number: int) -> BaseSampler:
    """Return the sampler of trial `number`."""
    drawn = mix(seed, number) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match method:
            case "qmc":
                return optuna.samplers.QMCSampler(scramble=True, seed=seed % 2**32)  # one sequence for all trials
            case "tpe":
                return optuna.samplers.TPESampler(seed=drawn, n_startup_trials=STARTUP)
            case "gp":
                return optuna.samplers.GPSampler(seed=drawn, n_startup_trials=STARTUP)
            case "cmaes":
                return optuna.samplers.CmaEsSampler(seed=drawn, n_startup_trials=STARTUP, consider_pruned_trials=True)
            case "nsga2":
                return optuna.samplers.NSGAIISampler(seed=drawn, population_size=20)
            case _:  # a grid's trials have their values already
                return optuna.samplers.RandomSampler(seed=drawn)


def grid(space: Space) -> list[Values]:
    """Return every point of a space, `STEPS` of a range without steps; of points that differ in what is not tried, one.

    Their order is drawn, the same each time, so that the first ones lie far apart.

    Raises:
        ParamsError: there are too many.
    """
    axes = {key: _points(found) for key, found in space.ranges.items()}
    if (size := prod(len(points) for points in axes.values())) > MOST:
        raise ParamsError(
            f"models.{space.name}.search: a grid has at most {MOST} points, but this one {size}; say a step, or choose"
            " another sampler"
        )
    found: dict[str, Values] = {}
    for point in itertools.product(*axes.values()):
        values: Values = {}
        for key, value in zip(axes, point, strict=True):
            if space.active(key, values):
                values[key] = value
        found.setdefault(repr(values), values)
    every = list(found.values())
    return [every[i] for i in np.random.default_rng(0).permutation(len(every))]


def _points(found: Float | Int | Categorical) -> list[Any]:
    match found:
        case Categorical():
            return list(found.choices)
        case Int(log=False):
            every = list(range(found.low, found.high + 1, found.step))
            if len(every) <= STEPS or found.step > 1:
                return every
        case Float(step=float() as step):
            return [found.low + i * step for i in range(int((found.high - found.low) / step + 1e-9) + 1)]
    spread = np.geomspace if found.log else np.linspace
    values = spread(found.low, found.high, STEPS).tolist()
    return sorted({round(value) for value in values}) if isinstance(found, Int) else values


def firsts(method: str, space: Space) -> list[Values]:
    """Return what the first trials are to try: what params.yaml has now, and of a grid all its points."""
    current = space.current()
    first = [] if current is None else [current]
    return [*first, *(point for point in grid(space) if point != current)] if method == "grid" else first
