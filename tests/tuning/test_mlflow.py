"""MLflow is told of a study that is stopped: what was found, and that it goes on no more, until it does."""

import signal
from pathlib import Path

import pytest

from fivefold.stages.signals import StopRequested
from fivefold.tracking import store
from fivefold.tuning.results.mlflow import StudyLogger, log_study

from .example import add, opened, project


def test_a_study_that_is_stopped_tells_what_it_found_and_then_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, monkeypatch)
    pair = opened()
    pair[1].enqueue(2, [])
    client, experiment = store.open_store("study/net")

    def parent() -> tuple[str, str | None]:
        (run,) = (run for run in client.search_runs([experiment]) if "mlflow.parentRunId" not in run.data.tags)
        return run.info.status, run.data.tags.get("complete")

    def stopped(folds: list[float]) -> None:
        """Stop a run in which a trial has ended, or none."""
        with StudyLogger("net") as telling:
            telling.log_if_due(len(pair[1].finished_numbers()))
            if folds:
                add(pair, folds=folds)
            telling.log_if_due(len(pair[1].finished_numbers()))
            raise StopRequested(signal.SIGINT)

    with pytest.raises(StopRequested):
        stopped([])
    assert not client.search_runs([experiment])  # nothing is new: nobody waits
    with pytest.raises(StopRequested):
        stopped([0.5, 0.6, 0.7])
    assert parent() == ("KILLED", "1")
    log_study(pair[1], "running")
    assert parent() == ("RUNNING", "1")
    log_study(pair[1], "over")  # a run that asked for one trial; those that are waiting were asked for before
    assert parent() == ("FINISHED", "1")
