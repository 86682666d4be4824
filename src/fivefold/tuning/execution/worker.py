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
from ...stages.signals import Stopped, shielded, stop_if_asked
from ..samplers import Sampling
from ..search import Search
from .liveness import Worker, bury_all
from .objective import LOST, Running
from .processes import as_worker
from .progress import line
from .storage import exclusive, reading
from .trials import Trials
from .vectorized import BATCH, run_together, stackable

STACK, ALONE = "stack", "alone"
"""Words of the command line: whether trials may learn together."""
PERIOD = 2
"""Seconds between two looks for a free place, where a worker waits for one."""


def work(model: str, study: str, total: int, *, stack: bool = True, wait: bool = False) -> int:
    """Run trials until none of the first `total` is free; return how many there were.

    stack: whether trials of small networks may learn together.
    wait: whether to wait for trials that others have, whose places are free again if they die.

    Raises:
        StudyError: the storage does not answer, or trial after trial fails.
    """
    search = Search.read(model)
    sampling = Sampling.of(search.study, search.space, total)
    with reading(study), shielded():
        trials = Trials.open(study, search.identity(), search.directions())
        with exclusive(study):
            trials.free_dead()
            bury_all(study)
            worker = Worker(study)
        before, done = trials.ended(), 0
        stack = stack and stackable(search)
        while places := _places(trials, worker, total, BATCH if stack else 1, wait=wait):
            _run(search, sampling, trials, worker, places, stack=stack)
            _tell(search, trials, places, total)
            done += len(places)
            if why := trials.failing(before):
                worker.close()
                raise StudyError(why)
        worker.close()  # one that ends otherwise is dead: what it may have had is free again
    return done


def _places(trials: Trials, worker: Worker, total: int, most: int, *, wait: bool) -> list[FrozenTrial]:
    """Return places that are the worker's now; none if none is left."""
    said = False
    while not (places := trials.take(worker, total, most)) and wait:
        stop_if_asked()
        left = sum(not trial.state.is_finished() for trial in trials.all()[:total])
        if not left:
            break
        if not said:
            print(f"no place is free; waiting for {left} trials that other workers have", flush=True)
            said = True
        time.sleep(PERIOD)
    return places


def _tell(search: Search, trials: Trials, places: Sequence[FrozenTrial], total: int) -> None:
    """Say how the trials of places ended; one that is running still is another worker's now."""
    every = trials.all()[:total]
    mine = [every[place.number] for place in places]
    ended = sum(trial.state.is_finished() for trial in every) - sum(trial.state.is_finished() for trial in mine)
    for trial in mine:
        ended += trial.state.is_finished()
        print(line(search, trials, trial, ended, total), flush=True)


def _run(
    search: Search, sampling: Sampling, trials: Trials, worker: Worker, places: Sequence[FrozenTrial], *, stack: bool
) -> None:
    """Run the trials of places. Those that a signal interrupts are given back."""
    every: list[Running] = []
    try:
        with trials.beating(places):
            with nullcontext() if sampling.points is None else exclusive(trials.name):  # no two draw the same
                for place in places:
                    trials.study.sampler = sampling.sampler(place.number, trials.all())
                    trial = Trial(trials.study, place._trial_id)
                    with suppress(*LOST):
                        search.space.suggest(trial)  # kept: the next one's sampler sees them
                    every.append(Running(search, trials, trial))
            if stack:
                run_together(every)
            else:
                for running in every:
                    running.run()
        stop_if_asked()
    except Stopped:
        with suppress(FivefoldError, OptunaError, SQLAlchemyError):  # else it is free once this process has ended
            trials.give_back(places, worker)
        raise


def main() -> None:
    """Run as a process of its own."""
    parent, model, study, total, stack = sys.argv[1:]
    as_worker(lambda: work(model, study, int(total), stack=stack == STACK), int(parent))


if __name__ == "__main__":
    main()
