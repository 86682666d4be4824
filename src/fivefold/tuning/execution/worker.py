"""A process that runs trials of a study until no place is free.

python -m fivefold.tuning.execution.worker PARENT MODEL STUDY TOTAL stack|alone

PARENT is the process with which it ends.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress

from optuna import Trial
from optuna.exceptions import OptunaError
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError

from ...errors import FivefoldError, StudyError
from ...stages.signals import StopRequested, defer_signals, raise_if_stopped
from ..samplers import SamplerFactory
from ..search import Search
from .liveness import WorkerLock, remove_stale_locks
from .objective import TRIAL_LOST_ERRORS, TrialRunner
from .processes import run_as_worker
from .progress import trial_line
from .storage import hold_study_lock, translate_storage_errors
from .trials import TrialQueue
from .vectorized import TRIALS_PER_BATCH, can_vectorize, run_vectorized

VECTORIZE, SEQUENTIAL = "stack", "alone"
"""Words of the command line: whether trials may learn together."""
POLL_SECONDS = 2
"""Seconds between two looks for a free place, where a worker waits for one."""


def run_worker(model: str, study: str, total: int, *, vectorize: bool = True, wait: bool = False) -> int:
    """Run trials until none of the first `total` is free; return how many there were.

    stack: whether trials of small networks may learn together.
    wait: whether to wait for trials that others have, whose places are free again if they die.

    Raises:
        StudyError: the storage does not answer, or trial after trial fails.
    """
    search = Search.read(model)
    sampling = SamplerFactory.from_study(search.study, search.space, total)
    with translate_storage_errors(study), defer_signals():
        trials = TrialQueue.open(study, search.identity(), search.directions())
        with hold_study_lock(study):
            trials.release_dead()
            remove_stale_locks(study)
            worker = WorkerLock(study)
        before, done = trials.finished_numbers(), 0
        vectorize = vectorize and can_vectorize(search)
        while places := _claim_trials(trials, worker, total, TRIALS_PER_BATCH if vectorize else 1, wait=wait):
            _run_trials(search, sampling, trials, worker, places, vectorize=vectorize)
            _report_trials(search, trials, places, total)
            done += len(places)
            if why := trials.failure_streak(before):
                worker.release()
                raise StudyError(why)
        worker.release()  # one that ends otherwise is dead: what it may have had is free again
    return done


def _claim_trials(
    trials: TrialQueue, worker: WorkerLock, total: int, max_trials: int, *, wait: bool
) -> list[FrozenTrial]:
    """Return places that are the worker's now; none if none is left."""
    said = False
    while not (places := trials.claim(worker, total, max_trials)) and wait:
        raise_if_stopped()
        left = sum(not trial.state.is_finished() for trial in trials.get_trials()[:total])
        if not left:
            break
        if not said:
            print(f"no place is free; waiting for {left} trials that other workers have", flush=True)
            said = True
        time.sleep(POLL_SECONDS)
    return places


def _report_trials(search: Search, trials: TrialQueue, claimed: Sequence[FrozenTrial], total: int) -> None:
    """Say how the trials of places ended; one that is running still is another worker's now."""
    every = trials.get_trials()[:total]
    mine = [every[place.number] for place in claimed]
    ended = sum(trial.state.is_finished() for trial in every) - sum(trial.state.is_finished() for trial in mine)
    for trial in mine:
        ended += trial.state.is_finished()
        print(trial_line(search, trials, trial, ended, total), flush=True)


def _run_trials(
    search: Search,
    sampler_factory: SamplerFactory,
    trials: TrialQueue,
    worker: WorkerLock,
    claimed: Sequence[FrozenTrial],
    *,
    vectorize: bool,
) -> None:
    """Run the trials of places. Those that a signal interrupts are given back."""
    every: list[TrialRunner] = []
    try:
        with trials.heartbeat(claimed):
            with (
                nullcontext() if sampler_factory.points is None else hold_study_lock(trials.name)
            ):  # no two draw the same
                for place in claimed:
                    trials.study.sampler = sampler_factory.sampler_for_trial(place.number, trials.get_trials())
                    trial = Trial(trials.study, place._trial_id)
                    with suppress(*TRIAL_LOST_ERRORS):
                        search.space.suggest(trial)  # kept: the next one's sampler sees them
                    every.append(TrialRunner(search, trials, trial))
            if vectorize:
                run_vectorized(every)
            else:
                for running in every:
                    running.run()
        raise_if_stopped()
    except StopRequested:
        with suppress(FivefoldError, OptunaError, SQLAlchemyError):  # else it is free once this process has ended
            trials.release(claimed, worker)
        raise


def main() -> None:
    """Run as a process of its own."""
    parent, model, study, total, stack = sys.argv[1:]
    run_as_worker(lambda: run_worker(model, study, int(total), vectorize=stack == VECTORIZE), int(parent))


if __name__ == "__main__":
    main()
