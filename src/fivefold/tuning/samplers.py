"""Choice and construction of the samplers that suggest the values of trials.

`sampler: auto` selects the first that applies:
    nsga2   several objectives
    grid    few enough points to evaluate all of them
    tpe     conditional keys
    gp      no pruning, at most 10 keys and at most 200 trials (it learns from complete trials only)
    cmaes   numeric keys only, at least 500 trials
    tpe     everything else

In a space with few points, no point is evaluated twice.

A new sampler is built for each trial, seeded by the study's seed and the trial number: an interrupted study continues
with the same suggestions, and no two workers draw the same values.
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
"""Largest grid that `auto` selects."""
MAX_GP_KEYS, MAX_GP_TRIALS = 10, 200
"""Upper limits for a Gaussian process."""
MIN_CMAES_TRIALS = 500
"""Lower limit for CMA-ES."""
SAMPLER_CLASSES: Mapping[str, type[BaseSampler]] = {
    "random": optuna.samplers.RandomSampler,
    "qmc": optuna.samplers.QMCSampler,
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    "nsga2": optuna.samplers.NSGAIISampler,
}
"""Optuna samplers by name; a grid is a `UniqueSampler`."""
N_STARTUP_TRIALS = 10
"""Random trials before a model-based sampler starts."""


@dataclass(frozen=True)
class SamplerFactory:
    """Builds the samplers of a study.

    method: name of the sampler. points: all points of a small space, none of which is tried twice; None for a space
    with too many points, where repetitions are rare.
    """

    method: str
    seed: int
    points: Points | None

    @classmethod
    def from_study(cls, study: Study, space: SearchSpace, total: int) -> "SamplerFactory":
        """Return the sampler factory of a study with `total` trials.

        Raises:
            ParamsError: a grid has too many points.
        """
        method = choose_method(study, space, total)
        return cls(method, space.seed, enumerate_points(space, grid=method == "grid"))

    def max_trials(self, total: int, trials: Iterable[FrozenTrial]) -> int:
        """Return the largest possible number of trials, at most `total`, given the trials so far."""
        if self.points is None:
            return total
        tried = list_tried_points(trials)
        return min(total, len(tried) + len(self.points.keys() - set(tried)))

    def sampler_for_trial(self, trial_number: int, other_trials: Iterable[FrozenTrial]) -> BaseSampler:
        """Return the sampler of a trial. The caller holds the study lock where there are `points`."""
        sampler = build_sampler(self.method, self.seed, trial_number)
        if self.points is None:
            return sampler
        tried = set(list_tried_points(other for other in other_trials if other.number != trial_number))
        untried = {key: point for key, point in self.points.items() if key not in tried}
        return UniqueSampler(self.method, sampler, untried, derive_seed(self.seed, trial_number) % 2**32)


def choose_method(study: Study, space: SearchSpace, total: int) -> str:
    """Return the name of the sampler of a study with `total` trials."""
    if study.sampler != "auto":
        return study.sampler
    ranges = space.ranges.values()
    if len(study.objectives) > 1:
        return "nsga2"
    grid_is_complete = all(all_values(param_range) == grid_values(param_range) for param_range in ranges)
    if grid_is_complete and prod(len(grid_values(param_range)) for param_range in ranges) <= min(
        total, MAX_AUTO_GRID_POINTS
    ):
        return "grid"
    if any(param_range.when for param_range in ranges):
        return "tpe"
    if study.pruner == "none" and len(space.ranges) <= MAX_GP_KEYS and total <= MAX_GP_TRIALS:
        return "gp"
    if total >= MIN_CMAES_TRIALS and not any(isinstance(param_range, CategoricalRange) for param_range in ranges):
        return "cmaes"
    return "tpe"


def sampler_name(sampler: BaseSampler) -> str:
    """Return the name of a sampler that was built here."""
    if isinstance(sampler, UniqueSampler):
        return sampler.method
    return next(name for name, sampler_class in SAMPLER_CLASSES.items() if isinstance(sampler, sampler_class))


def build_sampler(method: str, seed: int, trial_number: int) -> BaseSampler:
    """Return the sampler `method` of a trial."""
    trial_seed = derive_seed(seed, trial_number) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match method:
            case "qmc":
                return optuna.samplers.QMCSampler(scramble=True, seed=seed % 2**32)  # one sequence for all trials
            case "tpe":
                return optuna.samplers.TPESampler(seed=trial_seed, n_startup_trials=N_STARTUP_TRIALS)
            case "gp":
                return optuna.samplers.GPSampler(seed=trial_seed, n_startup_trials=N_STARTUP_TRIALS)
            case "cmaes":
                return optuna.samplers.CmaEsSampler(
                    seed=trial_seed, n_startup_trials=N_STARTUP_TRIALS, consider_pruned_trials=True
                )
            case "nsga2":
                return optuna.samplers.NSGAIISampler(seed=trial_seed, population_size=20)
            case _:  # grid: the UniqueSampler around it draws the points
                return optuna.samplers.RandomSampler(seed=trial_seed)
