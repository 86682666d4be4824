"""Vectorized trials: all folds of trials with the same architecture train as one tensor program."""

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
"""Trials that a worker claims together; with more, a sampler would suggest too many values without new results."""


@dataclass
class PreparedTrial:
    """A trial that is ready to train with others.

    fold_scores: of finished folds. jobs: trainings of the remaining folds. intermediate_values: score of the first fold
    per epoch. prune_reason: why the trial is pruned; "" if it is not.
    """

    runner: TrialRunner
    model: Model
    fold_scores: list[Scores]
    jobs: list[Job]
    intermediate_values: list[float] = field(default_factory=list)
    prune_reason: str = ""


def can_vectorize(search: Search) -> bool:
    """Return whether the model of params.yaml can be trained vectorized."""
    return not ineligible_reason([_build_job(search, search.space.base_model, 0)])


def run_vectorized(runners: Sequence[TrialRunner]) -> list[TrialState]:
    """Train, evaluate and record trials; return their states, RUNNING if another worker has one now.

    Trials with invalid values fail; trials that share no architecture run one after the other.
    """
    states: dict[int, TrialState] = {}
    groups: list[list[PreparedTrial]] = []
    for runner in runners:
        started = time.monotonic()
        try:
            prepared = _prepare_trial(runner)
        except STORAGE_ERRORS:
            raise
        except TRIAL_LOST_ERRORS:
            states[runner.trial.number] = TrialState.RUNNING
            continue
        except FivefoldError as error:
            states[runner.trial.number] = runner.finish(TrialState.FAIL, None, str(error), time.monotonic() - started)
            continue
        if ineligible_reason(prepared.jobs):
            states[runner.trial.number] = runner.run()
            continue
        matching = (group for group in groups if not ineligible_reason([*group[0].jobs, *prepared.jobs]))
        group = next(matching, None)
        if group is None:
            groups.append(group := [])
        group.append(prepared)
    for group in groups:
        states |= _run_group(group)
    return [states[runner.trial.number] for runner in runners]


def _prepare_trial(runner: TrialRunner) -> PreparedTrial:
    """Build the model of a trial and the jobs of its remaining folds.

    Raises:
        FivefoldError: the model is invalid or does not match the data.
    """
    model, fold_scores = runner.build_model(), runner.finished_fold_scores()
    remaining = range(len(fold_scores), len(runner.search.folds))
    jobs = [_build_job(runner.search, model, number) for number in remaining]
    return PreparedTrial(runner, model, fold_scores, jobs)


def _build_job(search: Search, model: Model, fold_number: int) -> Job:
    dataset, pipeline = search.folds[fold_number].prepare(model, search.space.seed)
    return Job(model, dataset, pipeline, search.space.seed)


def _run_group(group: Sequence[PreparedTrial]) -> dict[int, TrialState]:
    """Train all folds of a group as one program and record its trials; return their states by number."""
    started = time.monotonic()
    jobs = [job for prepared in group for job in prepared.jobs]
    owners = [(prepared, i) for prepared in group for i in range(len(prepared.jobs))]

    def on_epoch(_: int, active: Sequence[int], metrics: Sequence[Metrics]) -> Collection[int]:
        """Update the curves of the first folds; return the jobs of pruned trials."""
        with defer_signals():
            for index, job_metrics in zip(active, metrics, strict=True):
                prepared, number = owners[index]
                if number == 0 and not prepared.fold_scores:
                    _update_curve(prepared, job_metrics)
        return [index for index in active if owners[index][0].prune_reason]

    with allow_signals():
        results = fit_vectorized(group[0].runner.search.space.name, jobs, on_epoch)
    states = {}
    for prepared in group:
        own_results = [result for result, (owner, _) in zip(results, owners, strict=True) if owner is prepared]
        seconds = (time.monotonic() - started) / len(group)
        states[prepared.runner.trial.number] = _finish_trial(prepared, own_results, seconds)
    return states


def _update_curve(prepared: PreparedTrial, metrics: Metrics) -> None:
    """Append an epoch to a trial's curve, and set the reason if the trial is pruned."""
    epochs = prepared.model.training.max_epochs
    prepared.intermediate_values.append(prepared.runner.search.objective_metric.epoch_score(metrics))
    if len(prepared.intermediate_values) < epochs:
        prepared.prune_reason = prepared.runner.prune_reason(prepared.intermediate_values, epochs)


def _finish_trial(prepared: PreparedTrial, job_results: Sequence[JobResult | None], seconds: float) -> TrialState:
    """Evaluate and record a trial; return its state, RUNNING if another worker has it now."""
    runner, trial = prepared.runner, prepared.runner.trial
    try:
        runner.trials.require_owned(trial)
        if prepared.intermediate_values:
            trial.set_user_attr(INTERMEDIATE_VALUES, prepared.intermediate_values)
        error = next((result.error for result in job_results if result and result.error), "")
        if prepared.prune_reason or error:
            state = TrialState.PRUNED if prepared.prune_reason else TrialState.FAIL
            return runner.finish(state, None, prepared.prune_reason or error, seconds)
        for job, result in zip(prepared.jobs, job_results, strict=True):
            assert result is not None
            scores = runner.compute_scores(
                prepared.model, result.trained_model, job.dataset, result.metrics_by_epoch, result.best_epoch
            )
            prepared.fold_scores.append(scores)
        trial.set_user_attr(FOLD_SCORES, prepared.fold_scores)
        runner.report_mean(prepared.fold_scores)
        return runner.finish(TrialState.COMPLETE, runner.compute_objectives(prepared.fold_scores), "", seconds)
    except STORAGE_ERRORS:
        raise
    except FivefoldError as failure:  # a prediction is not finite
        return runner.finish(TrialState.FAIL, None, str(failure), seconds)
    except TRIAL_LOST_ERRORS:
        return TrialState.RUNNING
