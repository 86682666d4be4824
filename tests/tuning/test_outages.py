"""What a run does without: workers of another machine that take long, a disk with room, a database that answers."""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator
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
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.execution.worker import run_worker
from fivefold.tuning.identity import FOLD_SCORES
from fivefold.tuning.results.mlflow import StudyLogger

from .projects import FAMILIES, model_of, write_project

RATE = {"training": {"optimizer": {"lr": {"type": "float", "low": 0.001, "high": 0.03, "log": True}}}}
LOG = Path("worker.log")


@dataclass
class Fork:
    """One worker, forked off this process, which has imported everything. room: bytes of the largest file it writes."""

    total: int
    room: int = resource.RLIM_INFINITY
    running: dict[int, BaseProcess] = field(default_factory=dict)

    def start_missing(self, max_new: int) -> None:
        if not self.running and max_new:
            self.running[0] = multiprocessing.get_context("fork").Process(target=self._run)
            self.running[0].start()

    def _run(self) -> None:
        with LOG.open("a") as log:
            sys.stdout = sys.stderr = log
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.room, resource.RLIM_INFINITY))
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


def opened(total: int, epochs: int = 2) -> TrialQueue:
    if not Path("params.yaml").exists():
        study = {"folds": 2, "sampler": "random", "pruner": "none"}
        training = {"max_epochs": epochs}
        write_project(
            Path(), {"mlp": model_of(*FAMILIES["mlp"], search=RATE, study=study, training=training)}
        )  # fmt: skip
    return open_study("mlp", "mlp", total)[1]


def lead(total: int, team: Fork, said: StringIO | None = None) -> None:
    """Do what `fivefold study run` does, in this process."""
    search, trials, total = open_study("mlp", "mlp", total)
    with translate_storage_errors("mlp"), _stop_on_exit(team, trials):
        _supervise(
            team,
            trials,
            total,
            StudyProgress(search, trials, total, Console(file=said or StringIO())),
            StudyLogger("mlp"),
        )


def complete(total: int) -> list[FrozenTrial]:
    """Return all trials: exactly so many, each of them with its folds."""
    every = TrialQueue.load("mlp").get_trials()
    assert [trial.state.name for trial in every] == ["COMPLETE"] * total
    assert all(len(trial.user_attrs[FOLD_SCORES]) == 2 for trial in every)
    return every


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)


def test_a_run_waits_for_trials_of_another_machine_and_says_so(place: str) -> None:
    trials, said = opened(3), StringIO()
    foreign = WorkerLock("mlp")
    foreign.name = f"elsewhere/{foreign.token}"
    theirs = trials.claim(foreign, 3, 2)
    if place != "journal":
        foreign.release()  # its lock lies on its own machine
    team = Fork(3)

    def another_machine() -> None:
        until(said.getvalue)
        here = TrialQueue.load("mlp")
        for each in theirs:
            trial = Trial(here.study, each._trial_id)
            trial.set_user_attr(FOLD_SCORES, [{}, {}])
            here.finish(trial, [0.5], TrialState.COMPLETE)

    thread = Thread(target=another_machine)
    thread.start()
    lead(3, team, said)
    thread.join()
    words = " ".join(said.getvalue().split())
    assert words == "mlp: no place is free; waiting for 2 trials that other workers have"
    assert [trial.value for trial in complete(3)][:2] == [0.5, 0.5]


def test_a_disk_that_is_full_loses_nothing_that_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(STORAGE_VARIABLE, raising=False)
    opened(3)
    lead(1, Fork(1))
    size = journal_path("mlp").stat().st_size
    with pytest.raises(StudyError) as stopped:
        lead(3, Fork(3, room=size + 1200))
    assert str(stopped.value).startswith(f"{journal_path('mlp')} must take what a study tells, but does not: ")
    assert "make room and run the same command again: all that was told before is kept" in str(stopped.value)
    told = complete_so_far()
    assert 1 <= len(told) < 3
    lead(3, Fork(3))
    assert [trial.value for trial in complete(3) if trial.number in told] == [*told.values()]


def complete_so_far() -> dict[int, float | None]:
    return {trial.number: trial.value for trial in TrialQueue.load("mlp").get_trials(TrialState.COMPLETE)}


@pytest.mark.usefixtures("connections")
def test_a_database_that_is_lost_in_the_middle_and_comes_back_has_the_exact_total(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_server: Server, database: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(STORAGE_VARIABLE, database)
    trials = opened(3, epochs=20)

    def stop() -> None:
        until(lambda: {trial.state for trial in trials.get_trials()} >= {TrialState.COMPLETE, TrialState.RUNNING})
        postgres_server.stop()

    thread = Thread(target=stop)
    thread.start()
    try:
        with pytest.raises(
            StudyError, match=r"must answer, but does not: .*; when it does, run the same command again"
        ):
            lead(3, Fork(3))
    finally:
        thread.join()
        postgres_server.start()
    told = complete_so_far()
    assert 1 <= len(told) < 3
    lead(3, Fork(3))
    assert [trial.value for trial in complete(3) if trial.number in told] == [*told.values()]
