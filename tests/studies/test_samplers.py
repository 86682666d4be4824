"""Which sampler a study has, and that it draws the same again."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage

from fivefold.errors import ParamsError
from fivefold.params.search import Study
from fivefold.studies.journal import Journal
from fivefold.studies.samplers import firsts, grid, method_of, sampler_of

from .test_space import SEARCH, space

RATE = "training: {optimizer: {lr: {type: float, low: 0.001, high: 0.1, log: true}}}"
SMALL = (
    "network: {hidden: {type: categorical, choices: [[8], [16]]}, norm: {type: categorical, choices: [none, batch]}}"
)


@pytest.mark.parametrize(
    ("search", "total", "study", "expected"),
    [
        (SMALL, 40, {}, "grid"),
        (SMALL, 3, {"prune": "none"}, "gp"),
        (RATE, 40, {"prune": "none"}, "gp"),
        (RATE, 40, {}, "tpe"),
        (RATE, 1000, {}, "cmaes"),
        (RATE, 300, {}, "tpe"),
        (SEARCH, 40, {}, "tpe"),
        (RATE, 40, {"objectives": ("score", "parameters")}, "nsga2"),
        (SMALL, 40, {"sampler": "random"}, "random"),
    ],
)
def test_auto_follows_its_rule(tmp_path: Path, search: str, total: int, study: dict, expected: str) -> None:  # type: ignore[type-arg]
    assert method_of(Study(**study), space(tmp_path, search), total) == expected


def test_a_grid_has_every_point_once_and_none_that_differs_in_what_is_not_tried(tmp_path: Path) -> None:
    search = """
    network:
      norm: {type: categorical, choices: [none, batch]}
      dropout: {type: float, low: 0.0, high: 0.4, step: 0.2, when: {network.norm: none}}
    select: {k: {type: int, low: 1, high: 2}}
    """
    points = grid(space(tmp_path, search))
    assert len(points) == len({str(point) for point in points}) == (3 + 1) * 2
    assert {point["network.dropout"] for point in points if point["network.norm"] == "none"} == {0.0, 0.2, 0.4}
    assert all("network.dropout" not in point for point in points if point["network.norm"] == "batch")


def test_a_grid_begins_with_what_params_yaml_has(tmp_path: Path) -> None:
    tried = space(tmp_path, SMALL)
    points = firsts("grid", tried)
    assert points[0] == tried.current() == {"network.hidden": [8], "network.norm": "none"}
    assert len(points) == 4


def test_a_grid_of_too_many_points_is_refused(tmp_path: Path) -> None:
    every = ", ".join(
        f"{key}: {{type: float, low: 0.1, high: 0.5}}" for key in ("l1", "ema", "gradient_clip", "gradient_clip_value")
    )
    wide = f"training: {{{every}, optimizer: {{lr: {{type: float, low: 0.1, high: 0.5, step: 0.001}}}}}}"
    with pytest.raises(ParamsError, match="a grid has at most 10000 points, but this one 250625; say a step"):
        grid(space(tmp_path, wide))


@pytest.mark.parametrize("method", ["random", "qmc", "tpe", "gp", "cmaes", "nsga2"])
def test_a_study_that_was_interrupted_draws_what_it_would_have_drawn(tmp_path: Path, method: str) -> None:
    def drawn(study: optuna.Study, number: int) -> dict[str, float]:
        study.sampler = sampler_of(method, 7, number)
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
