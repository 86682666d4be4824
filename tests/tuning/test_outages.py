"""Runs that wait for other machines, lose disk space, or lose their database."""

import multiprocessing
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread

import pytest
from optuna import Trial
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from benchmarks.postgres import Server
from fivefold.errors import StudyError
from fivefold.tuning.execution.liveness import WorkerLock
from fivefold.tuning.execution.processes import last_line, run_as_worker
from fivefold.tuning.execution.progress import StudyProgress
from fivefold.tuning.execution.run import _stop_on_exit, _supervise, open_study
from fivefold.tuning.execution.storage import STORAGE_VARIABLE, journal_path, translate_storage_errors
from fivefold.tuning.execution.study_logger import StudyLogger
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.execution.worker import run_worker
from fivefold.tuning.identity import FOLD_SCORES

from .helpers import LR_SEARCH, wait_until
from .projects import FAMILIES, model_block, write_project

LOG = Path("worker.log")


@dataclass
class ForkedWorkerPool:
    """A pool of one worker, forked off this process to save imports. max_file_size: limit of its files in bytes."""

    total: int
    max_file_size: int = resource.RLIM_INFINITY
    running: dict[int, BaseProcess] = field(default_factory=dict)

    def start_missing(self, max_new: int) -> None:
        if not self.running and max_new:
            self.running[0] = multiprocessing.get_context("fork").Process(target=self._run)
            self.running[0].start()

    def _run(self) -> None:
        with LOG.open("a") as log:
            sys.stdout = sys.stderr = log
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.max_file_size, resource.RLIM_INFINITY))
            run_as_worker(lambda: run_worker("mlp", "mlp", self.total, vectorize=False))

    def poll_exit_codes(self) -> Iterator[tuple[int, int]]:
        if self.running and (code := self.running[0].exitcode) is not None:
            del self.running[0]
            yield 0, code

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
            process.join()

    def last_output_line(self, number: int) -> str:
        return last_line(LOG.read_text())

    def log_location(self, number: int) -> str:
        return str(LOG)


def open_example(total: int, epochs: int = 2) -> TrialQueue:
    if not Path("params.yaml").exists():
        study = {"folds": 2, "sampler": "random", "pruner": "none"}
        block = model_block(*FAMILIES["mlp"], search=LR_SEARCH, study=study, training={"max_epochs": epochs})
        write_project(Path(), {"mlp": block})
    return open_study("mlp", "mlp", total)[1]


def supervise(total: int, pool: ForkedWorkerPool, output: StringIO | None = None) -> None:
    """Run a study as `fivefold study run` does, in this process."""
    search, trials, total = open_study("mlp", "mlp", total)
    with translate_storage_errors("mlp"), _stop_on_exit(pool, trials):
        progress = StudyProgress(search, trials, total, Console(file=output or StringIO()))
        _supervise(
            pool,
            trials,
            total,
            progress,
            StudyLogger("mlp"),
        )


def assert_all_complete(total: int) -> list[FrozenTrial]:
    """Return all trials; their number is exact, and each has all folds."""
    trials = TrialQueue.load("mlp").get_trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * total
    assert all(len(trial.user_attrs[FOLD_SCORES]) == 2 for trial in trials)
    return trials


def test_run_waits_for_trials_of_another_machine(storage_kind: str) -> None:
    trials, output = open_example(3), StringIO()
    other_worker = WorkerLock("mlp")
    other_worker.name = f"elsewhere/{other_worker.token}"
    claimed = trials.claim(other_worker, 3, 2)
    if storage_kind != "journal":
        other_worker.release()  # its lock is on its own machine

    def finish_on_other_machine() -> None:
        wait_until(output.getvalue)
        queue = TrialQueue.load("mlp")
        for frozen in claimed:
            trial = Trial(queue.study, frozen._trial_id)
            trial.set_user_attr(FOLD_SCORES, [{}, {}])
            queue.finish(trial, [0.5], TrialState.COMPLETE)

    thread = Thread(target=finish_on_other_machine)
    thread.start()
    supervise(3, ForkedWorkerPool(3), output)
    thread.join()
    text = " ".join(output.getvalue().split())
    assert text == "mlp: no trial is free; waiting for 2 trials of other workers"
    assert [trial.value for trial in assert_all_complete(3)][:2] == [0.5, 0.5]


def test_full_disk_loses_no_recorded_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(STORAGE_VARIABLE, raising=False)
    open_example(3)
    supervise(1, ForkedWorkerPool(1))
    size = journal_path("mlp").stat().st_size
    with pytest.raises(StudyError) as stopped:
        supervise(3, ForkedWorkerPool(3, max_file_size=size + 1200))
    assert str(stopped.value).startswith(f"{journal_path('mlp')} must be writable, but is not: ")
    assert "free disk space and run the same command again: everything recorded so far is stored" in str(stopped.value)
    values = completed_values()
    assert 1 <= len(values) < 3
    supervise(3, ForkedWorkerPool(3))
    assert [trial.value for trial in assert_all_complete(3) if trial.number in values] == [*values.values()]


def completed_values() -> dict[int, float | None]:
    return {trial.number: trial.value for trial in TrialQueue.load("mlp").get_trials(TrialState.COMPLETE)}


@pytest.mark.usefixtures("connections")
def test_lost_database_that_returns_has_the_exact_total(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_server: Server, database: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(STORAGE_VARIABLE, database)
    trials = open_example(3, epochs=20)

    def stop() -> None:
        wait_until(lambda: {trial.state for trial in trials.get_trials()} >= {TrialState.COMPLETE, TrialState.RUNNING})
        postgres_server.stop()

    thread = Thread(target=stop)
    thread.start()
    try:
        with pytest.raises(
            StudyError, match=r"must respond, but does not: .*; once it does, run the same command again"
        ):
            supervise(3, ForkedWorkerPool(3))
    finally:
        thread.join()
        postgres_server.start()
    values = completed_values()
    assert 1 <= len(values) < 3
    supervise(3, ForkedWorkerPool(3))
    assert [trial.value for trial in assert_all_complete(3) if trial.number in values] == [*values.values()]
