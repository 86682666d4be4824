"""Which sampler a study has, and that it draws the same again."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage

from fivefold.config.search import Study
from fivefold.errors import ParamsError
from fivefold.tuning.execution.journal import Journal
from fivefold.tuning.grid import describe_grid, enumerate_points, point_key
from fivefold.tuning.samplers import SamplerFactory, build_sampler, choose_method, sampler_name
from fivefold.tuning.space import ParamValues, SearchSpace

from .test_space import SEARCH, space

RATE = "training: {optimizer: {lr: {type: float, low: 0.001, high: 0.1, log: true}}}"
SMALL = (
    "network: {hidden: {type: categorical, choices: [[8], [16]]}, norm: {type: categorical, choices: [none, batch]}}"
)


@pytest.mark.parametrize(
    ("search", "total", "study", "expected"),
    [
        (SMALL, 40, {}, "grid"),
        (SMALL, 3, {"pruner": "none"}, "gp"),
        (RATE, 40, {"pruner": "none"}, "gp"),
        (RATE, 40, {}, "tpe"),
        (RATE, 1000, {}, "cmaes"),
        (RATE, 300, {}, "tpe"),
        (SEARCH, 40, {}, "tpe"),
        (RATE, 40, {"objectives": ("score", "parameters")}, "nsga2"),
        (SMALL, 40, {"sampler": "random"}, "random"),
    ],
)
def test_auto_follows_its_rule(tmp_path: Path, search: str, total: int, study: dict, expected: str) -> None:  # type: ignore[type-arg]
    assert choose_method(Study(**study), space(tmp_path, search), total) == expected


def test_a_grid_has_every_point_once_and_none_that_differs_in_what_is_not_tried(tmp_path: Path) -> None:
    search = """
    network:
      norm: {type: categorical, choices: [none, batch]}
      dropout: {type: float, low: 0.0, high: 0.4, step: 0.2, when: {network.norm: none}}
    select: {k: {type: int, low: 1, high: 2}}
    """
    points = list(enumerate_points(space(tmp_path, search), grid=True).values())  # type: ignore[union-attr]
    assert len(points) == len({str(point) for point in points}) == (3 + 1) * 2
    assert {point["network.dropout"] for point in points if point["network.norm"] == "none"} == {0.0, 0.2, 0.4}
    assert all("network.dropout" not in point for point in points if point["network.norm"] == "batch")


def test_what_a_grid_takes_of_ranges_without_steps_is_told(tmp_path: Path) -> None:
    wide = """
    network: {dropout: {type: float, low: 0.0, high: 0.5}}
    training:
      optimizer: {lr: {type: float, low: 0.0001, high: 1.0, log: true}}
      batch_size: {type: int, low: 2, high: 9, step: 1}
    """
    found = space(tmp_path, wide)
    assert describe_grid(found, len(enumerate_points(found, grid=True) or ())) == (
        "grid of 200 points; network.dropout takes 0, 0.125, 0.25, 0.375, 0.5; training.optimizer.lr takes 0.0001,"
        " 0.001, 0.01, 0.1, 1; say `step` in a range for others"
    )
    assert describe_grid(space(tmp_path, SMALL), 4) == "grid of 4 points"


def test_of_an_endless_range_no_list_is_made(tmp_path: Path) -> None:
    endless = space(tmp_path, "training: {patience: {type: int, low: 0, high: 1000000000000}}")
    assert enumerate_points(endless, grid=False) is None
    assert len(enumerate_points(endless, grid=True) or ()) == 5
    assert choose_method(Study(), endless, 40) == "tpe"


def test_a_grid_of_too_many_points_is_refused(tmp_path: Path) -> None:
    every = ", ".join(
        f"{key}: {{type: float, low: 0.1, high: 0.5}}"
        for key in ("l1", "ema_decay", "gradient_clip_norm", "gradient_clip_value")
    )
    wide = f"training: {{{every}, optimizer: {{lr: {{type: float, low: 0.1, high: 0.5, step: 0.001}}}}}}"
    with pytest.raises(ParamsError, match="a grid has at most 10000 points, but this one 250625; say a step"):
        enumerate_points(space(tmp_path, wide), grid=True)


@pytest.mark.parametrize("method", ["random", "qmc", "tpe", "gp", "cmaes", "nsga2"])
def test_a_study_that_was_interrupted_draws_what_it_would_have_drawn(tmp_path: Path, method: str) -> None:
    def drawn(study: optuna.Study, number: int) -> dict[str, float]:
        study.sampler = build_sampler(method, 7, number)
        trial = study.ask()
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0.01, 1, log=True)
        study.tell(trial, (x - 0.3) ** 2 + y)
        return trial.params

    def opened(name: str) -> optuna.Study:
        storage = JournalStorage(Journal(tmp_path / name))
        return optuna.create_study(storage=storage, study_name="s", load_if_exists=True)

    straight = [drawn(opened("whole"), number) for number in range(14)]
    for number in range(11):
        drawn(opened("resumed"), number)
    assert [drawn(opened("resumed"), number) for number in range(11, 14)] == straight[11:]
    assert len({str(values) for values in straight}) == 14
    assert sampler_name(build_sampler(method, 7, 0)) == method


DISCRETE = """
network:
  hidden: {type: categorical, choices: [[8], [16]]}
  norm: {type: categorical, choices: [none, batch]}
  dropout: {type: float, low: 0.1, high: 0.4, step: 0.1, when: {network.norm: none}}
"""


def drawn(found: SearchSpace, study: optuna.Study, settings: Study, total: int) -> list[ParamValues]:
    """Values that the next trials of a study try, one told after the other, up to as many as there can be."""
    sampling = SamplerFactory.from_study(settings, found, total)
    for number in range(len(study.trials), sampling.max_trials(total, study.trials)):
        study.sampler = sampling.sampler_for_trial(number, study.trials)
        trial = study.ask()
        found.suggest(trial)
        study.tell(trial, [float(number % 3)] * len(study.directions))
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("method", ["grid", "random", "qmc", "tpe", "gp", "cmaes", "nsga2"])
def test_where_points_are_few_none_is_tried_twice_and_none_is_left_out(tmp_path: Path, method: str) -> None:
    found = space(tmp_path, DISCRETE)
    settings = Study(sampler=method, objectives=("score", "parameters") if method == "nsga2" else ("score",))  # type: ignore[arg-type]
    study = optuna.create_study(directions=["minimize"] * len(settings.objectives))
    for values in found.initial_trials():
        study.enqueue_trial(values)
    assert len(drawn(found, study, settings, 4)) == 4
    points = drawn(found, study, settings, 40)
    assert len(points) == len(set(map(point_key, points))) == 2 * (4 + 1)
    assert sampler_name(study.sampler) == method


def test_a_study_that_becomes_a_grid_tries_what_is_left(tmp_path: Path) -> None:
    found, study = space(tmp_path, SMALL), optuna.create_study()
    assert choose_method(Study(), found, 3) == "tpe"
    first = drawn(found, study, Study(), 3)
    assert choose_method(Study(), found, 10) == "grid"
    assert drawn(found, study, Study(), 10)[:3] == first
    assert len(set(map(point_key, drawn(found, study, Study(), 10)))) == len(study.trials) == 4


def test_what_others_are_trying_is_not_drawn(tmp_path: Path) -> None:
    found, study = space(tmp_path, SMALL), optuna.create_study()
    sampling = SamplerFactory.from_study(Study(sampler="random"), found, 4)
    for number in range(4):  # none is told
        study.sampler = sampling.sampler_for_trial(number, study.trials)
        found.suggest(study.ask())
    assert len({point_key(trial.params) for trial in study.trials}) == 4
