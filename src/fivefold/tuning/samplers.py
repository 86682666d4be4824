"""What chooses the values that are tried next.

    auto, the first that fits:
    nsga2   several objectives
    grid    few enough points that all can be tried
    tpe     conditions
    gp      nothing is pruned, at most 10 keys, at most 200 trials: it learns from complete trials alone
    cmaes   numbers alone, 500 trials or more
    tpe     everything else

Where a space has few points, none is tried twice: a grid is what remains if all of them are.

A sampler is made anew for each trial, seeded by the study's seed and the trial's number: a study that was interrupted
goes on as it would have gone on, and no two workers draw the same.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from ..config.search import Categorical, Study
from ..training.batches import mix
from .grid import Fresh, Points, points_of, taken, tried, whole
from .space import Space

GRID = 200
"""Points at most of a grid that `auto` chooses."""
KEYS, TRIALS = 10, 200
"""At most, for a Gaussian process."""
MANY = 500
"""Trials at least, for CMA-ES."""
KINDS: Mapping[str, type[BaseSampler]] = {
    "random": optuna.samplers.RandomSampler,
    "qmc": optuna.samplers.QMCSampler,
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    "nsga2": optuna.samplers.NSGAIISampler,
}
"""Samplers by their names; a grid is a `Fresh` one."""
STARTUP = 10
"""Trials that are drawn before a model of them is made."""


@dataclass(frozen=True)
class Sampling:
    """How the values of trials are chosen.

    points: of which none is tried twice; None: of a space that has too many, where that is rare.
    """

    method: str
    seed: int
    points: Points | None

    @classmethod
    def of(cls, study: Study, space: Space, total: int) -> "Sampling":
        """Return how the values of a study's trials are chosen, `total` in all.

        Raises:
            ParamsError: a grid has too many points.
        """
        method = method_of(study, space, total)
        return cls(method, space.seed, points_of(space, grid=method == "grid"))

    def most(self, total: int, trials: Iterable[FrozenTrial]) -> int:
        """Return how many trials there can be, `total` at most, beside those that have their values."""
        if self.points is None:
            return total
        known = tried(trials)
        return min(total, len(known) + len(self.points.keys() - set(known)))

    def sampler(self, number: int, others: Iterable[FrozenTrial]) -> BaseSampler:
        """Return the sampler of trial `number`. The caller holds the study where there are `points`."""
        sampler = sampler_of(self.method, self.seed, number)
        if self.points is None:
            return sampler
        known = set(tried(each for each in others if each.number != number))
        left = {mark: point for mark, point in self.points.items() if mark not in known}
        return Fresh(self.method, sampler, left, mix(self.seed, number) % 2**32)


def method_of(study: Study, space: Space, total: int) -> str:
    """Return which sampler a study has."""
    if study.sampler != "auto":
        return study.sampler
    ranges = space.ranges.values()
    if len(study.objectives) > 1:
        return "nsga2"
    all_taken = all(whole(found) == taken(found) for found in ranges)
    if all_taken and prod(len(taken(found)) for found in ranges) <= min(total, GRID):
        return "grid"
    if any(found.when for found in ranges):
        return "tpe"
    if study.prune == "none" and len(space.ranges) <= KEYS and total <= TRIALS:
        return "gp"
    if total >= MANY and not any(isinstance(found, Categorical) for found in ranges):
        return "cmaes"
    return "tpe"


def name_of(sampler: BaseSampler) -> str:
    """Return by which method a sampler chooses that was made here."""
    if isinstance(sampler, Fresh):
        return sampler.method
    return next(name for name, kind in KINDS.items() if isinstance(sampler, kind))


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
            case _:  # of a grid `Fresh` sees to it that its points are drawn
                return optuna.samplers.RandomSampler(seed=drawn)
