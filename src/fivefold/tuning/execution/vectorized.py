"""Several trials at once: all folds of those that share an architecture learn as one tensor program."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from optuna.trial import TrialState

from ...config.models import Model
from ...errors import FivefoldError
from ...stages.signals import exposed, shielded
from ...training.callbacks import Metrics
from ...training.vectorized.eligibility import why_not
from ...training.vectorized.fit import fit_stack
from ...training.vectorized.job import Job, Outcome
from ..identity import CURVE, FOLDS
from ..search import Search
from .objective import LOST, STORAGE, Running, Scores

BATCH = 4
"""Trials that a worker takes at once where they may learn together: more would choose their values in the dark."""


@dataclass
class Begun:
    """A trial that learns with others.

    jobs: of the folds that are left. curve: how good its first fold was, epoch by epoch. reason: why it was given up.
    """

    running: Running
    model: Model
    found: list[Scores]
    jobs: list[Job]
    curve: list[float] = field(default_factory=list)
    reason: str = ""


def stackable(search: Search) -> bool:
    """Return whether the model as params.yaml has it can learn in a stack."""
    return not why_not([_job(search, search.space.base, 0)])


def run_together(every: Sequence[Running]) -> list[TrialState]:
    """Train, judge and tell trials; return how each ended, RUNNING if another worker has it now.

    Those whose values make no model fail; those that share no architecture learn one after the other.
    """
    states: dict[int, TrialState] = {}
    groups: list[list[Begun]] = []
    for running in every:
        started = time.monotonic()
        try:
            begun = _begun(running)
        except STORAGE:
            raise
        except LOST:
            states[running.trial.number] = TrialState.RUNNING
            continue
        except FivefoldError as error:
            states[running.trial.number] = running.end(TrialState.FAIL, None, str(error), time.monotonic() - started)
            continue
        if why_not(begun.jobs):
            states[running.trial.number] = running.run()
            continue
        fitting = (group for group in groups if not why_not([*group[0].jobs, *begun.jobs]))
        group = next(fitting, None)
        if group is None:
            groups.append(group := [])
        group.append(begun)
    for group in groups:
        states |= _run(group)
    return [states[running.trial.number] for running in every]


def _begun(running: Running) -> Begun:
    """Return a trial that is ready to learn.

    Raises:
        FivefoldError: its values make no model for these rows.
    """
    model, found = running.model(), running.found()
    left = range(len(found), len(running.search.folds))
    return Begun(running, model, found, [_job(running.search, model, number) for number in left])


def _job(search: Search, model: Model, number: int) -> Job:
    dataset, chain = search.folds[number].prepared(model, search.space.seed)
    return Job(model, dataset, chain, search.space.seed)


def _run(group: Sequence[Begun]) -> dict[int, TrialState]:
    """Train all folds of a group at once, and tell its trials; return by number how each ended."""
    started = time.monotonic()
    jobs = [job for begun in group for job in begun.jobs]
    owners = [(begun, i) for begun in group for i in range(len(begun.jobs))]

    def look(_: int, places: Sequence[int], metrics: Sequence[Metrics]) -> Collection[int]:
        with shielded():
            for place, measured in zip(places, metrics, strict=True):
                begun, number = owners[place]
                if number == 0 and not begun.found:
                    _look(begun, measured)
        return [place for place in places if owners[place][0].reason]

    with exposed():
        outcomes = fit_stack(group[0].running.search.space.name, jobs, look)
    states = {}
    for begun in group:
        mine = [outcome for outcome, (owner, _) in zip(outcomes, owners, strict=True) if owner is begun]
        seconds = (time.monotonic() - started) / len(group)
        states[begun.running.trial.number] = _tell(begun, mine, seconds)
    return states


def _look(begun: Begun, measured: Metrics) -> None:
    """Go on with a trial's curve; say why it is given up, if it is."""
    epochs = begun.model.training.max_epochs
    begun.curve.append(begun.running.search.goal.of_epoch(measured))
    if len(begun.curve) < epochs:
        begun.reason = begun.running.behind(begun.curve, epochs)


def _tell(begun: Begun, outcomes: Sequence[Outcome | None], seconds: float) -> TrialState:
    """Judge a trial and tell how it ended; RUNNING if another worker has it now."""
    running, trial = begun.running, begun.running.trial
    try:
        running.trials.keep(trial)
        if begun.curve:
            trial.set_user_attr(CURVE, begun.curve)
        error = next((outcome.error for outcome in outcomes if outcome and outcome.error), "")
        if begun.reason or error:
            state = TrialState.PRUNED if begun.reason else TrialState.FAIL
            return running.end(state, None, begun.reason or error, seconds)
        for job, outcome in zip(begun.jobs, outcomes, strict=True):
            assert outcome is not None
            scores = running.scores(begun.model, outcome.saved, job.dataset, outcome.epochs, outcome.kept_epoch)
            begun.found.append(scores)
        trial.set_user_attr(FOLDS, begun.found)
        running.tell_mean(begun.found)
        return running.end(TrialState.COMPLETE, running.objectives(begun.found), "", seconds)
    except STORAGE:
        raise
    except FivefoldError as failure:  # a prediction is not finite
        return running.end(TrialState.FAIL, None, str(failure), seconds)
    except LOST:
        return TrialState.RUNNING
