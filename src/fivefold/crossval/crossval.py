"""Cross-validation: models are trained on all folds but one and evaluated on that one, which is used for nothing else.

The test rows of the dataset are in no fold. Everything that is fitted before the network is fitted again in each fold.
A part of each fold's training rows is held out for validation and selects the epoch.

Plans and results of folds are serialized as JSON between processes.
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
from ..tuning.scoring import (
    ObjectiveMetric,
    available_objective_metrics,
    score_bounds,
    score_model,
    select_objective_metric,
)
from ..tuning.space import SearchSpace
from ..tuning.space_check import validate_bounds
from .jobs import TrainingResult


class Plan(StrictModel):
    """The settings of a cross-validation.

    seed: of folds and trainings; None: that of params.yaml. nested: run a search within each fold.
    trials: number of trials of each search; None: as configured in `study` of the model.
    """

    model_names: tuple[str, ...] = Field(min_length=1)
    folds: int = Field(ge=2)
    repeats: int = Field(default=1, ge=1)
    seed: int | None = None
    nested: bool = False
    trials: int | None = None

    @property
    def file_stem(self) -> str:
        """Name of the result files; a model's name contains neither + nor a dot."""
        return "+".join(self.model_names) + (".nested" if self.nested else "")


class InnerBestTrial(StrictModel):
    """The best trial of a search within a fold.

    params: by dotted key. inner_score: mean over the inner folds. n_trials: in all. n_complete: trials with a score.
    """

    params: dict[str, JsonValue]
    metric: str
    inner_score: float
    n_trials: int
    n_complete: int


class FoldResult(StrictModel):
    """The result of a model on one fold.

    repeat, fold: from 1. n_rows: of training, validation and test rows. scores: by metric, of the test rows. error: why
    there are none; "" otherwise. seconds: of training and search.
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
    """The rows of one fold; `train_validation` are `train` and `validation` together. seed: of trainings."""

    repeat: int
    fold: int
    train_validation: Indices
    train: Indices
    validation: Indices
    test: Indices
    seed: int

    def split_indices(self, model: Model) -> SplitIndices:
        """Return the splits for a model.

        The score of a generative network is that of an epoch, so the test rows select the epoch, too.
        """
        if isinstance(model.network, Gan | Cyclegan):
            return {"train": self.train_validation, "validation": self.test, "test": self.test}
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class CrossValidation:
    """A plan with its models, rows and, if nested, search spaces."""

    plan: Plan
    params: Params
    split_dataset: SplitDataset
    search_spaces: Mapping[str, SearchSpace]

    @classmethod
    def read(cls, plan: Plan) -> "CrossValidation":
        """Read the models and the dataset of a plan.

        Raises:
            ParamsError: the models cannot be compared, or cannot be evaluated on held-out rows.
            ArtifactError: a model that one of them depends on is not trained.
            DataError: the source of the dataset is invalid, or there are too few rows.
        """
        params = load_params()
        _validate_plan(plan, params)
        search_spaces = {name: SearchSpace.read(name) for name in plan.model_names if plan.nested}
        for space in search_spaces.values():
            _validate_search(space, plan.folds)
        dataset_params = params.dataset(params.models[plan.model_names[0]].dataset)
        crossval = cls(plan, params, SplitDataset.read(dataset_params, params.seed), search_spaces)
        crossval.require_same_metrics()
        return crossval

    @property
    def seed(self) -> int:
        """The seed of folds and trainings; the split into test rows and others depends on that of params.yaml."""
        return self.params.seed if self.plan.seed is None else self.plan.seed

    @cached_property
    def fold_splits(self) -> list[FoldSplit]:
        """The folds of all models, ordered by repeat and fold."""
        keys, indices = self.split_dataset.raw.keys, self.split_dataset.indices
        split_by, fraction = self.split_dataset.dataset_params.split.by, validation_fraction(indices)
        fold_splits = []
        for repeat in range(self.plan.repeats):
            seed = (self.seed + repeat) % 2**32
            folds = split_folds(keys, indices, split_by, self.plan.folds, seed)
            for fold, (train_validation, test) in enumerate(folds):
                train, validation = hold_out(keys, train_validation, split_by, fraction, seed)
                fold_splits.append(FoldSplit(repeat + 1, fold + 1, train_validation, train, validation, test, seed))
        return fold_splits

    @property
    def test_train_ratio(self) -> float:
        """Ratio of test rows to training and validation rows, mean over folds."""
        return fmean(len(each.test) / len(each.train_validation) for each in self.fold_splits)

    @cached_property
    def objective_metric(self) -> ObjectiveMetric:
        """The primary metric."""
        name = self.plan.model_names[0]
        return select_objective_metric(name, self.params.models[name], self._schema, self.params.models[name].study)

    @cached_property
    def _schema(self) -> Schema:
        """The schema of the first fold."""
        first = self.fold_splits[0]
        return self.split_dataset.raw.encode(
            {"train": first.train, "validation": first.validation, "test": EMPTY_INDICES}
        ).schema

    def objective_metrics(self, model_name: str) -> dict[str, ObjectiveMetric]:
        """Return every metric of a model that has a better direction, the primary one first."""
        return available_objective_metrics(self.params.models[model_name], self._schema)

    def score_bounds(self, model_name: str) -> dict[str, tuple[float, float]]:
        """Return the known lower and upper bounds of a model's scores, by metric."""
        return score_bounds(self.params.models[model_name], self._schema)

    def require_same_metrics(self) -> None:
        """Raise a `ParamsError` if the models have different metrics."""
        (first, first_metrics), *others = [(name, set(self.objective_metrics(name))) for name in self.plan.model_names]
        for name, metrics in others:
            if metrics != first_metrics:
                raise ParamsError(
                    f"models to compare must have the same metrics, but {first} has {_join_names(first_metrics)} and"
                    f" {name} {_join_names(metrics)}; compare models of one task"
                )

    def build_job(self, fold_split: FoldSplit, model: Model, seed: int) -> Job:
        """Return the training job of a model on one fold, with preprocessing fitted to its training rows.

        Raises:
            DataError: the feature selection is impossible for these rows.
            ArtifactError: the model of `depends_on` is not trained.
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
    """Return the result of a job: scores of the test rows, or why there are none."""
    splits = {"train": job.dataset.train, "validation": job.dataset.validation, "test": job.dataset.test}
    n_rows = {name: len(split) for name, split in splits.items()}
    scores, error = dict[str, float](), training_result.error
    if training_result.trained_model is not None:
        try:
            scores = score_model(
                job.params,
                training_result.trained_model,
                job.dataset.test,
                training_result.metrics_by_epoch,
                training_result.best_epoch,
            )
        except TrainingError as failure:
            error = str(failure)
    if not_finite := [metric for metric, value in scores.items() if not math.isfinite(value)]:
        scores = {}
        error = f"{not_finite[0]} must be finite, but is not: the fold has too few test rows for it; choose fewer folds"
    return FoldResult(
        model=model_name, repeat=fold_split.repeat, fold=fold_split.fold, n_rows=n_rows, scores=scores, error=error,
        n_epochs=len(training_result.metrics_by_epoch), best_epoch=training_result.best_epoch,
        seconds=round(training_result.seconds, 2), best_trial=best_trial,
    )  # fmt: skip


def _validate_plan(plan: Plan, params: Params) -> None:
    if repeated := [name for i, name in enumerate(plan.model_names) if name in plan.model_names[:i]]:
        raise ParamsError(f"models to compare must differ, but {repeated[0]!r} is given twice; name it once")
    if plan.trials is not None and not plan.nested:
        raise ParamsError(f"--trials requires --nested, but {plan.trials} trials are given without it; add --nested")
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
            f"--repeats must be 1 for {model.dataset}, whose folds follow time and are always the same, but is"
            f" {plan.repeats}; raise --folds instead"
        )
    for name in plan.model_names:
        model = params.models[name]
        check_leakage(name, model, plan.folds)
        require_source_model(name, model)


def _validate_search(space: SearchSpace, n_folds: int) -> None:
    if not space.ranges:
        raise ParamsError(
            f"models.{space.name}.search must contain the ranges of a nested search, but is missing; write a range in"
            " place of a value, see docs/studies.md"
        )
    if (objectives := space.study.objectives) != ("score",):
        raise ParamsError(
            f"models.{space.name}.study.objectives must be [score] for a nested search, which needs a single best"
            f" trial, but is {list(objectives)}; change it"
        )
    validate_bounds(space, lambda model: check_leakage(space.name, model, n_folds))


def _join_names(names: set[str]) -> str:
    return ", ".join(sorted(names))
