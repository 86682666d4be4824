"""Choice of the sampler, its reproducibility, and grids."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage

from fivefold.config.search import Study
from fivefold.errors import ParamsError
from fivefold.tuning.execution.journal import Journal
from fivefold.tuning.grid import describe_grid, enumerate_points, point_key
from fivefold.tuning.samplers import SamplerFactory, build_sampler, choose_method, sampler_name
from fivefold.tuning.space import ParamValues, SearchSpace

from .helpers import SEARCH, search_space

LR = "training: {optimizer: {lr: {type: float, low: 0.001, high: 0.1, log: true}}}"
SMALL_GRID = (
    "network: {hidden: {type: categorical, choices: [[8], [16]]}, norm: {type: categorical, choices: [none, batch]}}"
)


@pytest.mark.parametrize(
    ("search", "total", "study", "expected"),
    [
        (SMALL_GRID, 40, {}, "grid"),
        (SMALL_GRID, 3, {"pruner": "none"}, "gp"),
        (LR, 40, {"pruner": "none"}, "gp"),
        (LR, 40, {}, "tpe"),
        (LR, 1000, {}, "cmaes"),
        (LR, 300, {}, "tpe"),
        (SEARCH, 40, {}, "tpe"),
        (LR, 40, {"objectives": ("score", "parameters")}, "nsga2"),
        (SMALL_GRID, 40, {"sampler": "random"}, "random"),
    ],
)
def test_auto_follows_its_rules(tmp_path: Path, search: str, total: int, study: dict[str, Any], expected: str) -> None:
    assert choose_method(Study(**study), search_space(tmp_path, search), total) == expected


def test_grid_contains_every_active_point_once(tmp_path: Path) -> None:
    search = """
    network:
      norm: {type: categorical, choices: [none, batch]}
      dropout: {type: float, low: 0.0, high: 0.4, step: 0.2, when: {network.norm: none}}
    select: {k: {type: int, low: 1, high: 2}}
    """
    points = list(enumerate_points(search_space(tmp_path, search), grid=True).values())  # type: ignore[union-attr]
    assert len(points) == len({str(point) for point in points}) == (3 + 1) * 2
    assert {point["network.dropout"] for point in points if point["network.norm"] == "none"} == {0.0, 0.2, 0.4}
    assert all("network.dropout" not in point for point in points if point["network.norm"] == "batch")


def test_grid_values_of_ranges_without_steps_are_described(tmp_path: Path) -> None:
    ranges = """
    network: {dropout: {type: float, low: 0.0, high: 0.5}}
    training:
      optimizer: {lr: {type: float, low: 0.0001, high: 1.0, log: true}}
      batch_size: {type: int, low: 2, high: 9, step: 1}
    """
    grid = search_space(tmp_path, ranges)
    assert describe_grid(grid, len(enumerate_points(grid, grid=True) or ())) == (
        "grid of 200 points; network.dropout: 0, 0.125, 0.25, 0.375, 0.5; training.optimizer.lr: 0.0001,"
        " 0.001, 0.01, 0.1, 1; set `step` in a range for other values"
    )
    assert describe_grid(search_space(tmp_path, SMALL_GRID), 4) == "grid of 4 points"


def test_large_range_is_not_enumerated(tmp_path: Path) -> None:
    large = search_space(tmp_path, "training: {patience: {type: int, low: 0, high: 1000000000000}}")
    assert enumerate_points(large, grid=False) is None
    assert len(enumerate_points(large, grid=True) or ()) == 5
    assert choose_method(Study(), large, 40) == "tpe"


def test_grid_with_too_many_points_is_refused(tmp_path: Path) -> None:
    keys = ", ".join(
        f"{key}: {{type: float, low: 0.1, high: 0.5}}"
        for key in ("l1", "ema_decay", "gradient_clip_norm", "gradient_clip_value")
    )
    ranges = f"training: {{{keys}, optimizer: {{lr: {{type: float, low: 0.1, high: 0.5, step: 0.001}}}}}}"
    with pytest.raises(ParamsError, match="a grid must have at most 10000 points, but this one has 250625; set `step`"):
        enumerate_points(search_space(tmp_path, ranges), grid=True)


@pytest.mark.parametrize("method", ["random", "qmc", "tpe", "gp", "cmaes", "nsga2"])
def test_interrupted_study_continues_with_the_same_suggestions(tmp_path: Path, method: str) -> None:
    def run_trial(study: optuna.Study, number: int) -> dict[str, float]:
        study.sampler = build_sampler(method, 7, number)
        trial = study.ask()
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0.01, 1, log=True)
        study.tell(trial, (x - 0.3) ** 2 + y)
        return trial.params

    def open_study(name: str) -> optuna.Study:
        storage = JournalStorage(Journal(tmp_path / name))
        return optuna.create_study(storage=storage, study_name="s", load_if_exists=True)

    uninterrupted = [run_trial(open_study("uninterrupted"), number) for number in range(14)]
    for number in range(11):
        run_trial(open_study("resumed"), number)
    assert [run_trial(open_study("resumed"), number) for number in range(11, 14)] == uninterrupted[11:]
    assert len({str(values) for values in uninterrupted}) == 14
    assert sampler_name(build_sampler(method, 7, 0)) == method


DISCRETE = """
network:
  hidden: {type: categorical, choices: [[8], [16]]}
  norm: {type: categorical, choices: [none, batch]}
  dropout: {type: float, low: 0.1, high: 0.4, step: 0.1, when: {network.norm: none}}
"""


def run_trials(space: SearchSpace, study: optuna.Study, settings: Study, total: int) -> list[ParamValues]:
    """Run trials one after the other up to the possible total; return the values of all trials of the study."""
    sampler_factory = SamplerFactory.from_study(settings, space, total)
    for number in range(len(study.trials), sampler_factory.max_trials(total, study.trials)):
        study.sampler = sampler_factory.sampler_for_trial(number, study.trials)
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, [float(number % 3)] * len(study.directions))
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("method", ["grid", "random", "qmc", "tpe", "gp", "cmaes", "nsga2"])
def test_each_point_of_a_small_space_is_tried_once(tmp_path: Path, method: str) -> None:
    space = search_space(tmp_path, DISCRETE)
    settings = Study(sampler=method, objectives=("score", "parameters") if method == "nsga2" else ("score",))  # type: ignore[arg-type]
    study = optuna.create_study(directions=["minimize"] * len(settings.objectives))
    for values in space.initial_trials():
        study.enqueue_trial(values)
    assert len(run_trials(space, study, settings, 4)) == 4
    points = run_trials(space, study, settings, 40)
    assert len(points) == len(set(map(point_key, points))) == 2 * (4 + 1)
    assert sampler_name(study.sampler) == method


def test_study_that_becomes_a_grid_tries_the_remaining_points(tmp_path: Path) -> None:
    space, study = search_space(tmp_path, SMALL_GRID), optuna.create_study()
    assert choose_method(Study(), space, 3) == "tpe"
    first = run_trials(space, study, Study(), 3)
    assert choose_method(Study(), space, 10) == "grid"
    assert run_trials(space, study, Study(), 10)[:3] == first
    assert len(set(map(point_key, run_trials(space, study, Study(), 10)))) == len(study.trials) == 4


def test_points_of_running_trials_are_not_drawn(tmp_path: Path) -> None:
    space, study = search_space(tmp_path, SMALL_GRID), optuna.create_study()
    sampler_factory = SamplerFactory.from_study(Study(sampler="random"), space, 4)
    for number in range(4):  # none has finished
        study.sampler = sampler_factory.sampler_for_trial(number, study.trials)
        space.suggest(study.ask())
    assert len({point_key(trial.params) for trial in study.trials}) == 4
