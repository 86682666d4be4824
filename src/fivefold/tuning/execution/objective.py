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
from ...config.search import SEARCHED
from ...data.dataset import Dataset
from ...errors import BusyError, FivefoldError, StudyError, TrainingError
from ...models.feature_extractor import judge_of
from ...models.serialization import Saved
from ...preprocessing.pipeline import Chain
from ...stages.signals import exposed, shielded
from ...tracking.pretrained import pulled
from ...training.callbacks import Metrics
from ...training.fit import fit
from .. import pruners, scoring
from ..identity import BLOCK, CURVE, FOLDS, HOW, OWN, REASON, SCORES, SECONDS, VALUES
from ..samplers import name_of
from ..search import Search
from .liveness import Lost
from .trials import Trials

Scores = dict[str, float]

STORAGE = (StudyError, BusyError)
"""What is told cannot be kept: no fault of a trial."""
LOST = (Lost, UpdateFinishedTrialError)
"""Another worker has the trial, or had it and told it."""


@dataclass(frozen=True)
class Running:
    """A trial that this process runs."""

    search: Search
    trials: Trials
    trial: Trial

    def run(self) -> TrialState:
        """Train, judge and tell the trial, fold by fold; return how it ended, RUNNING if another worker has it now."""
        started, state, values, reason = time.monotonic(), TrialState.COMPLETE, None, ""
        try:
            values = self._values()
        except TrialPruned as why:
            state, reason = TrialState.PRUNED, str(why)
        except STORAGE:
            raise
        except FivefoldError as error:  # these values do not make a model that can be trained
            state, reason = TrialState.FAIL, str(error)
        except LOST:
            return TrialState.RUNNING
        return self.end(state, values, reason, time.monotonic() - started)

    def _values(self) -> list[float]:
        """Return the trial's objectives.

        Raises:
            TrialPruned: it is worse than others.
            FivefoldError: it cannot be trained.
        """
        model, found = self.model(), self.found()
        for number in range(len(found), len(self.search.folds)):
            found.append(self._fold(model, number))
            self.trials.keep(self.trial)
            self.trial.set_user_attr(FOLDS, found)
            self._look(found)
        return self.objectives(found)

    def model(self) -> Model:
        """Return the model that the trial's values make.

        Raises:
            ParamsError: they make none.
        """
        space = self.search.space
        tried = space.suggest(self.trial)
        self.trial.set_user_attr(VALUES, tried)
        self.trial.set_user_attr(OWN, tried == space.current())
        model = space.model(tried)
        self.trial.set_user_attr(BLOCK, {key: space.block(tried)[key] for key in SEARCHED})
        self._tell_how()
        return model

    def _tell_how(self) -> None:
        """Write down of the study how values are chosen, and trials given up: `auto` and a new total decide anew."""
        study = self.trials.study
        how = {"sampler": name_of(study.sampler), "prune": self.search.study.pruning}
        if study.user_attrs.get(HOW) != how:
            study.set_user_attr(HOW, how)

    def found(self) -> list[Scores]:
        """Return the scores of folds that a worker found which had the trial before."""
        return list(self.trial.user_attrs.get(FOLDS, []))

    def objectives(self, found: list[Scores]) -> list[float]:
        """Return the trial's objectives: means over its folds.

        Raises:
            TrainingError: one is no number.
        """
        means = {name: fmean(each[name] for each in found) for name in found[0]}
        self.trial.set_user_attr(SCORES, means)
        names = [{"score": self.search.goal.name}.get(each, each) for each in self.search.study.objectives]
        for name in names:
            if not math.isfinite(means[name]):
                raise TrainingError(f"{name} must be a finite number, but is {means[name]}; take another metric")
        return [means[name] for name in names]

    def end(self, state: TrialState, values: list[float] | None, reason: str, seconds: float) -> TrialState:
        """Tell how the trial ended, and why; return that, RUNNING if another worker has it now.

        seconds: of computing by this process.
        """
        try:
            if reason:
                self.trial.set_user_attr(REASON, reason)
            self.trial.set_user_attr(SECONDS, round(self.trial.user_attrs.get(SECONDS, 0.0) + seconds, 2))
            self.trials.tell(self.trial, values, state)
        except LOST:
            return TrialState.RUNNING
        shutil.rmtree(self.trials.work(self.trial.number), ignore_errors=True)
        return state

    def _fold(self, model: Model, number: int) -> Scores:
        """Train the model on one fold; return its scores on the rows held out."""
        curve: list[float] = []

        def look(_: int, metrics: Metrics, last: bool) -> None:
            curve.append(self.search.goal.of_epoch(metrics))
            with shielded():
                if not last and (why := self.behind(curve, model.training.max_epochs)):
                    self.trial.set_user_attr(CURVE, curve)
                    raise TrialPruned(why)

        with exposed():
            dataset, chain = self.search.folds[number].prepared(model, self.search.space.seed)
            saved, epochs, kept = train(
                self.search.space.name, model, dataset, chain, self.search.space.seed,
                self.trials.work(self.trial.number) / f"fold-{number}", look if number == 0 else lambda *_: None,
            )  # fmt: skip
            found = self.scores(model, saved, dataset, epochs, kept)
        if number == 0:
            self.trial.set_user_attr(CURVE, curve)
        return found

    def scores(self, model: Model, saved: Saved, dataset: Dataset, epochs: list[Metrics], kept: int) -> Scores:
        """Return every score of a model on the rows of a fold that were held out."""
        scores = scoring.scores(model, saved, dataset.validation, epochs, kept)
        if "parameters" in self.search.study.objectives:
            scores["parameters"] = scoring.parameters(saved)
        if "latency" in self.search.study.objectives:
            scores["latency"] = scoring.latency(saved, dataset)
        return scores

    def behind(self, curve: list[float], epochs: int) -> str:
        """Return why the trial is to be given up, its first fold being what `curve` says; "" if it is not.

        epochs: that the fold has at most.
        """
        if self.search.study.pruning == "none" or not self.search.goal.epoch or self._own:
            return ""
        if not pruners.behind_median(curve, self._reached, epochs):
            return ""
        return f"after {len(curve)} epochs of the first fold it is below the median of others"

    @cached_property
    def _own(self) -> bool:
        """Whether it has the values of params.yaml: others are compared with it, so it is never given up."""
        own: bool = self.trial.user_attrs[OWN]
        return own

    @cached_property
    def _reached(self) -> Sequence[float]:
        """What the trials had reached that had come to the end of their first fold when this one began."""
        done = self.trials.all(TrialState.COMPLETE, TrialState.PRUNED)
        return pruners.medians([each.user_attrs[CURVE] for each in done if each.user_attrs.get(FOLDS)])

    def tell_mean(self, found: list[Scores]) -> None:
        """Say how good the trial is after so many folds."""
        if len(self.search.study.objectives) == 1:
            self.trial.report(fmean(each[self.search.goal.name] for each in found), len(found))

    def _look(self, found: list[Scores]) -> None:
        """Say how good the trial is so far; give it up if its folds are worse than those of the best one."""
        self.tell_mean(found)
        goal = self.search.goal
        mine = [goal.sign * each[goal.name] for each in found]
        best = self.trials.best() if self.search.study.pruning == "two_stage" else None
        if best is None or self._own:
            return
        p = pruners.behind_best(mine, [goal.sign * each[goal.name] for each in best.user_attrs[FOLDS]])
        if p is not None:
            raise TrialPruned(f"its {len(mine)} folds are worse than those of trial {best.number}, p {p:.3f}")


def train(
    name: str,
    model: Model,
    dataset: Dataset,
    chain: Chain,
    seed: int,
    checkpoints: Path,
    on_epoch: Callable[[int, Metrics, bool], None],
) -> tuple[Saved, list[Metrics], int]:
    """Return a trained model, what each of its epochs measured, and which epoch was kept, from 1."""
    fitted = fit(
        name, model, dataset, chain, pulled(name, model.training.start), judge_of(model),
        seed=seed, checkpoints=checkpoints, on_epoch=on_epoch,
    )  # fmt: skip
    return fitted.saved, fitted.history.to_dict("records"), fitted.kept_epoch
