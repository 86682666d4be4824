"""Run a study: enqueue trials, start workers, replace those that were killed, and show the progress."""

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from ... import paths
from ...errors import ParamsError, StudyError
from ...folds import check_leakage
from ...stages.signals import StopRequested, defer_signals, raise_if_stopped
from ..grid import describe_grid
from ..samplers import SamplerFactory
from ..search import Search, validate_selections
from ..space_check import validate_bounds
from .liveness import remove_stale_locks
from .processes import SEQUENTIAL, VECTORIZE, ProcessWorkerPool
from .progress import StudyProgress
from .storage import hold_study_lock, translate_storage_errors
from .study_logger import StudyLogger
from .trials import TrialQueue

POLL_SECONDS = 0.5
"""Seconds between two checks of the trials."""
STOP_EXIT_CODES = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""Exit codes of a worker that ended because of a signal."""
MAX_DEATHS_IN_A_ROW = 10
"""Killed workers without a finished trial in between, after which a study stops."""


class WorkerPool(Protocol):
    """Workers of one study, numbered from 0. running: those whose exit code was not yet returned, by number."""

    running: dict[int, Any]

    def start_missing(self, max_new: int) -> None:
        """Start the workers that are not running, at most `max_new`."""

    def poll_exit_codes(self) -> Iterator[tuple[int, int]]:
        """Yield number and exit code of each worker that has ended since the last call; negative: it was killed."""

    def stop(self) -> None:
        """Stop all workers and wait for their end."""

    def last_output_line(self, number: int) -> str:
        """Return the last line of a worker's output."""

    def log_location(self, number: int) -> str:
        """Return where the full output of a worker is stored."""


def open_study(model: str, study: str, total: int | None) -> tuple[Search, TrialQueue, int]:
    """Open a study of `model` and enqueue its trials; return also their total number.

    total: requested number of trials; None: as configured.

    Raises:
        ParamsError: its search space is invalid, or its configuration has changed.
        DataError: there are too few rows.
        StudyError: its storage does not respond.
    """
    search = Search.read(model)
    space = search.space
    if not space.ranges:
        raise ParamsError(
            f"models.{model}.search must contain the ranges that a study searches, but is missing; write a range in"
            " place of a value, for instance"
            " search: {training: {optimizer: {lr: {type: float, low: 0.0001, high: 0.03, log: true}}}}"
        )
    validate_bounds(space, lambda model: check_leakage(space.name, model, search.study.folds))
    validate_selections(search)
    total = total or search.study.n_trials
    sampler_factory = SamplerFactory.from_study(search.study, space, total)
    if sampler_factory.method == "grid" and sampler_factory.points is not None:
        print(describe_grid(space, len(sampler_factory.points)), flush=True)
    with translate_storage_errors(study), defer_signals():
        trials = TrialQueue.open(study, search.identity(), search.directions())
        trials.enqueue(1, space.initial_trials())
        n_possible = sampler_factory.max_trials(total, trials.get_trials())
        trials.set_total(n_possible)
    if n_possible < total:
        print(
            f"{study}: at most {n_possible} trials instead of {total}, which cover every point of the search space",
            flush=True,
        )
    return search, trials, n_possible


def run_study(
    model: str, study: str, total: int | None, workers: int, *, vectorize: bool = True, ray_address: str | None = None
) -> TrialQueue:
    """Run a study until it has `total` trials in all; None: as configured.

    vectorize: whether trials of small networks may train as one tensor program.
    ray_address: address of a Ray cluster that runs the workers; None: processes of this machine.

    Raises:
        StudyError: a worker failed, or no trial is complete.
    """
    search, trials, total = open_study(model, study, total)
    worker_args = [model, study, str(total), VECTORIZE if vectorize else SEQUENTIAL]
    pool = _build_pool(worker_args, study, workers, ray_address)
    with translate_storage_errors(study), StudyProgress(search, trials, total) as progress, defer_signals():
        with StudyLogger(study) as study_logger, _stop_on_exit(pool, trials):
            _supervise(pool, trials, total, progress, study_logger)
        remove_checkpoints(trials)
    try:
        print(study_logger.log_final())
    except StopRequested as stop:
        stop.add_note(f"{study} has {total} trials; rerun the same command to log the remaining ones to MLflow")
        raise
    if not trials.get_trials(TrialState.COMPLETE):
        raise StudyError(
            f"a study must have a complete trial, but none of the {total} of {study} is; run"
            f" `fivefold study show {study}` for the reasons"
        )
    return trials


def _build_pool(worker_args: list[str], study: str, workers: int, ray_address: str | None) -> WorkerPool:
    if ray_address is None:
        return ProcessWorkerPool(worker_args, paths.study_dir(study) / "logs", workers)
    from .ray import RayWorkerPool

    return RayWorkerPool.connect(ray_address, worker_args, workers)


def _supervise(
    pool: WorkerPool, trials: TrialQueue, total: int, progress: StudyProgress, study_logger: StudyLogger
) -> None:
    n_deaths, n_finished, finished_before = 0, -1, trials.finished_numbers()
    while True:
        raise_if_stopped()
        with hold_study_lock(trials.name):
            trials.release_dead()
        all_trials = trials.get_trials()[:total]
        progress.update(all_trials)
        n_waiting = sum(trial.state == TrialState.WAITING for trial in all_trials) + total - len(all_trials)
        n_done = sum(trial.state.is_finished() for trial in all_trials)
        if n_done == total:
            return
        study_logger.log_if_due(n_done)
        n_deaths = 0 if n_done > n_finished else n_deaths
        n_finished = n_done
        for number, code in pool.poll_exit_codes():
            if code > 0 and code not in STOP_EXIT_CODES:
                raise StudyError(_worker_failure(pool, number))
            n_deaths += code != 0  # killed, or stopped by someone else
        if reason := trials.failure_streak(finished_before):
            raise StudyError(reason)
        if n_deaths >= MAX_DEATHS_IN_A_ROW:
            raise StudyError(f"{n_deaths} workers in a row were killed; free memory or start fewer with --workers")
        if n_waiting:
            pool.start_missing(n_waiting)
        elif not pool.running:
            progress.report_waiting(total - n_done)
        time.sleep(POLL_SECONDS)


def _worker_failure(pool: WorkerPool, number: int) -> str:
    output = pool.last_output_line(number).removeprefix("error: ")
    return f"{output or f'worker {number} exited without output'} (full log: {pool.log_location(number)})"


@contextmanager
def _stop_on_exit(pool: WorkerPool, trials: TrialQueue) -> Iterator[None]:
    """Stop all workers at the end of the context and release their trials."""
    try:
        yield
    finally:
        pool.stop()
        with suppress(StudyError, SQLAlchemyError, StorageInternalError), hold_study_lock(trials.name):
            trials.release_dead()  # else the next run does
            remove_stale_locks(trials.name)


def remove_checkpoints(trials: TrialQueue) -> None:
    """Remove checkpoints of finished trials, which killed workers have left."""
    for number in trials.finished_numbers():
        shutil.rmtree(trials.work_dir(number), ignore_errors=True)
