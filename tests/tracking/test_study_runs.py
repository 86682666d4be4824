"""A study is one run with a run below it for each trial, in a real store; told again, it is the same."""

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
    """Of a store that the tests share, each with a study of its own: SQLite takes seconds to make one."""
    folder = tmp_path_factory.mktemp("project")
    (folder / ".dvc").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("DVC_ROOT", str(folder))
        patch.chdir(folder)
        yield store.open_store()[0]


def trial(number: int, *folds: float, state: TrialStatus = "complete", **more: Any) -> TrialResult:
    score = sum(folds) / len(folds) if folds else None
    given = {
        "values": {"network.dropout": number / 100, "network.hidden": [8, number]}, "score": score, "deviation": None,
        "folds": folds, "curve": (), "objectives": (score,) if state == "complete" else (), "own": number == 0,
        "reason": "", "seconds": 1.5, "began": 1000 * number, "ended": 1000 * number + 500, **more,
    }  # fmt: skip
    return TrialResult(number=number, state=state, **given)


def study(name: str, *trials: TrialResult, best: int | None = 0, **more: Any) -> StudySummary:
    given = {
        "metric": "accuracy", "better": "higher", "objectives": ("score",), "sampler": "tpe",
        "pruner": "median_then_wilcoxon", "folds": 2, "seed": 7, "where": "journal.log", "search": SEARCH,
        "total": len(trials), "front": (), "baseline": 0, **more,
    }  # fmt: skip
    return StudySummary(unique_id=f"mark-{name}", name=name, model=name, trials=trials, best_trial_number=best, **given)


def runs(client: MlflowClient, name: str) -> tuple[Run, list[Run]]:
    """The run of a study, and those of its trials by number."""
    experiment = client.get_experiment_by_name(f"study/{name}")
    assert experiment is not None
    every = client.search_runs([experiment.experiment_id], max_results=1000)
    (parent,) = (run for run in every if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in every if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == len(every) - 1
    return parent, sorted(children, key=lambda run: int(run.data.tags["fivefold.trial"]))


REASON = "its 1 folds are worse"


def test_a_run_has_what_its_trial_found(client: MlflowClient) -> None:
    facts = study(
        "one", trial(0, 0.7, 0.9), trial(1, 0.6, state="pruned", reason=REASON), trial(2, state="failed", reason="no"),
        trial(3, 0.5, state="running"), trial(4, state="waiting", began=None, ended=None),
    )  # fmt: skip
    assert sync_study(facts, is_running=True) == "MLflow: experiment study/one, run one, 3 trials"
    parent, (first, second, third) = runs(client, "one")
    assert (parent.info.status, parent.info.run_name) == ("RUNNING", "one")
    assert [run.info.run_name for run in (first, second, third)] == ["trial 0", "trial 1 pruned", "trial 2"]
    assert [run.info.status for run in (first, second, third)] == ["FINISHED", "FINISHED", "FAILED"]
    assert first.data.params == {"network.dropout": "0.0", "network.hidden": "[8, 0]"}
    assert first.data.metrics == {"accuracy": pytest.approx(0.8), "fold/accuracy": 0.9, "seconds": 1.5}
    folds = client.get_metric_history(first.info.run_id, "fold/accuracy")
    assert [(point.step, point.value) for point in folds] == [(1, 0.7), (2, 0.9)]
    assert first.info.end_time == 500
    assert "accuracy" not in second.data.metrics  # of some folds only: it must not be ranked with the others
    assert (second.data.tags["fivefold.state"], second.data.tags["fivefold.reason"]) == ("pruned", REASON)
    assert third.data.tags["fivefold.reason"] == "no"


def test_told_again_only_what_is_new_is_added(client: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "history.png").write_bytes(b"a picture")
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
    assert [file.path for file in client.list_artifacts(parent.info.run_id, "pictures")] == ["pictures/history.png"]


def test_the_run_of_a_study_says_what_is_searched_and_how_it_began(client: MlflowClient) -> None:
    """Also where it begins before the first trial: what is known then is told, the rest later."""
    sync_study(study("what", sampler=None, prune=None, best=None), is_running=True)
    assert "sampler" not in runs(client, "what")[0].data.params
    for sampler in ("tpe", "grid"):
        sync_study(study("what", trial(0, 0.7, 0.7), sampler=sampler), is_running=False)
    parent, _ = runs(client, "what")
    assert parent.data.params == {
        "sampler": "tpe", "pruner": "median_then_wilcoxon", "folds": "2", "seed": "7", "metric": "accuracy", "objectives": "score",
        "storage": "journal.log",
        "search.network.dropout": "0.0 to 0.5, when network.norm: [none, layer]",
        "search.network.hidden": "[8], [16, 8]",
        "search.training.optimizer.lr": "0.00003 to 0.03, log",
        "search.training.batch_size": "16 to 64, step 16",
    }  # fmt: skip
    assert "Sampler grid, pruning two_stage, 2 folds, seed 7." in parent.data.tags["mlflow.note.content"]


def test_a_run_that_was_left_half_told_is_told_to_its_end(client: MlflowClient) -> None:
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


def test_a_study_that_is_stopped_is_killed_and_goes_on_in_its_run(client: MlflowClient) -> None:
    left = trial(1, state="waiting")
    for running, status in ((True, "RUNNING"), (False, "KILLED"), (True, "RUNNING")):
        sync_study(study("stopped", trial(0, 0.7, 0.7), left), is_running=running)
        assert runs(client, "stopped")[0].info.status == status


def test_another_study_of_the_same_name_is_another_run(client: MlflowClient) -> None:
    first = study("again", trial(0, 0.7, 0.7))
    sync_study(first, is_running=False)
    sync_study(first.model_copy(update={"mark": "another"}), is_running=False)
    experiment = client.get_experiment_by_name("study/again")
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 4


def test_of_several_objectives_there_is_no_best(client: MlflowClient) -> None:
    one = trial(0, 0.7, 0.7, objectives=(0.7, 120.0))
    sync_study(study("front", one, best=None, front=(0,), objectives=("score", "parameters")), is_running=False)
    parent, (run,) = runs(client, "front")
    assert run.data.metrics["parameters"] == 120
    assert "best" not in parent.data.tags
    assert "none beats in all objectives: 0" in parent.data.tags["mlflow.note.content"]


def test_a_metric_of_a_target_of_any_name_is_told(client: MlflowClient) -> None:
    sync_study(study("odd", trial(0, 0.7, 0.7), metric="süß (%)/accuracy"), is_running=False)
    parent, (run,) = runs(client, "odd")
    assert parent.data.metrics == {"süß ___/accuracy": 0.7}
    assert run.data.metrics["fold/süß ___/accuracy"] == 0.7


def test_the_experiment_of_the_pipeline_has_nothing_of_it(client: MlflowClient) -> None:
    sync_study(study("apart", trial(0, 0.7, 0.7)), is_running=False)
    main = client.get_experiment_by_name(store.EXPERIMENT)
    assert main is not None
    assert len(client.search_runs([main.experiment_id])) == 0


def test_a_store_that_is_down_costs_seconds_and_a_line(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    started = time.monotonic()
    said = sync_study(study("down", trial(0, 0.7, 0.7)), is_running=True)
    assert said.startswith("not in MLflow yet: nothing answers at http://127.0.0.1:9; the study goes on")
    assert time.monotonic() - started < 10
