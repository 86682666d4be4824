"""Several trials at once: all folds of those that share an architecture learn as one tensor program."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from optuna.trial import TrialState

from ...config.models import Model
from ...errors import FivefoldError
from ...stages.signals import allow_signals, defer_signals
from ...training.callbacks import Metrics
from ...training.vectorized.eligibility import ineligible_reason
from ...training.vectorized.fit import fit_vectorized
from ...training.vectorized.job import Job, JobResult
from ..identity import FOLD_SCORES, INTERMEDIATE_VALUES
from ..search import Search
from .objective import STORAGE_ERRORS, TRIAL_LOST_ERRORS, Scores, TrialRunner

TRIALS_PER_BATCH = 4
"""Trials that a worker takes at once where they may learn together: more would choose their values in the dark."""


@dataclass
class PreparedTrial:
    """A trial that learns with others.

    jobs: of the folds that are left. curve: how good its first fold was, epoch by epoch. reason: why it was given up.
    """

    runner: TrialRunner
    model: Model
    fold_scores: list[Scores]
    jobs: list[Job]
    intermediate_values: list[float] = field(default_factory=list)
    prune_reason: str = ""


def can_vectorize(search: Search) -> bool:
    """Return whether the model as params.yaml has it can learn in a stack."""
    return not ineligible_reason([_build_job(search, search.space.base_model, 0)])


def run_vectorized(runners: Sequence[TrialRunner]) -> list[TrialState]:
    """Train, judge and tell trials; return how each ended, RUNNING if another worker has it now.

    Those whose values make no model fail; those that share no architecture learn one after the other.
    """
    states: dict[int, TrialState] = {}
    groups: list[list[PreparedTrial]] = []
    for running in runners:
        started = time.monotonic()
        try:
            begun = _prepare_trial(running)
        except STORAGE_ERRORS:
            raise
        except TRIAL_LOST_ERRORS:
            states[running.trial.number] = TrialState.RUNNING
            continue
        except FivefoldError as error:
            states[running.trial.number] = running.finish(TrialState.FAIL, None, str(error), time.monotonic() - started)
            continue
        if ineligible_reason(begun.jobs):
            states[running.trial.number] = running.run()
            continue
        fitting = (group for group in groups if not ineligible_reason([*group[0].jobs, *begun.jobs]))
        group = next(fitting, None)
        if group is None:
            groups.append(group := [])
        group.append(begun)
    for group in groups:
        states |= _run_group(group)
    return [states[running.trial.number] for running in runners]


def _prepare_trial(runner: TrialRunner) -> PreparedTrial:
    """Return a trial that is ready to learn.

    Raises:
        FivefoldError: its values make no model for these rows.
    """
    model, found = runner.build_model(), runner.finished_fold_scores()
    left = range(len(found), len(runner.search.folds))
    return PreparedTrial(runner, model, found, [_build_job(runner.search, model, number) for number in left])


def _build_job(search: Search, model: Model, fold_number: int) -> Job:
    dataset, chain = search.folds[fold_number].prepare(model, search.space.seed)
    return Job(model, dataset, chain, search.space.seed)


def _run_group(group: Sequence[PreparedTrial]) -> dict[int, TrialState]:
    """Train all folds of a group at once, and tell its trials; return by number how each ended."""
    started = time.monotonic()
    jobs = [job for begun in group for job in begun.jobs]
    owners = [(begun, i) for begun in group for i in range(len(begun.jobs))]

    def look(_: int, places: Sequence[int], metrics: Sequence[Metrics]) -> Collection[int]:
        with defer_signals():
            for place, measured in zip(places, metrics, strict=True):
                begun, number = owners[place]
                if number == 0 and not begun.fold_scores:
                    _update_curve(begun, measured)
        return [place for place in places if owners[place][0].prune_reason]

    with allow_signals():
        outcomes = fit_vectorized(group[0].runner.search.space.name, jobs, look)
    states = {}
    for begun in group:
        mine = [outcome for outcome, (owner, _) in zip(outcomes, owners, strict=True) if owner is begun]
        seconds = (time.monotonic() - started) / len(group)
        states[begun.runner.trial.number] = _finish_trial(begun, mine, seconds)
    return states


def _update_curve(prepared: PreparedTrial, metrics: Metrics) -> None:
    """Go on with a trial's curve; say why it is given up, if it is."""
    epochs = prepared.model.training.max_epochs
    prepared.intermediate_values.append(prepared.runner.search.objective_metric.epoch_score(metrics))
    if len(prepared.intermediate_values) < epochs:
        prepared.prune_reason = prepared.runner.prune_reason(prepared.intermediate_values, epochs)


def _finish_trial(prepared: PreparedTrial, job_results: Sequence[JobResult | None], seconds: float) -> TrialState:
    """Judge a trial and tell how it ended; RUNNING if another worker has it now."""
    running, trial = prepared.runner, prepared.runner.trial
    try:
        running.trials.require_owned(trial)
        if prepared.intermediate_values:
            trial.set_user_attr(INTERMEDIATE_VALUES, prepared.intermediate_values)
        error = next((outcome.error for outcome in job_results if outcome and outcome.error), "")
        if prepared.prune_reason or error:
            state = TrialState.PRUNED if prepared.prune_reason else TrialState.FAIL
            return running.finish(state, None, prepared.prune_reason or error, seconds)
        for job, outcome in zip(prepared.jobs, job_results, strict=True):
            assert outcome is not None
            scores = running.compute_scores(
                prepared.model, outcome.trained_model, job.dataset, outcome.metrics_by_epoch, outcome.best_epoch
            )
            prepared.fold_scores.append(scores)
        trial.set_user_attr(FOLD_SCORES, prepared.fold_scores)
        running.report_mean(prepared.fold_scores)
        return running.finish(TrialState.COMPLETE, running.compute_objectives(prepared.fold_scores), "", seconds)
    except STORAGE_ERRORS:
        raise
    except FivefoldError as failure:  # a prediction is not finite
        return running.finish(TrialState.FAIL, None, str(failure), seconds)
    except TRIAL_LOST_ERRORS:
        return TrialState.RUNNING
