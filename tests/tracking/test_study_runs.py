"""Studies in a real MLflow store: a parent run with a child run per trial; logging again changes nothing."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from fivefold.tracking import store
from fivefold.tracking.study_results import StudySummary, TrialResult, TrialStatus
from fivefold.tracking.study_runs import sync_study

SEARCH = {
    "network": {
        "dropout": {"type": "float", "low": 0.0, "high": 0.5, "when": {"network.norm": ["none", "layer"]}},
        "hidden": {"type": "categorical", "choices": [[8], [16, 8]]},
    },
    "training": {
        "optimizer": {"lr": {"type": "float", "low": 0.00003, "high": 0.03, "log": True}},
        "batch_size": {"type": "int", "low": 16, "high": 64, "step": 16},
    },
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowClient]:
    """Return the client of a store shared by the tests, each with its own study, because creating one takes seconds."""
    folder = tmp_path_factory.mktemp("project")
    (folder / ".dvc").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("DVC_ROOT", str(folder))
        patch.chdir(folder)
        yield store.open_store()[0]


def trial(number: int, *folds: float, state: TrialStatus = "complete", **more: Any) -> TrialResult:
    score = sum(folds) / len(folds) if folds else None
    fields = {
        "params": {"network.dropout": number / 100, "network.hidden": [8, number]}, "score": score, "std": None,
        "fold_scores": folds, "intermediate_values": (), "is_baseline": number == 0, "reason": "", "seconds": 1.5,
        "objective_values": (score,) if state == "complete" else (), "start_time": 1000 * number,
        "end_time": 1000 * number + 500, **more,
    }  # fmt: skip
    return TrialResult(number=number, state=state, **fields)


def study(name: str, *trials: TrialResult, best: int | None = 0, **more: Any) -> StudySummary:
    fields = {
        "metric": "accuracy", "direction": "higher", "objectives": ("score",), "sampler": "tpe",
        "pruner": "median_then_wilcoxon", "n_folds": 2, "seed": 7, "storage_uri": "journal.log",
        "search_space": SEARCH, "n_trials": len(trials), "pareto_front": (), "baseline_trial_number": 0, **more,
    }  # fmt: skip
    return StudySummary(unique_id=f"id-{name}", name=name, model=name, trials=trials, best_trial_number=best, **fields)


def runs(client: MlflowClient, name: str) -> tuple[Run, list[Run]]:
    """Return the parent run of a study, and the runs of its trials by number."""
    experiment = client.get_experiment_by_name(f"study/{name}")
    assert experiment is not None
    all_runs = client.search_runs([experiment.experiment_id], max_results=1000)
    (parent,) = (run for run in all_runs if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in all_runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == len(all_runs) - 1
    return parent, sorted(children, key=lambda run: int(run.data.tags["fivefold.trial"]))


REASON = "its 1 folds are worse"


def test_a_child_run_has_the_results_of_its_trial(client: MlflowClient) -> None:
    summary = study(
        "one", trial(0, 0.7, 0.9), trial(1, 0.6, state="pruned", reason=REASON), trial(2, state="failed", reason="no"),
        trial(3, 0.5, state="running"), trial(4, state="waiting", start_time=None, end_time=None),
    )  # fmt: skip
    assert sync_study(summary, is_running=True) == "MLflow: experiment study/one, run one, 3 trials"
    parent, (first, second, third) = runs(client, "one")
    assert (parent.info.status, parent.info.run_name) == ("RUNNING", "one")
    assert [run.info.run_name for run in (first, second, third)] == ["trial 0", "trial 1 pruned", "trial 2"]
    assert [run.info.status for run in (first, second, third)] == ["FINISHED", "FINISHED", "FAILED"]
    assert first.data.params == {"network.dropout": "0.0", "network.hidden": "[8, 0]"}
    assert first.data.metrics == {"accuracy": pytest.approx(0.8), "fold/accuracy": 0.9, "seconds": 1.5}
    folds = client.get_metric_history(first.info.run_id, "fold/accuracy")
    assert [(point.step, point.value) for point in folds] == [(1, 0.7), (2, 0.9)]
    assert first.info.end_time == 500
    assert "accuracy" not in second.data.metrics  # the score of some folds must not be ranked with others
    assert (second.data.tags["fivefold.state"], second.data.tags["fivefold.reason"]) == ("pruned", REASON)
    assert third.data.tags["fivefold.reason"] == "no"


def test_logging_again_adds_only_new_trials(client: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "history.png").write_bytes(b"an image")
    three = [trial(0, 0.7, 0.7), trial(1, 0.6, 0.6), trial(2, 0.8, 0.8)]
    sync_study(study("two", three[0], trial(1, state="running")), is_running=True)
    before, _ = runs(client, "two")
    assert sync_study(study("two", *three, best=2), [tmp_path / "history.png"], is_running=False).endswith(", 3 trials")
    for _ in range(2):
        assert sync_study(study("two", *three, best=2), is_running=False).endswith(", 3 trials")
    parent, children = runs(client, "two")
    assert parent.info.run_id == before.info.run_id
    assert parent.info.status == "FINISHED"
    assert len(children) == 3
    points = client.get_metric_history(parent.info.run_id, "accuracy")
    assert [(point.step, point.value) for point in points] == [(1, 0.7), (3, pytest.approx(0.8))]
    assert parent.data.metrics["accuracy"] == pytest.approx(0.8)
    assert (parent.data.tags["best"], parent.data.tags["best.network.dropout"]) == ("trial 2", "0.02")
    assert [file.path for file in client.list_artifacts(parent.info.run_id, "plots")] == ["plots/history.png"]


def test_the_parent_run_has_the_search_space_and_the_first_settings(client: MlflowClient) -> None:
    """Settings that are unknown before the first trial are logged later."""
    sync_study(study("settings", sampler=None, pruner=None, best=None), is_running=True)
    assert "sampler" not in runs(client, "settings")[0].data.params
    for sampler in ("tpe", "grid"):
        sync_study(study("settings", trial(0, 0.7, 0.7), sampler=sampler), is_running=False)
    parent, _ = runs(client, "settings")
    assert parent.data.params == {
        "sampler": "tpe", "pruner": "median_then_wilcoxon", "folds": "2", "seed": "7", "metric": "accuracy",
        "objectives": "score", "storage": "journal.log",
        "search.network.dropout": "0.0 to 0.5, when network.norm: [none, layer]",
        "search.network.hidden": "[8], [16, 8]",
        "search.training.optimizer.lr": "0.00003 to 0.03, log",
        "search.training.batch_size": "16 to 64, step 16",
    }  # fmt: skip
    description = parent.data.tags["mlflow.note.content"]
    assert "Sampler grid, pruner median_then_wilcoxon, 2 folds, seed 7." in description


def test_an_incomplete_run_of_a_trial_is_completed(client: MlflowClient) -> None:
    sync_study(study("half", trial(0, 0.7, 0.7)), is_running=True)
    _, (run,) = runs(client, "half")
    tags = {**run.data.tags, "fivefold.trial": "1"}
    client.create_run(run.info.experiment_id, tags=tags)
    assert sync_study(study("half", trial(0, 0.7, 0.7), trial(1, 0.8, 0.8), best=1), is_running=False).endswith(
        ", 2 trials"
    )
    _, children = runs(client, "half")
    assert [child.info.status for child in children] == ["FINISHED", "FINISHED"]
    assert children[1].data.metrics["accuracy"] == 0.8


def test_a_stopped_study_is_killed_and_a_resumed_one_continues_its_run(client: MlflowClient) -> None:
    waiting = trial(1, state="waiting")
    for is_running, status in ((True, "RUNNING"), (False, "KILLED"), (True, "RUNNING")):
        sync_study(study("stopped", trial(0, 0.7, 0.7), waiting), is_running=is_running)
        assert runs(client, "stopped")[0].info.status == status


def test_another_study_of_the_same_name_is_another_run(client: MlflowClient) -> None:
    first = study("again", trial(0, 0.7, 0.7))
    sync_study(first, is_running=False)
    sync_study(first.model_copy(update={"unique_id": "another"}), is_running=False)
    experiment = client.get_experiment_by_name("study/again")
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 4


def test_with_several_objectives_there_is_a_pareto_front_and_no_best_trial(client: MlflowClient) -> None:
    complete = trial(0, 0.7, 0.7, objective_values=(0.7, 120.0))
    summary = study("front", complete, best=None, pareto_front=(0,), objectives=("score", "parameters"))
    sync_study(summary, is_running=False)
    parent, (run,) = runs(client, "front")
    assert run.data.metrics["parameters"] == 120
    assert "best" not in parent.data.tags
    assert "Pareto-optimal trials: 0." in parent.data.tags["mlflow.note.content"].splitlines()


def test_a_metric_with_any_target_name_is_logged(client: MlflowClient) -> None:
    sync_study(study("odd", trial(0, 0.7, 0.7), metric="süß (%)/accuracy"), is_running=False)
    parent, (run,) = runs(client, "odd")
    assert parent.data.metrics == {"süß ___/accuracy": 0.7}
    assert run.data.metrics["fold/süß ___/accuracy"] == 0.7


def test_the_experiment_of_the_pipeline_has_no_runs_of_studies(client: MlflowClient) -> None:
    sync_study(study("apart", trial(0, 0.7, 0.7)), is_running=False)
    main = client.get_experiment_by_name(store.EXPERIMENT)
    assert main is not None
    assert len(client.search_runs([main.experiment_id])) == 0


def test_an_unreachable_store_is_reported_within_seconds(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    started = time.monotonic()
    message = sync_study(study("down", trial(0, 0.7, 0.7)), is_running=True)
    assert message == (
        "not logged to MLflow: no response from http://127.0.0.1:9;"
        " the study continues and is logged when it next finishes"
    )
    assert time.monotonic() - started < 10
