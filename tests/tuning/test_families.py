"""Every family can be searched: short trials on two folds, with their scores."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from ruamel.yaml import YAML

from fivefold.errors import ParamsError, StudyError
from fivefold.tuning.execution.run import open_study
from fivefold.tuning.execution.worker import run_worker
from fivefold.tuning.identity import FOLD_SCORES, MEAN_SCORES, TRIAL_PARAMS

ROOT = Path(__file__).parents[2]
LR_SEARCH = {"training": {"optimizer": {"lr": {"type": "float", "low": 0.0001, "high": 0.03, "log": True}}}}

OBJECTIVE_METRICS = {
    "mlp": ("accuracy", "maximize"),
    "mlp_regression": ("r2", "maximize"),
    "cnn": ("accuracy", "maximize"),
    "lstm": ("rmse", "minimize"),
    "autoencoder": ("mse", "minimize"),
    "gan": ("energy_distance", "minimize"),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with the raw data of the default one."""
    (tmp_path / ".dvc").mkdir()
    shutil.copytree(ROOT / "data/raw", tmp_path / "data/raw")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def write_params(project: Path, name: str, **changes: Any) -> None:
    """Write params.yaml with one model of the default project, trained for two epochs."""
    tree = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
    model = tree["models"][name] | {"depends_on": "none", "search": LR_SEARCH, "study": {"folds": 2}} | changes
    model["training"] = model["training"] | {"max_epochs": 2}
    tree = tree | {"models": {name: model}, "datasets": {model["dataset"]: tree["datasets"][model["dataset"]]}}
    with (project / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(tree, file)


@pytest.mark.parametrize("name", OBJECTIVE_METRICS)
def test_every_family_can_be_searched(project: Path, name: str) -> None:
    metric, direction = OBJECTIVE_METRICS[name]
    write_params(project, name)
    search, trials, total = open_study(name, name, 2)
    assert search.objective_metric.name == metric
    assert trials.study.direction.name.lower() == direction
    assert run_worker(name, name, total) == 2
    for trial in trials.get_trials():
        assert trial.state == TrialState.COMPLETE
        folds = trial.user_attrs[FOLD_SCORES]
        assert len(folds) == 2
        assert trial.value == pytest.approx(sum(fold[metric] for fold in folds) / 2)
        assert trial.user_attrs[MEAN_SCORES][metric] == trial.value
        assert trial.user_attrs[TRIAL_PARAMS] == trial.params
    optimizer = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())["models"][name]["training"][
        "optimizer"
    ]
    assert trials.get_trials()[0].params == {"training.optimizer.lr": optimizer["lr"]}
    best = trials.best_trial()
    assert best is not None
    assert best.value == (max if direction == "maximize" else min)(trial.value for trial in trials.get_trials())


@pytest.mark.parametrize("name", ["mlp", "mlp_regression", "autoencoder"])
def test_vectorized_trials_have_the_scores_of_sequential_ones(project: Path, name: str) -> None:
    write_params(project, name, study={"folds": 2, "sampler": "random"})
    results = {}
    for study, vectorize in (("vectorized", True), ("sequential", False)):
        _, trials, total = open_study(name, study, 5)
        run_worker(name, study, total, vectorize=vectorize)
        results[study] = [
            (trial.params, trial.value, len(trial.user_attrs[FOLD_SCORES])) for trial in trials.get_trials()
        ]
    for vectorized, sequential in zip(results["vectorized"], results["sequential"], strict=True):
        assert vectorized[0] == sequential[0]
        assert vectorized[1] == pytest.approx(sequential[1], abs=1e-4)
        assert vectorized[2] == sequential[2] == 2


def test_several_objectives_are_recorded_without_pruning(project: Path) -> None:
    write_params(project, "mlp", study={"folds": 2, "objectives": ["score", "parameters", "latency"]})
    _, trials, total = open_study("mlp", "mlp", 2)
    run_worker("mlp", "mlp", total)
    for trial in trials.get_trials():
        score, parameters, latency = trial.values
        assert 0 < score <= 1
        assert parameters == 20 * 64 + 64 + 64 * 32 + 32 + 32 * 2 + 2
        assert 0 < latency < 1000
    assert trials.best_trial() is None


def test_diverged_trials_fail_with_their_reason(project: Path) -> None:
    rates = {"type": "categorical", "choices": [0.003, 1e30, 2e30, 3e30, 4e30, 5e30, 6e30]}
    write_params(project, "mlp", search={"training": {"optimizer": {"lr": rates}}})
    _, trials, total = open_study("mlp", "mlp", 40)
    assert total == 7  # the grid has no more points
    with pytest.raises(StudyError, match="5 trials in a row failed, the last one") as error:
        run_worker("mlp", "mlp", total, vectorize=False)
    assert "loss must be finite, but is" in str(error.value)
    states = [trial.state.name for trial in trials.get_trials()]
    assert states == ["COMPLETE", *["FAIL"] * 5, "WAITING"]


def test_impossible_selection_is_refused_before_the_first_trial(project: Path) -> None:
    write_params(project, "mlp", search={"select": {"k": {"type": "int", "low": 8, "high": 60}}})
    with pytest.raises(ParamsError) as error:
        open_study("mlp", "mlp", 4)
    assert str(error.value) == (
        "models.mlp.search.select: every combination of range bounds must be possible for the training rows, but"
        " select.k: 60 is not: select.k must be at most the number of features, 30, but is 60; lower it"
    )


def test_too_many_folds_are_not_reported_as_a_selection(project: Path) -> None:
    write_params(project, "mlp", study={"folds": 400}, search={"select": {"k": {"type": "int", "low": 8, "high": 12}}})
    with pytest.raises(ParamsError, match=r"^models\.mlp\.study\.folds: each of 400 folds needs rows, but \d+ rows of"):
        open_study("mlp", "mlp", 4)


def test_trials_are_enqueued_in_parts(project: Path) -> None:
    write_params(project, "mlp")
    _, trials, total = open_study("mlp", "mlp", 100_000_000)
    assert total == 100_000_000
    assert len(trials.get_trials()) <= 101
