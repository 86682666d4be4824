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

from ..config.search import CategoricalRange, Study
from ..training.batches import derive_seed
from .grid import Points, UniqueSampler, all_values, enumerate_points, grid_values, list_tried_points
from .space import SearchSpace

MAX_AUTO_GRID_POINTS = 200
"""Points at most of a grid that `auto` chooses."""
MAX_GP_KEYS, MAX_GP_TRIALS = 10, 200
"""At most, for a Gaussian process."""
MIN_CMAES_TRIALS = 500
"""Trials at least, for CMA-ES."""
SAMPLER_CLASSES: Mapping[str, type[BaseSampler]] = {
    "random": optuna.samplers.RandomSampler,
    "qmc": optuna.samplers.QMCSampler,
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    "nsga2": optuna.samplers.NSGAIISampler,
}
"""Samplers by their names; a grid is a `Fresh` one."""
N_STARTUP_TRIALS = 10
"""Trials that are drawn before a model of them is made."""


@dataclass(frozen=True)
class SamplerFactory:
    """How the values of trials are chosen.

    points: of which none is tried twice; None: of a space that has too many, where that is rare.
    """

    method: str
    seed: int
    points: Points | None

    @classmethod
    def from_study(cls, study: Study, space: SearchSpace, total: int) -> "SamplerFactory":
        """Return how the values of a study's trials are chosen, `total` in all.

        Raises:
            ParamsError: a grid has too many points.
        """
        method = choose_method(study, space, total)
        return cls(method, space.seed, enumerate_points(space, grid=method == "grid"))

    def max_trials(self, total: int, trials: Iterable[FrozenTrial]) -> int:
        """Return how many trials there can be, `total` at most, beside those that have their values."""
        if self.points is None:
            return total
        known = list_tried_points(trials)
        return min(total, len(known) + len(self.points.keys() - set(known)))

    def sampler_for_trial(self, trial_number: int, other_trials: Iterable[FrozenTrial]) -> BaseSampler:
        """Return the sampler of trial `number`. The caller holds the study where there are `points`."""
        sampler = build_sampler(self.method, self.seed, trial_number)
        if self.points is None:
            return sampler
        known = set(list_tried_points(each for each in other_trials if each.number != trial_number))
        left = {mark: point for mark, point in self.points.items() if mark not in known}
        return UniqueSampler(self.method, sampler, left, derive_seed(self.seed, trial_number) % 2**32)


def choose_method(study: Study, space: SearchSpace, total: int) -> str:
    """Return which sampler a study has."""
    if study.sampler != "auto":
        return study.sampler
    ranges = space.ranges.values()
    if len(study.objectives) > 1:
        return "nsga2"
    all_taken = all(all_values(found) == grid_values(found) for found in ranges)
    if all_taken and prod(len(grid_values(found)) for found in ranges) <= min(total, MAX_AUTO_GRID_POINTS):
        return "grid"
    if any(found.when for found in ranges):
        return "tpe"
    if study.pruner == "none" and len(space.ranges) <= MAX_GP_KEYS and total <= MAX_GP_TRIALS:
        return "gp"
    if total >= MIN_CMAES_TRIALS and not any(isinstance(found, CategoricalRange) for found in ranges):
        return "cmaes"
    return "tpe"


def sampler_name(sampler: BaseSampler) -> str:
    """Return by which method a sampler chooses that was made here."""
    if isinstance(sampler, UniqueSampler):
        return sampler.method
    return next(name for name, kind in SAMPLER_CLASSES.items() if isinstance(sampler, kind))


def build_sampler(method: str, seed: int, trial_number: int) -> BaseSampler:
    """Return the sampler of trial `number`."""
    drawn = derive_seed(seed, trial_number) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match method:
            case "qmc":
                return optuna.samplers.QMCSampler(scramble=True, seed=seed % 2**32)  # one sequence for all trials
            case "tpe":
                return optuna.samplers.TPESampler(seed=drawn, n_startup_trials=N_STARTUP_TRIALS)
            case "gp":
                return optuna.samplers.GPSampler(seed=drawn, n_startup_trials=N_STARTUP_TRIALS)
            case "cmaes":
                return optuna.samplers.CmaEsSampler(
                    seed=drawn, n_startup_trials=N_STARTUP_TRIALS, consider_pruned_trials=True
                )
            case "nsga2":
                return optuna.samplers.NSGAIISampler(seed=drawn, population_size=20)
            case _:  # of a grid `Fresh` sees to it that its points are drawn
                return optuna.samplers.RandomSampler(seed=drawn)
