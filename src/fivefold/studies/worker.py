"""A process that runs trials of a study until no place is free.

python -m fivefold.studies.worker MODEL STUDY TOTAL stack|alone
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime

from optuna import Trial
from optuna.trial import FrozenTrial, TrialState

from ..errors import FivefoldError, StudyError
from ..stages.guard import Stopped, end_with_parent, exit_on_signals
from ..stages.run import end
from .objective import Running
from .samplers import method_of, sampler_of
from .search import Search
from .storage import reading
from .together import BATCH, run_together, stackable
from .trials import REASON, Trials, Worker

STACK, ALONE = "stack", "alone"
"""Words of the command line: whether trials may learn together."""
FAILURES = 5
"""Trials that fail one after the other before a study stops."""


def work(model: str, study: str, total: int, *, stack: bool = True) -> int:
    """Run trials until none of the first `total` is free; return how many there were.

    stack: whether trials of small networks may learn together.

    Raises:
        StudyError: the storage does not answer, or trial after trial fails.
    """
    search = Search.read(model)
    with reading(study):
        trials = Trials.open(study, search.identity(), search.directions())
        worker, began, done = Worker(study), datetime.now(), 0
        stack = stack and stackable(search)
        try:
            while places := trials.take(worker, total, BATCH if stack else 1):
                for number, state in _run(search, trials, places, total, stack=stack).items():
                    print(f"trial {number}: {state.name.lower()}", flush=True)
                done += len(places)
                _stop_if_all_fail(trials, began)
        finally:
            worker.close()
    return done


def _run(
    search: Search, trials: Trials, places: Sequence[FrozenTrial], total: int, *, stack: bool
) -> dict[int, TrialState]:
    """Run the trials of places; return by number how each ended. Those that a signal interrupts are given back."""
    method = method_of(search.study, search.space, total)
    every: list[Running] = []
    with ExitStack() as beating:
        try:
            for place in places:
                trials.study.sampler = sampler_of(method, search.space.seed, place.number)
                trial = Trial(trials.study, place._trial_id)
                beating.enter_context(trials.beating(trial))
                search.space.suggest(trial)  # kept: the next one's sampler sees them
                every.append(Running(search, trials, trial))
            states = run_together(every) if stack else [running.run() for running in every]
        except Stopped:
            trials.give_back(places)
            raise
    return dict(zip((place.number for place in places), states, strict=True))


def _stop_if_all_fail(trials: Trials, began: datetime) -> None:
    ended = (trial for trial in trials.all() if trial.datetime_complete and trial.datetime_complete >= began)
    last = sorted(ended, key=lambda trial: trial.datetime_complete or began)[-FAILURES:]
    if len(last) == FAILURES and all(trial.state == TrialState.FAIL for trial in last):
        raise StudyError(
            f"{FAILURES} trials in a row failed, the last one, number {last[-1].number}, since"
            f" {last[-1].user_attrs.get(REASON, 'its worker died')}; mend that, or narrow the ranges in `search`"
        )


def main() -> None:
    """Run as a process of its own."""
    exit_on_signals()
    end_with_parent()
    model, study, total, stack = sys.argv[1:]
    try:
        work(model, study, int(total), stack=stack == STACK)
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        end(error.exit_code)
    except Stopped as stop:
        end(stop.exit_code)
    end(0)


if __name__ == "__main__":
    main()
