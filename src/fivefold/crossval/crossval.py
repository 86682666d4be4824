"""Cross-validation: models are trained on all folds but one, and scored on that one, which nothing has looked at.

Rows of the dataset's test set are in no fold. What is learnt from data before the network is learnt anew in each fold.
A part of each fold's training rows is set aside, and chooses the epoch.

What is asked of a cross-validation, and what comes of each fold; as JSON, processes hand it to each other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from pydantic import Field, JsonValue

from ..config.base import StrictModel
from ..config.loading import load_params
from ..config.models import Model
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..config.schema import Params
from ..data.dataset import SplitIndices
from ..data.schema import Schema
from ..data.splitting import Indices, split_folds
from ..errors import ParamsError, TrainingError
from ..folds import (
    EMPTY_INDICES,
    Fold,
    SplitDataset,
    check_leakage,
    hold_out,
    require_source_model,
    validation_fraction,
)
from ..training.vectorized.job import Job
from ..tuning.scoring import ObjectiveMetric, available_objective_metrics, score_bounds, select_objective_metric
from ..tuning.scoring import score_model as scores_of
from ..tuning.space import SearchSpace
from ..tuning.space_check import validate_bounds
from .jobs import TrainingResult


class Plan(StrictModel):
    """What is asked for.

    names: of models. seed: of folds and trainings; None: that of params.yaml. nested: search within each fold.
    trials: of each such search; None: as `study` of the model says.
    """

    model_names: tuple[str, ...] = Field(min_length=1)
    folds: int = Field(ge=2)
    repeats: int = Field(default=1, ge=1)
    seed: int | None = None
    nested: bool = False
    trials: int | None = None

    @property
    def file_stem(self) -> str:
        """What its results are kept under; a model's name has neither + nor a point in it."""
        return "+".join(self.model_names) + (".nested" if self.nested else "")


class InnerBestTrial(StrictModel):
    """What a search within a fold found.

    values: by dotted key. inner: the score by which it won, the mean over inner folds. trials: in all. ended: those
    that have a score.
    """

    params: dict[str, JsonValue]
    metric: str
    inner_score: float
    n_trials: int
    n_complete: int


class FoldResult(StrictModel):
    """What came of a model on one fold.

    repeat, fold: from 1. rows: learnt, set aside, held out. scores: by metric, of the rows held out. error: why there
    are none; empty if there are. seconds: of training, and of the search.
    """

    model: str
    repeat: int
    fold: int
    n_rows: dict[str, int]
    scores: dict[str, float] = Field(default={})
    error: str = ""
    n_epochs: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    best_trial: InnerBestTrial | None = None


@dataclass(frozen=True)
class FoldSplit:
    """Rows of one fold: held out, and learnt, which are `train` and those that are set `aside`. seed: of trainings."""

    repeat: int
    fold: int
    train_validation: Indices
    train: Indices
    validation: Indices
    test: Indices
    seed: int

    def split_indices(self, model: Model) -> SplitIndices:
        """Return the sets of the pipeline: rows held out are test rows.

        The score of a network that makes records is that of an epoch, so rows held out choose that too.
        """
        if isinstance(model.network, Gan | Cyclegan):
            return {"train": self.train_validation, "validation": self.test, "test": self.test}
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class CrossValidation:
    """A plan with the models, rows and, if nested, spaces that it is about."""

    plan: Plan
    params: Params
    split_dataset: SplitDataset
    search_spaces: Mapping[str, SearchSpace]

    @classmethod
    def read(cls, plan: Plan) -> "CrossValidation":
        """Read what a plan is about from params.yaml.

        Raises:
            ParamsError: models cannot be compared, or cannot be judged by rows held out.
            ArtifactError: the model that one of them uses was not trained.
            DataError: the source of the dataset breaks a rule, or its rows do not suffice.
        """
        params = load_params()
        _validate_plan(plan, params)
        spaces = {name: SearchSpace.read(name) for name in plan.model_names if plan.nested}
        for space in spaces.values():
            _validate_search(space, plan.folds)
        block = params.dataset(params.models[plan.model_names[0]].dataset)
        crossval = cls(plan, params, SplitDataset.read(block, params.seed), spaces)
        crossval.require_same_metrics()
        return crossval

    @property
    def seed(self) -> int:
        """What folds and trainings follow from; the division into test rows and others follows from params.yaml."""
        return self.params.seed if self.plan.seed is None else self.plan.seed

    @cached_property
    def fold_splits(self) -> list[FoldSplit]:
        """The folds of all models, each repeat's behind the one before."""
        keys, parts, by = (
            self.split_dataset.raw.keys,
            self.split_dataset.indices,
            self.split_dataset.dataset_params.split.by,
        )
        share, found = validation_fraction(parts), []
        for repeat in range(self.plan.repeats):
            seed = (self.seed + repeat) % 2**32
            for fold, (learnt, held) in enumerate(split_folds(keys, parts, by, self.plan.folds, seed)):
                train, aside = hold_out(keys, learnt, by, share, seed)
                found.append(FoldSplit(repeat + 1, fold + 1, learnt, train, aside, held, seed))
        return found

    @property
    def test_train_ratio(self) -> float:
        """Rows held out over rows learnt, the mean over folds."""
        return fmean(len(each.test) / len(each.train_validation) for each in self.fold_splits)

    @cached_property
    def objective_metric(self) -> ObjectiveMetric:
        """The leading metric."""
        name = self.plan.model_names[0]
        return select_objective_metric(name, self.params.models[name], self._schema, self.params.models[name].study)

    @cached_property
    def _schema(self) -> Schema:
        """Of the data, as the first fold has it."""
        first = self.fold_splits[0]
        return self.split_dataset.raw.encode(
            {"train": first.train, "validation": first.validation, "test": EMPTY_INDICES}
        ).schema

    def objective_metrics(self, model_name: str) -> dict[str, ObjectiveMetric]:
        """Return every metric of a model of which more or less is better, its leading one first."""
        return available_objective_metrics(self.params.models[model_name], self._schema)

    def score_bounds(self, model_name: str) -> dict[str, tuple[float, float]]:
        """Return between which values scores of a model always lie, of those of which that is known."""
        return score_bounds(self.params.models[model_name], self._schema)

    def require_same_metrics(self) -> None:
        """Refuse to compare models that are scored by different metrics, by a `ParamsError`."""
        every = [(name, set(self.objective_metrics(name))) for name in self.plan.model_names]
        for name, metrics in every[1:]:
            if metrics != every[0][1]:
                raise ParamsError(
                    f"models to compare must have the same metrics, but {every[0][0]} has {_join_names(every[0][1])} and"
                    f" {name} {_join_names(metrics)}; compare models of one purpose"
                )

    def build_job(self, fold_split: FoldSplit, model: Model, seed: int) -> Job:
        """Return the training of a model on one fold, all that stands before the network fitted to its training rows.

        Raises:
            DataError: `select` asks for what these rows have not.
            ArtifactError: the model that `uses` names was not trained.
        """
        fold = Fold(self.split_dataset, fold_split.split_indices(model))
        return Job(model, *fold.prepare(model, seed), seed)


def evaluate_fold(
    model_name: str,
    fold_split: FoldSplit,
    job: Job,
    training_result: TrainingResult,
    best_trial: InnerBestTrial | None = None,
) -> FoldResult:
    """Return what came of a job: scores of the rows held out, or why there are none."""
    sets = {"learnt": job.dataset.train, "aside": job.dataset.validation, "held_out": job.dataset.test}
    rows, found, error = {key: len(records) for key, records in sets.items()}, dict[str, float](), training_result.error
    if training_result.trained_model is not None:
        try:
            found = scores_of(
                job.params,
                training_result.trained_model,
                job.dataset.test,
                training_result.metrics_by_epoch,
                training_result.best_epoch,
            )
        except TrainingError as why:
            error = str(why)
    if wrong := [metric for metric, value in found.items() if not math.isfinite(value)]:
        found, error = {}, f"{wrong[0]} must be finite, but is not: the rows held out do not suffice for it"
    return FoldResult(
        model=model_name, repeat=fold_split.repeat, fold=fold_split.fold, n_rows=rows, scores=found, error=error,
        n_epochs=len(training_result.metrics_by_epoch), best_epoch=training_result.best_epoch, seconds=round(training_result.seconds, 2), best_trial=best_trial,
    )  # fmt: skip


def _validate_plan(plan: Plan, params: Params) -> None:
    if twice := [name for i, name in enumerate(plan.model_names) if name in plan.model_names[:i]]:
        raise ParamsError(f"models to compare must differ, but {twice[0]!r} stands there twice; name it once")
    if plan.trials is not None and not plan.nested:
        raise ParamsError(f"--trials is of searches within folds, but --nested is missing ({plan.trials}); add it")
    first, *others = plan.model_names
    model = params.model(first)
    for name in others:
        if (dataset := params.model(name).dataset) != model.dataset:
            raise ParamsError(
                f"models to compare must have the same dataset, but {first} has {model.dataset} and {name} {dataset};"
                " compare models of one dataset"
            )
    if plan.repeats > 1 and params.dataset(model.dataset).split.by == "time":
        raise ParamsError(
            f"folds of {model.dataset} follow time, so each repeat would have the same ones, but --repeats is"
            f" {plan.repeats}; leave it out, and raise --folds for more of them"
        )
    for name in plan.model_names:
        model = params.models[name]
        check_leakage(name, model, plan.folds)
        require_source_model(name, model)


def _validate_search(space: SearchSpace, n_folds: int) -> None:
    if not space.ranges:
        raise ParamsError(
            f"models.{space.name}.search must say what is searched within folds, but is missing; write a range where a"
            " value stands, as docs/studies.md shows it"
        )
    if (objectives := space.study.objectives) != ("score",):
        raise ParamsError(
            f"models.{space.name}.study.objectives must be [score] for a search within folds, which has one winner, but"
            f" is {list(objectives)}; change it"
        )
    validate_bounds(space, lambda model: check_leakage(space.name, model, n_folds))


def _join_names(names: set[str]) -> str:
    return ", ".join(sorted(names))
