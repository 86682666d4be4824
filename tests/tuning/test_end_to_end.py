"""A study that is really run: its trials are shown, adopted, and told to MLflow."""

from pathlib import Path

import pytest

from fivefold.config.loading import load_params
from fivefold.tuning.execution.trials import Trials
from fivefold.tuning.execution.worker import work
from fivefold.tuning.identity import BLOCK
from fivefold.tuning.results.apply import adopt, write
from fivefold.tuning.results.facts import facts, found
from fivefold.tuning.results.mlflow import tell

from .example import OWN_VALUES, opened, project


def test_a_study_is_run_shown_told_and_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path, monkeypatch)
    _, trials = opened()
    other = {"network.hidden": "[16, 8]", "network.dropout": 0.25, "training.optimizer.name": "sgd",
             "training.optimizer.lr": 0.0054321, "training.optimizer.momentum": 0.9}  # fmt: skip
    trials.places(2, [{**OWN_VALUES, "network.hidden": "[8]"}, other])
    work("net", "net", 2)
    study = found(Trials.load("net"))
    assert [trial.own for trial in study.trials] == [True, False]
    assert [len(trial.folds) for trial in study.trials] == [3, 3]
    assert study.counts["complete"] == 2
    assert study.baseline == 0
    assert study.how == "sampler tpe, pruning two_stage, 3 folds, seed 0"
    block = trials.all()[1].user_attrs[BLOCK]
    assert block["training"]["optimizer"] == {"name": "sgd", "lr": 0.0054321, "weight_decay": 0.01, "momentum": 0.9}
    adopted = adopt("net", 1)
    write(adopted)
    model = load_params().models["net"]
    assert model.network.hidden == (16, 8)  # type: ignore[union-attr]
    assert model.training.optimizer.model_dump() == {
        "name": "sgd", "lr": 0.00543, "weight_decay": 0.01, "momentum": 0.9, "nesterov": False,
    }  # fmt: skip
    opened()  # the study goes on: what it has adopted is no difference
    assert [trial.own for trial in facts(Trials.load("net")).trials] == [True, False]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert tell(Trials.load("net"), "over").startswith("not in MLflow yet: nothing answers")
