"""A study with trained trials is run, reported, applied and logged to MLflow."""

from pathlib import Path

import pytest

from fivefold.config.loading import load_params
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.execution.worker import run_worker
from fivefold.tuning.identity import MODEL_BLOCK
from fivefold.tuning.results.apply import apply_trial, write_params
from fivefold.tuning.results.facts import analyze_study, summarize_study
from fivefold.tuning.results.mlflow import log_study

from .example import BASELINE_VALUES, create_project, open_example


def test_study_is_run_reported_applied_and_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_project(tmp_path, monkeypatch)
    _, trials = open_example()
    other = {"network.hidden": "[16, 8]", "network.dropout": 0.25, "training.optimizer.name": "sgd",
             "training.optimizer.lr": 0.0054321, "training.optimizer.momentum": 0.9}  # fmt: skip
    trials.enqueue(2, [{**BASELINE_VALUES, "network.hidden": "[8]"}, other])
    run_worker("net", "net", 2)
    study = analyze_study(TrialQueue.load("net"))
    assert [trial.is_baseline for trial in study.trials] == [True, False]
    assert [len(trial.fold_scores) for trial in study.trials] == [3, 3]
    assert study.state_counts["complete"] == 2
    assert study.baseline_trial_number == 0
    assert study.description == "sampler tpe, pruner median_then_wilcoxon, 3 folds, seed 0"
    block = trials.get_trials()[1].user_attrs[MODEL_BLOCK]
    assert block["training"]["optimizer"] == {"name": "sgd", "lr": 0.0054321, "weight_decay": 0.01, "momentum": 0.9}
    best_params = apply_trial("net", 1)
    write_params(best_params)
    model = load_params().models["net"]
    assert model.network.hidden == (16, 8)  # type: ignore[union-attr]
    assert model.training.optimizer.model_dump() == {
        "name": "sgd", "lr": 0.00543, "weight_decay": 0.01, "momentum": 0.9, "nesterov": False,
    }  # fmt: skip
    open_example()  # the study can be continued: applied values are no difference
    assert [trial.is_baseline for trial in summarize_study(TrialQueue.load("net")).trials] == [True, False]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert log_study(TrialQueue.load("net"), "finished").startswith("not logged to MLflow: no response from")
