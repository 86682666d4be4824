"""A stopped study is logged to MLflow with its trials and its state, and can be continued."""

import signal
from pathlib import Path

import pytest

from fivefold.stages.signals import StopRequested
from fivefold.tracking import store
from fivefold.tuning.execution.study_logger import StudyLogger
from fivefold.tuning.results.mlflow import log_study

from .example import add_trial, create_project, open_example


def test_stopped_study_is_logged_and_can_be_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_project(tmp_path, monkeypatch)
    study = open_example()
    study[1].enqueue(2, [])
    client, experiment = store.open_store("study/net")

    def parent_run() -> tuple[str, str | None]:
        (run,) = (run for run in client.search_runs([experiment]) if "mlflow.parentRunId" not in run.data.tags)
        return run.info.status, run.data.tags.get("complete")

    def stop_after(folds: list[float]) -> None:
        """Stop a run in which a trial has finished, or none if `folds` is empty."""
        with StudyLogger("net") as study_logger:
            study_logger.log_if_due(len(study[1].finished_numbers()))
            if folds:
                add_trial(study, folds=folds)
            study_logger.log_if_due(len(study[1].finished_numbers()))
            raise StopRequested(signal.SIGINT)

    with pytest.raises(StopRequested):
        stop_after([])
    assert not client.search_runs([experiment])  # there was nothing new to log
    with pytest.raises(StopRequested):
        stop_after([0.5, 0.6, 0.7])
    assert parent_run() == ("KILLED", "1")
    log_study(study[1], "running")
    assert parent_run() == ("RUNNING", "1")
    log_study(study[1], "finished")  # a run with one trial; the waiting ones are those of an earlier, larger total
    assert parent_run() == ("FINISHED", "1")
