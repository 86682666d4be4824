"""One trial: a model is made of its values, trained on each fold, and judged by the rows held out."""

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
"""What is told cannot be kept: no fault of a trial."""
TRIAL_LOST_ERRORS = (TrialLost, UpdateFinishedTrialError)
"""Another worker has the trial, or had it and told it."""


@dataclass(frozen=True)
class TrialRunner:
    """A trial that this process runs."""

    search: Search
    trials: TrialQueue
    trial: Trial

    def run(self) -> TrialState:
        """Train, judge and tell the trial, fold by fold; return how it ended, RUNNING if another worker has it now."""
        started, state, values, reason = time.monotonic(), TrialState.COMPLETE, None, ""
        try:
            values = self._run_folds()
        except TrialPruned as why:
            state, reason = TrialState.PRUNED, str(why)
        except STORAGE_ERRORS:
            raise
        except FivefoldError as error:  # these values do not make a model that can be trained
            state, reason = TrialState.FAIL, str(error)
        except TRIAL_LOST_ERRORS:
            return TrialState.RUNNING
        return self.finish(state, values, reason, time.monotonic() - started)

    def _run_folds(self) -> list[float]:
        """Return the trial's objectives.

        Raises:
            TrialPruned: it is worse than others.
            FivefoldError: it cannot be trained.
        """
        model, found = self.build_model(), self.finished_fold_scores()
        for number in range(len(found), len(self.search.folds)):
            found.append(self._run_fold(model, number))
            self.trials.require_owned(self.trial)
            self.trial.set_user_attr(FOLD_SCORES, found)
            self._report_and_prune(found)
        return self.compute_objectives(found)

    def build_model(self) -> Model:
        """Return the model that the trial's values make.

        Raises:
            ParamsError: they make none.
        """
        space = self.search.space
        tried = space.suggest(self.trial)
        self.trial.set_user_attr(TRIAL_PARAMS, tried)
        self.trial.set_user_attr(IS_BASELINE, tried == space.current_values())
        model = space.build_model(tried)
        self.trial.set_user_attr(MODEL_BLOCK, {key: space.build_block(tried)[key] for key in SEARCHABLE_BLOCKS})
        self._store_search_method()
        return model

    def _store_search_method(self) -> None:
        """Write down of the study how values are chosen, and trials given up: `auto` and a new total decide anew."""
        study = self.trials.study
        how = {"sampler": sampler_name(study.sampler), "pruner": self.search.study.resolved_pruner}
        if study.user_attrs.get(SEARCH_METHOD) != how:
            study.set_user_attr(SEARCH_METHOD, how)

    def finished_fold_scores(self) -> list[Scores]:
        """Return the scores of folds that a worker found which had the trial before."""
        return list(self.trial.user_attrs.get(FOLD_SCORES, []))

    def compute_objectives(self, fold_scores: list[Scores]) -> list[float]:
        """Return the trial's objectives: means over its folds.

        Raises:
            TrainingError: one is no number.
        """
        means = {name: fmean(each[name] for each in fold_scores) for name in fold_scores[0]}
        self.trial.set_user_attr(MEAN_SCORES, means)
        names = [{"score": self.search.objective_metric.name}.get(each, each) for each in self.search.study.objectives]
        for name in names:
            if not math.isfinite(means[name]):
                raise TrainingError(f"{name} must be a finite number, but is {means[name]}; take another metric")
        return [means[name] for name in names]

    def finish(self, state: TrialState, values: list[float] | None, reason: str, seconds: float) -> TrialState:
        """Tell how the trial ended, and why; return that, RUNNING if another worker has it now.

        seconds: of computing by this process.
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
        """Train the model on one fold; return its scores on the rows held out."""
        curve: list[float] = []

        def look(_: int, metrics: Metrics, last: bool) -> None:
            curve.append(self.search.objective_metric.epoch_score(metrics))
            with defer_signals():
                if not last and (why := self.prune_reason(curve, model.training.max_epochs)):
                    self.trial.set_user_attr(INTERMEDIATE_VALUES, curve)
                    raise TrialPruned(why)

        with allow_signals():
            dataset, chain = self.search.folds[fold_number].prepare(model, self.search.space.seed)
            saved, epochs, kept = train_model(
                self.search.space.name, model, dataset, chain, self.search.space.seed,
                self.trials.work_dir(self.trial.number) / f"fold-{fold_number}", look if fold_number == 0 else lambda *_: None,
            )  # fmt: skip
            found = self.compute_scores(model, saved, dataset, epochs, kept)
        if fold_number == 0:
            self.trial.set_user_attr(INTERMEDIATE_VALUES, curve)
        return found

    def compute_scores(
        self,
        model: Model,
        trained_model: TrainedModel,
        dataset: Dataset,
        metrics_by_epoch: list[Metrics],
        best_epoch: int,
    ) -> Scores:
        """Return every score of a model on the rows of a fold that were held out."""
        scores = scoring.score_model(model, trained_model, dataset.validation, metrics_by_epoch, best_epoch)
        if "parameters" in self.search.study.objectives:
            scores["parameters"] = scoring.count_parameters(trained_model)
        if "latency" in self.search.study.objectives:
            scores["latency"] = scoring.measure_latency(trained_model, dataset)
        return scores

    def prune_reason(self, curve: list[float], max_epochs: int) -> str:
        """Return why the trial is to be given up, its first fold being what `curve` says; "" if it is not.

        epochs: that the fold has at most.
        """
        if (
            self.search.study.resolved_pruner == "none"
            or not self.search.objective_metric.epoch_metric
            or self._is_baseline
        ):
            return ""
        if not pruners.is_below_median(curve, self._median_curve, max_epochs):
            return ""
        return f"after {len(curve)} epochs of the first fold it is below the median of others"

    @cached_property
    def _is_baseline(self) -> bool:
        """Whether it has the values of params.yaml: others are compared with it, so it is never given up."""
        own: bool = self.trial.user_attrs[IS_BASELINE]
        return own

    @cached_property
    def _median_curve(self) -> Sequence[float]:
        """What the trials had reached that had come to the end of their first fold when this one began."""
        done = self.trials.get_trials(TrialState.COMPLETE, TrialState.PRUNED)
        return pruners.compute_median_curve(
            [each.user_attrs[INTERMEDIATE_VALUES] for each in done if each.user_attrs.get(FOLD_SCORES)]
        )

    def report_mean(self, fold_scores: list[Scores]) -> None:
        """Say how good the trial is after so many folds."""
        if len(self.search.study.objectives) == 1:
            self.trial.report(fmean(each[self.search.objective_metric.name] for each in fold_scores), len(fold_scores))

    def _report_and_prune(self, fold_scores: list[Scores]) -> None:
        """Say how good the trial is so far; give it up if its folds are worse than those of the best one."""
        self.report_mean(fold_scores)
        goal = self.search.objective_metric
        mine = [goal.sign * each[goal.name] for each in fold_scores]
        best = self.trials.best_trial() if self.search.study.resolved_pruner == "median_then_wilcoxon" else None
        if best is None or self._is_baseline:
            return
        p = pruners.paired_test_p_value(mine, [goal.sign * each[goal.name] for each in best.user_attrs[FOLD_SCORES]])
        if p is not None:
            raise TrialPruned(f"its {len(mine)} folds are worse than those of trial {best.number}, p {p:.3f}")


def train_model(
    model_name: str,
    model: Model,
    dataset: Dataset,
    pipeline: Pipeline,
    seed: int,
    checkpoint_folder: Path,
    on_epoch: Callable[[int, Metrics, bool], None],
) -> tuple[TrainedModel, list[Metrics], int]:
    """Return a trained model, what each of its epochs measured, and which epoch was kept, from 1."""
    fitted = fit(
        model_name, model, dataset, pipeline, load_registered(model_name, model.training.pretrained), load_reference(model),
        seed=seed, checkpoint_folder=checkpoint_folder, on_epoch=on_epoch,
    )  # fmt: skip
    return fitted.trained_model, fitted.history.to_dict("records"), fitted.best_epoch
