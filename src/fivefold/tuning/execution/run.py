"""Run a study: places are made, workers take them, one that was killed is replaced, and a person sees how it goes."""

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
from ..results.mlflow import StudyLogger
from ..samplers import SamplerFactory
from ..search import Search, validate_selections
from ..space_check import validate_bounds
from .liveness import remove_stale_locks
from .processes import ProcessWorkerPool
from .progress import StudyProgress
from .storage import hold_study_lock, translate_storage_errors
from .trials import TrialQueue

POLL_SECONDS = 0.5
"""Seconds between two looks at the trials."""
STOP_EXIT_CODES = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""Exit codes of a worker that a signal asked to end."""
MAX_DEATHS_IN_A_ROW = 10
"""Of one worker after the other, without a trial that ended in between, before a study stops."""


class WorkerPool(Protocol):
    """Workers of one study, numbered from 0. living: those that were started and not yet told to have ended."""

    running: dict[int, Any]

    def start_missing(self, max_new: int) -> None:
        """Start up to so many of those that are missing."""

    def poll_exit_codes(self) -> Iterator[tuple[int, int]]:
        """Yield number and exit code of each worker that has ended since; below 0, it was killed."""

    def stop(self) -> None:
        """Ask all to end, and wait until they have."""

    def last_output_line(self, number: int) -> str:
        """Return the last line that a worker said."""

    def log_location(self, number: int) -> str:
        """Return where all that a worker said stands."""


def open_study(model: str, study: str, total: int | None) -> tuple[Search, TrialQueue, int]:
    """Open a study of `model` with places for its trials; return also how many there are to be in all.

    Raises:
        ParamsError: its space is not in order, or the study is one of something else.
        DataError: its rows do not suffice.
        StudyError: its storage does not answer.
    """
    search = Search.read(model)
    space = search.space
    if not space.ranges:
        raise ParamsError(
            f"models.{model}.search must say what a study tries, but is missing; write a range where a value stands,"
            " for instance search: {training: {optimizer: {lr: {type: float, low: 0.0001, high: 0.03, log: true}}}}"
        )
    validate_bounds(space, lambda model: check_leakage(space.name, model, search.study.folds))
    validate_selections(search)
    total = total or search.study.n_trials
    sampling = SamplerFactory.from_study(search.study, space, total)
    if sampling.method == "grid" and sampling.points is not None:
        print(describe_grid(space, len(sampling.points)), flush=True)
    with translate_storage_errors(study), defer_signals():
        trials = TrialQueue.open(study, search.identity(), search.directions())
        trials.enqueue(1, space.initial_trials())
        possible = sampling.max_trials(total, trials.get_trials())
        trials.set_total(possible)
    if possible < total:
        print(
            f"{study} has {possible} trials at most, not {total}: then every point of its space was tried", flush=True
        )
    return search, trials, possible


def run_study(
    model: str, study: str, total: int | None, workers: int, *, vectorize: bool = True, ray_address: str | None = None
) -> TrialQueue:
    """Run a study until it has `total` trials in all; None: as many as params.yaml says.

    stack: whether trials of small networks may learn together.
    address: of a Ray cluster whose tasks the workers are to be; None: they are processes of this machine.

    Raises:
        StudyError: a worker cannot go on.
    """
    search, trials, total = open_study(model, study, total)
    team = _build_pool([model, study, str(total), "stack" if vectorize else "alone"], study, workers, ray_address)
    with translate_storage_errors(study), StudyProgress(search, trials, total) as live, defer_signals():
        with StudyLogger(study) as telling, _stop_on_exit(team, trials):
            _supervise(team, trials, total, live, telling)
        remove_checkpoints(trials)
    try:
        print(telling.log_final())
    except StopRequested as stop:
        stop.add_note(f"{study} has its {total} trials; what MLflow lacks of them, the same command tells")
        raise
    if not trials.get_trials(TrialState.COMPLETE):
        raise StudyError(f"{study} has {total} trials, but none is complete; `fivefold study show {study}` says why")
    return trials


def _build_pool(worker_args: list[str], study: str, workers: int, ray_address: str | None) -> WorkerPool:
    if ray_address is None:
        return ProcessWorkerPool(worker_args, paths.study_dir(study) / "logs", workers)
    from .ray import RayWorkerPool

    return RayWorkerPool.connect(ray_address, worker_args, workers)


def _supervise(
    pool: WorkerPool, trials: TrialQueue, total: int, progress: StudyProgress, study_logger: StudyLogger
) -> None:
    deaths, ended, before = 0, -1, trials.finished_numbers()
    while True:
        raise_if_stopped()
        with hold_study_lock(trials.name):
            trials.release_dead()
        every = trials.get_trials()[:total]
        progress.update(every)
        waiting = sum(trial.state == TrialState.WAITING for trial in every) + total - len(every)
        done = sum(trial.state.is_finished() for trial in every)
        if done == total:
            return
        study_logger.log_if_due(done)
        deaths = 0 if done > ended else deaths
        ended = done
        for number, code in pool.poll_exit_codes():
            if code > 0 and code not in STOP_EXIT_CODES:
                raise StudyError(_worker_failure(pool, number))
            deaths += code != 0  # killed, or asked to end by somebody else
        if why := trials.failure_streak(before):
            raise StudyError(why)
        if deaths >= MAX_DEATHS_IN_A_ROW:
            raise StudyError(f"{deaths} workers in a row were killed; free memory, or start fewer with --workers")
        if waiting:
            pool.start_missing(waiting)
        elif not pool.running:
            progress.report_waiting(total - done)
        time.sleep(POLL_SECONDS)


def _worker_failure(pool: WorkerPool, number: int) -> str:
    said = pool.last_output_line(number).removeprefix("error: ")
    return f"{said or f'worker {number} failed without a word'} ({pool.log_location(number)} has the whole)"


@contextmanager
def _stop_on_exit(pool: WorkerPool, trials: TrialQueue) -> Iterator[None]:
    """Have no worker outlive this, and no place be theirs."""
    try:
        yield
    finally:
        pool.stop()
        with suppress(StudyError, SQLAlchemyError, StorageInternalError), hold_study_lock(trials.name):
            trials.release_dead()  # else the next run does
            remove_stale_locks(trials.name)


def remove_checkpoints(trials: TrialQueue) -> None:
    """Remove checkpoints of trials that have ended: of workers that were killed before they could."""
    for number in trials.finished_numbers():
        shutil.rmtree(trials.work_dir(number), ignore_errors=True)
