"""A process that runs trials of a study until no place is free: python -m fivefold.studies.worker MODEL STUDY TOTAL."""

import sys
from datetime import datetime

from optuna import Trial
from optuna.trial import TrialState

from ..errors import FivefoldError, StudyError
from ..stages.guard import Stopped, end_with_parent, exit_on_signals
from ..stages.run import end
from .objective import Running
from .samplers import method_of, sampler_of
from .search import Search
from .storage import reading
from .trials import REASON, Trials, Worker

FAILURES = 5
"""Trials that fail one after the other before a study stops."""


def work(model: str, study: str, total: int) -> int:
    """Run trials until none of the first `total` is free; return how many there were.

    Raises:
        StudyError: the storage does not answer, or trial after trial fails.
    """
    search = Search.read(model)
    with reading(study):
        trials = Trials.open(study, search.identity(), search.directions())
        worker, began, done = Worker(study), datetime.now(), 0
        try:
            while place := trials.take(worker, total):
                trials.study.sampler = sampler_of(
                    method_of(search.study, search.space, total), search.space.seed, place.number
                )
                try:
                    trial = Trial(trials.study, place._trial_id)
                    with trials.beating(trial):
                        state = Running(search, trials, trial).run()
                except Stopped:
                    trials.give_back(place)
                    raise
                done += 1
                print(f"trial {place.number}: {state.name.lower()}", flush=True)
                _stop_if_all_fail(trials, began)
        finally:
            worker.close()
    return done


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
    model, study, total = sys.argv[1:]
    try:
        work(model, study, int(total))
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        end(error.exit_code)
    except Stopped as stop:
        end(stop.exit_code)
    end(0)


if __name__ == "__main__":
    main()
