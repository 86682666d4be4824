"""Worker process that runs trials of a study until none is free.

Usage: python -m fivefold.tuning.execution.worker PARENT MODEL STUDY TOTAL vectorize|sequential

PARENT is the id of the process with which the worker ends.
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
from .processes import VECTORIZE, run_as_worker
from .progress import trial_line
from .storage import hold_study_lock, translate_storage_errors
from .trials import TrialQueue
from .vectorized import TRIALS_PER_BATCH, can_vectorize, run_vectorized

POLL_SECONDS = 2
"""Seconds between two attempts of a waiting worker to claim a trial."""


def run_worker(model: str, study: str, total: int, *, vectorize: bool = True, wait: bool = False) -> int:
    """Run trials until none of the first `total` is free; return their number.

    vectorize: whether trials of small networks may train as one tensor program.
    wait: whether to wait for running trials of others, which become free if their workers die.

    Raises:
        StudyError: the storage does not respond, or too many trials in a row fail.
    """
    search = Search.read(model)
    sampler_factory = SamplerFactory.from_study(search.study, search.space, total)
    with translate_storage_errors(study), defer_signals():
        trials = TrialQueue.open(study, search.identity(), search.directions())
        with hold_study_lock(study):
            trials.release_dead()
            remove_stale_locks(study)
            worker = WorkerLock(study)
        finished_before, n_run = trials.finished_numbers(), 0
        vectorize = vectorize and can_vectorize(search)
        while claimed := _claim_trials(trials, worker, total, TRIALS_PER_BATCH if vectorize else 1, wait=wait):
            _run_trials(search, sampler_factory, trials, worker, claimed, vectorize=vectorize)
            _report_trials(search, trials, claimed, total)
            n_run += len(claimed)
            if reason := trials.failure_streak(finished_before):
                worker.release()
                raise StudyError(reason)
        worker.release()  # not if it ends otherwise: it then counts as dead, and its trials are released
    return n_run


def _claim_trials(
    trials: TrialQueue, worker: WorkerLock, total: int, max_trials: int, *, wait: bool
) -> list[FrozenTrial]:
    """Return trials that are assigned to the worker now; an empty list if none is left."""
    reported = False
    while not (claimed := trials.claim(worker, total, max_trials)) and wait:
        raise_if_stopped()
        n_left = sum(not trial.state.is_finished() for trial in trials.get_trials()[:total])
        if not n_left:
            break
        if not reported:
            print(f"no trial is free; waiting for {n_left} trials of other workers", flush=True)
            reported = True
        time.sleep(POLL_SECONDS)
    return claimed


def _report_trials(search: Search, trials: TrialQueue, claimed: Sequence[FrozenTrial], total: int) -> None:
    """Print how the claimed trials ended; one that is still running belongs to another worker now."""
    all_trials = trials.get_trials()[:total]
    own = [all_trials[trial.number] for trial in claimed]
    n_finished = sum(trial.state.is_finished() for trial in all_trials) - sum(
        trial.state.is_finished() for trial in own
    )
    for trial in own:
        n_finished += trial.state.is_finished()
        print(trial_line(search, trials, trial, n_finished, total), flush=True)


def _run_trials(
    search: Search,
    sampler_factory: SamplerFactory,
    trials: TrialQueue,
    worker: WorkerLock,
    claimed: Sequence[FrozenTrial],
    *,
    vectorize: bool,
) -> None:
    """Run the claimed trials; those that a signal interrupts are released."""
    runners: list[TrialRunner] = []
    try:
        with trials.heartbeat(claimed):
            # under the lock, no two workers draw the same point
            with nullcontext() if sampler_factory.points is None else hold_study_lock(trials.name):
                for frozen in claimed:
                    trials.study.sampler = sampler_factory.sampler_for_trial(frozen.number, trials.get_trials())
                    trial = Trial(trials.study, frozen._trial_id)
                    with suppress(*TRIAL_LOST_ERRORS):
                        search.space.suggest(trial)  # stored, so that the sampler of the next trial knows the values
                    runners.append(TrialRunner(search, trials, trial))
            if vectorize:
                run_vectorized(runners)
            else:
                for runner in runners:
                    runner.run()
        raise_if_stopped()
    except StopRequested:
        with suppress(FivefoldError, OptunaError, SQLAlchemyError):  # else it is released once this process has ended
            trials.release(claimed, worker)
        raise


def main() -> None:
    """Run the worker process."""
    parent, model, study, total, mode = sys.argv[1:]
    run_as_worker(lambda: run_worker(model, study, int(total), vectorize=mode == VECTORIZE), int(parent))


if __name__ == "__main__":
    main()
