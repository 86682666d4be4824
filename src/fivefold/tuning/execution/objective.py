"""One trial: build its model, train it on each fold, and evaluate it on the held-out rows."""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

from optuna import Trial, TrialPruned
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from ...config.models import Model
from ...config.search import SEARCHABLE_BLOCKS
from ...data.dataset import Dataset
from ...errors import BusyError, FivefoldError, StudyError, TrainingError
from ...models.feature_extractor import load_reference
from ...models.serialization import TrainedModel
from ...preprocessing.pipeline import Pipeline
from ...stages.signals import allow_signals, defer_signals
from ...tracking.pretrained import load_registered
from ...training.callbacks import Metrics
from ...training.fit import fit
from .. import pruners, scoring
from ..identity import (
    COMPUTE_SECONDS,
    FOLD_SCORES,
    INTERMEDIATE_VALUES,
    IS_BASELINE,
    MEAN_SCORES,
    MODEL_BLOCK,
    REASON,
    SEARCH_METHOD,
    TRIAL_PARAMS,
)
from ..samplers import sampler_name
from ..search import Search
from .liveness import TrialLost
from .trials import TrialQueue

Scores = dict[str, float]

STORAGE_ERRORS = (StudyError, BusyError)
"""The storage failed, which is no fault of the trial."""
TRIAL_LOST_ERRORS = (TrialLost, UpdateFinishedTrialError)
"""Another worker runs the trial, or has finished it."""


@dataclass(frozen=True)
class TrialRunner:
    """Runs one trial in this process."""

    search: Search
    trials: TrialQueue
    trial: Trial

    def run(self) -> TrialState:
        """Train, evaluate and record the trial, fold by fold; return its state, RUNNING if another worker has it."""
        started, state, values, reason = time.monotonic(), TrialState.COMPLETE, None, ""
        try:
            values = self._run_folds()
        except TrialPruned as why:
            state, reason = TrialState.PRUNED, str(why)
        except STORAGE_ERRORS:
            raise
        except FivefoldError as error:  # the values are invalid or training failed
            state, reason = TrialState.FAIL, str(error)
        except TRIAL_LOST_ERRORS:
            return TrialState.RUNNING
        return self.finish(state, values, reason, time.monotonic() - started)

    def _run_folds(self) -> list[float]:
        """Return the objective values of the trial.

        Raises:
            TrialPruned: the trial is worse than others.
            FivefoldError: the model cannot be built or trained.
        """
        model, fold_scores = self.build_model(), self.finished_fold_scores()
        for number in range(len(fold_scores), len(self.search.folds)):
            fold_scores.append(self._run_fold(model, number))
            self.trials.require_owned(self.trial)
            self.trial.set_user_attr(FOLD_SCORES, fold_scores)
            self._report_and_prune(fold_scores)
        return self.compute_objectives(fold_scores)

    def build_model(self) -> Model:
        """Return the model with the trial's values.

        Raises:
            ParamsError: the model is invalid.
        """
        space = self.search.space
        values = space.suggest(self.trial)
        self.trial.set_user_attr(TRIAL_PARAMS, values)
        self.trial.set_user_attr(IS_BASELINE, values == space.current_values())
        model = space.build_model(values)
        self.trial.set_user_attr(MODEL_BLOCK, {key: space.build_block(values)[key] for key in SEARCHABLE_BLOCKS})
        self._store_search_method()
        return model

    def _store_search_method(self) -> None:
        """Record sampler and pruner of the study; with `auto`, they may change with the total number of trials."""
        study = self.trials.study
        method = {"sampler": sampler_name(study.sampler), "pruner": self.search.study.resolved_pruner}
        if study.user_attrs.get(SEARCH_METHOD) != method:
            study.set_user_attr(SEARCH_METHOD, method)

    def finished_fold_scores(self) -> list[Scores]:
        """Return the scores of folds that an earlier worker of the trial has finished."""
        return list(self.trial.user_attrs.get(FOLD_SCORES, []))

    def compute_objectives(self, fold_scores: list[Scores]) -> list[float]:
        """Return the objective values of the trial: means over its folds.

        Raises:
            TrainingError: a value is not finite.
        """
        means = {name: fmean(scores[name] for scores in fold_scores) for name in fold_scores[0]}
        self.trial.set_user_attr(MEAN_SCORES, means)
        metric_name = self.search.objective_metric.name
        names = [metric_name if objective == "score" else objective for objective in self.search.study.objectives]
        for name in names:
            if not math.isfinite(means[name]):
                raise TrainingError(f"{name} must be finite, but is {means[name]}; choose another metric")
        return [means[name] for name in names]

    def finish(self, state: TrialState, values: list[float] | None, reason: str, seconds: float) -> TrialState:
        """Record how the trial ended, and why; return its state, RUNNING if another worker has it now.

        seconds: computing time of this process.
        """
        try:
            if reason:
                self.trial.set_user_attr(REASON, reason)
            self.trial.set_user_attr(
                COMPUTE_SECONDS, round(self.trial.user_attrs.get(COMPUTE_SECONDS, 0.0) + seconds, 2)
            )
            self.trials.finish(self.trial, values, state)
        except TRIAL_LOST_ERRORS:
            return TrialState.RUNNING
        shutil.rmtree(self.trials.work_dir(self.trial.number), ignore_errors=True)
        return state

    def _run_fold(self, model: Model, fold_number: int) -> Scores:
        """Train the model on one fold; return its scores on the held-out rows."""
        curve: list[float] = []

        def on_epoch(_: int, metrics: Metrics, last: bool) -> None:
            curve.append(self.search.objective_metric.epoch_score(metrics))
            with defer_signals():
                if not last and (reason := self.prune_reason(curve, model.training.max_epochs)):
                    self.trial.set_user_attr(INTERMEDIATE_VALUES, curve)
                    raise TrialPruned(reason)

        with allow_signals():
            dataset, pipeline = self.search.folds[fold_number].prepare(model, self.search.space.seed)
            trained_model, metrics_by_epoch, best_epoch = train_model(
                self.search.space.name, model, dataset, pipeline, self.search.space.seed,
                self.trials.work_dir(self.trial.number) / f"fold-{fold_number}",
                on_epoch if fold_number == 0 else lambda *_: None,
            )  # fmt: skip
            scores = self.compute_scores(model, trained_model, dataset, metrics_by_epoch, best_epoch)
        if fold_number == 0:
            self.trial.set_user_attr(INTERMEDIATE_VALUES, curve)
        return scores

    def compute_scores(
        self,
        model: Model,
        trained_model: TrainedModel,
        dataset: Dataset,
        metrics_by_epoch: list[Metrics],
        best_epoch: int,
    ) -> Scores:
        """Return every score of a trained model on the held-out rows of a fold."""
        scores = scoring.score_model(model, trained_model, dataset.validation, metrics_by_epoch, best_epoch)
        if "parameters" in self.search.study.objectives:
            scores["parameters"] = scoring.count_parameters(trained_model)
        if "latency" in self.search.study.objectives:
            scores["latency"] = scoring.measure_latency(trained_model, dataset)
        return scores

    def prune_reason(self, curve: list[float], max_epochs: int) -> str:
        """Return why the trial is pruned within its first fold; "" if it is not.

        curve: score of each epoch so far. max_epochs: of the training.
        """
        if (
            self.search.study.resolved_pruner == "none"
            or not self.search.objective_metric.epoch_metric
            or self._is_baseline
        ):
            return ""
        if not pruners.is_below_median(curve, self._median_curve, max_epochs):
            return ""
        return f"below the median after {len(curve)} epochs of the first fold"

    @cached_property
    def _is_baseline(self) -> bool:
        """Whether the trial has the values of params.yaml; others are compared with it, so it is never pruned."""
        is_baseline: bool = self.trial.user_attrs[IS_BASELINE]
        return is_baseline

    @cached_property
    def _median_curve(self) -> Sequence[float]:
        """The median curve of the trials that had finished their first fold when it was first needed."""
        finished = self.trials.get_trials(TrialState.COMPLETE, TrialState.PRUNED)
        return pruners.compute_median_curve(
            [trial.user_attrs[INTERMEDIATE_VALUES] for trial in finished if trial.user_attrs.get(FOLD_SCORES)]
        )

    def report_mean(self, fold_scores: list[Scores]) -> None:
        """Report the mean score of the finished folds to Optuna, unless there are several objectives."""
        if len(self.search.study.objectives) == 1:
            self.trial.report(
                fmean(scores[self.search.objective_metric.name] for scores in fold_scores), len(fold_scores)
            )

    def _report_and_prune(self, fold_scores: list[Scores]) -> None:
        """Report the mean score so far; prune the trial if its folds are worse than those of the best one."""
        self.report_mean(fold_scores)
        metric = self.search.objective_metric
        own_scores = [metric.sign * scores[metric.name] for scores in fold_scores]
        best = self.trials.best_trial() if self.search.study.resolved_pruner == "median_then_wilcoxon" else None
        if best is None or self._is_baseline:
            return
        best_scores = [metric.sign * scores[metric.name] for scores in best.user_attrs[FOLD_SCORES]]
        p = pruners.paired_test_p_value(own_scores, best_scores)
        if p is not None:
            raise TrialPruned(
                f"worse than trial {best.number} after {len(own_scores)} folds (Wilcoxon test, p = {p:.3f})"
            )


def train_model(
    model_name: str,
    model: Model,
    dataset: Dataset,
    pipeline: Pipeline,
    seed: int,
    checkpoint_folder: Path,
    on_epoch: Callable[[int, Metrics, bool], None],
) -> tuple[TrainedModel, list[Metrics], int]:
    """Return a trained model, the metrics of each epoch, and the best epoch, counted from 1."""
    fitted = fit(
        model_name, model, dataset, pipeline, load_registered(model_name, model.training.pretrained),
        load_reference(model), seed=seed, checkpoint_folder=checkpoint_folder, on_epoch=on_epoch,
    )  # fmt: skip
    return fitted.trained_model, fitted.history.to_dict("records"), fitted.best_epoch
