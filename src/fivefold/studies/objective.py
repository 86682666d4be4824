"""One trial: a model is made of its values, trained on each fold, and judged by the rows held out."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from optuna import Trial, TrialPruned
from optuna.trial import TrialState

from .. import paths
from ..data.records import Dataset
from ..errors import FivefoldError
from ..families.expert import judge_of
from ..params.models import Model
from ..params.search import SEARCHED
from ..preprocessing.chain import Chain
from ..tracking.pulled import pulled
from ..training.callbacks import Metrics
from ..training.fit import fit
from . import pruning
from . import scores as scoring
from .search import Search
from .trials import BLOCK, CURVE, FOLDS, OWN, REASON, SCORES, SECONDS, VALUES, Trials

Scores = dict[str, float]


@dataclass(frozen=True)
class Running:
    """A trial that this process runs."""

    search: Search
    trials: Trials
    trial: Trial

    def run(self) -> TrialState:
        """Train, judge and tell the trial; return how it ended."""
        started = time.monotonic()
        state, values, reason = TrialState.COMPLETE, None, ""
        try:
            values = self._values()
        except TrialPruned as why:
            state, reason = TrialState.PRUNED, str(why)
        except FivefoldError as error:  # these values do not make a model that can be trained
            state, reason = TrialState.FAIL, str(error)
        if reason:
            self.trial.set_user_attr(REASON, reason)
        spent = self.trial.user_attrs.get(SECONDS, 0.0) + time.monotonic() - started
        self.trial.set_user_attr(SECONDS, round(spent, 2))
        self.trials.tell(self.trial, values, state)
        shutil.rmtree(self._work, ignore_errors=True)
        return state

    def _values(self) -> list[float]:
        """Return the trial's objectives.

        Raises:
            TrialPruned: it is worse than others.
            FivefoldError: it cannot be trained.
        """
        space = self.search.space
        tried = space.suggest(self.trial)
        self.trial.set_user_attr(VALUES, tried)
        self.trial.set_user_attr(OWN, tried == space.current())
        model = space.model(tried)
        self.trial.set_user_attr(BLOCK, {key: space.block(tried)[key] for key in SEARCHED})
        found: list[Scores] = list(self.trial.user_attrs.get(FOLDS, []))  # of a worker that had it before
        for number in range(len(found), len(self.search.folds)):
            found.append(self._fold(model, number))
            self.trial.set_user_attr(FOLDS, found)
            self._look(found)
        means = {name: fmean(each[name] for each in found) for name in found[0]}
        self.trial.set_user_attr(SCORES, means)
        return [means[{"score": self.search.goal.name}.get(each, each)] for each in self.search.study.objectives]

    def _fold(self, model: Model, number: int) -> Scores:
        """Train the model on one fold; return its scores on the rows held out."""
        dataset, chain = self.search.folds[number].prepared(model, self.search.space.seed)
        curve: list[float] = []

        def look(_: int, metrics: Metrics, last: bool) -> None:
            curve.append(self.search.goal.of_epoch(metrics))
            if not last and self._behind(curve, model.training.max_epochs):
                self.trial.set_user_attr(CURVE, curve)
                raise TrialPruned(f"after {len(curve)} epochs of the first fold it is below the median of others")

        saved, epochs, kept = train(
            self.search.space.name, model, dataset, chain, self.search.space.seed,
            self._work / f"fold-{number}", look if number == 0 else lambda *_: None,
        )  # fmt: skip
        if number == 0:
            self.trial.set_user_attr(CURVE, curve)
        scores = scoring.scores(model, saved, dataset.validation, epochs, kept)
        if "parameters" in self.search.study.objectives:
            scores["parameters"] = scoring.parameters(saved)
        if "latency" in self.search.study.objectives:
            scores["latency"] = scoring.latency(saved, dataset)
        return scores

    def _behind(self, curve: list[float], epochs: int) -> bool:
        """Return whether the first fold is to be given up."""
        if not self._prunes or not self.search.goal.epoch:
            return False
        return pruning.behind_median(curve, self._curves, epochs)

    @cached_property
    def _curves(self) -> list[list[float]]:
        """First folds of the trials that had come to the end of theirs when this one began."""
        done = self.trials.all(TrialState.COMPLETE, TrialState.PRUNED)
        return [each.user_attrs[CURVE] for each in done if each.user_attrs.get(FOLDS)]

    def _look(self, found: list[Scores]) -> None:
        """Say how good the trial is so far; give it up if its folds are worse than those of the best one."""
        if len(self.search.study.objectives) > 1:
            return
        goal = self.search.goal
        mine = [goal.sign * each[goal.name] for each in found]
        self.trial.report(goal.sign * fmean(mine), len(found))
        best = self.trials.best() if self._prunes and self.search.study.prune == "two_stage" else None
        if best is None:
            return
        p = pruning.behind_best(mine, [goal.sign * each[goal.name] for each in best.user_attrs[FOLDS]])
        if p is not None:
            raise TrialPruned(f"its {len(mine)} folds are worse than those of trial {best.number}, p {p:.3f}")

    @property
    def _prunes(self) -> bool:
        return self.search.study.prune != "none" and len(self.search.study.objectives) == 1

    @property
    def _work(self) -> Path:
        return paths.study(self.trials.name) / f"trial-{self.trial.number}"


def train(
    name: str,
    model: Model,
    dataset: Dataset,
    chain: Chain,
    seed: int,
    checkpoints: Path,
    on_epoch: Callable[[int, Metrics, bool], None],
) -> tuple[Any, list[Metrics], int]:
    """Return a trained model, what each of its epochs measured, and which epoch was kept, from 1."""
    fitted = fit(
        name, model, dataset, chain, pulled(name, model.training.start), judge_of(model),
        seed=seed, checkpoints=checkpoints, on_epoch=on_epoch,
    )  # fmt: skip
    return fitted.saved, fitted.history.to_dict("records"), fitted.kept_epoch
