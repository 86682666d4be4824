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

from ..config.base import Strict
from ..config.loading import load_params
from ..config.models import Model
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..config.schema import Params
from ..data.dataset import Parts
from ..data.schema import Schema
from ..data.splitting import Index, folds
from ..errors import ParamsError, TrainingError
from ..folds import NOTHING, Fold, Rows, need_lender, refuse_leaks, set_aside, share_of
from ..training.vectorized.job import Job
from ..tuning.scoring import Goal, bounds, goal_of, goals_of
from ..tuning.scoring import scores as scores_of
from ..tuning.space import Space
from ..tuning.space_check import check_corners
from .jobs import Trained


class Plan(Strict):
    """What is asked for.

    names: of models. seed: of folds and trainings; None: that of params.yaml. nested: search within each fold.
    trials: of each such search; None: as `study` of the model says.
    """

    names: tuple[str, ...] = Field(min_length=1)
    folds: int = Field(ge=2)
    repeats: int = Field(default=1, ge=1)
    seed: int | None = None
    nested: bool = False
    trials: int | None = None

    @property
    def title(self) -> str:
        """What its results are kept under; a model's name has neither + nor a point in it."""
        return "+".join(self.names) + (".nested" if self.nested else "")


class Winner(Strict):
    """What a search within a fold found.

    values: by dotted key. inner: the score by which it won, the mean over inner folds. trials: in all. ended: those
    that have a score.
    """

    values: dict[str, JsonValue]
    metric: str
    inner: float
    trials: int
    ended: int


class Result(Strict):
    """What came of a model on one fold.

    repeat, fold: from 1. rows: learnt, set aside, held out. scores: by metric, of the rows held out. error: why there
    are none; empty if there are. seconds: of training, and of the search.
    """

    model: str
    repeat: int
    fold: int
    rows: dict[str, int]
    scores: dict[str, float] = Field(default={})
    error: str = ""
    epochs: int = 0
    kept_epoch: int = 0
    seconds: float = 0.0
    winner: Winner | None = None


@dataclass(frozen=True)
class Division:
    """Rows of one fold: held out, and learnt, which are `train` and those that are set `aside`. seed: of trainings."""

    repeat: int
    fold: int
    learnt: Index
    train: Index
    aside: Index
    held: Index
    seed: int

    def parts(self, model: Model) -> Parts:
        """Return the sets of the pipeline: rows held out are test rows.

        The score of a network that makes records is that of an epoch, so rows held out choose that too.
        """
        if isinstance(model.network, Gan | Cyclegan):
            return {"train": self.learnt, "validation": self.held, "test": self.held}
        return {"train": self.train, "validation": self.aside, "test": self.held}


@dataclass(frozen=True)
class Crossval:
    """A plan with the models, rows and, if nested, spaces that it is about."""

    plan: Plan
    params: Params
    rows: Rows
    spaces: Mapping[str, Space]

    @classmethod
    def read(cls, plan: Plan) -> "Crossval":
        """Read what a plan is about from params.yaml.

        Raises:
            ParamsError: models cannot be compared, or cannot be judged by rows held out.
            ArtifactError: the model that one of them uses was not trained.
            DataError: the source of the dataset breaks a rule, or its rows do not suffice.
        """
        params = load_params()
        _refuse(plan, params)
        spaces = {name: Space.read(name) for name in plan.names if plan.nested}
        for space in spaces.values():
            _refuse_search(space, plan.folds)
        block = params.dataset(params.models[plan.names[0]].dataset)
        crossval = cls(plan, params, Rows.read(block, params.seed), spaces)
        crossval.same_metrics()
        return crossval

    @property
    def seed(self) -> int:
        """What folds and trainings follow from; the division into test rows and others follows from params.yaml."""
        return self.params.seed if self.plan.seed is None else self.plan.seed

    @cached_property
    def divisions(self) -> list[Division]:
        """The folds of all models, each repeat's behind the one before."""
        keys, parts, by = self.rows.raw.keys, self.rows.parts, self.rows.block.split.by
        share, found = share_of(parts), []
        for repeat in range(self.plan.repeats):
            seed = (self.seed + repeat) % 2**32
            for fold, (learnt, held) in enumerate(folds(keys, parts, by, self.plan.folds, seed)):
                train, aside = set_aside(keys, learnt, by, share, seed)
                found.append(Division(repeat + 1, fold + 1, learnt, train, aside, held, seed))
        return found

    @property
    def ratio(self) -> float:
        """Rows held out over rows learnt, the mean over folds."""
        return fmean(len(each.held) / len(each.learnt) for each in self.divisions)

    @cached_property
    def goal(self) -> Goal:
        """The leading metric."""
        name = self.plan.names[0]
        return goal_of(name, self.params.models[name], self._schema, self.params.models[name].study)

    @cached_property
    def _schema(self) -> Schema:
        """Of the data, as the first fold has it."""
        first = self.divisions[0]
        return self.rows.raw.encode({"train": first.train, "validation": first.aside, "test": NOTHING}).schema

    def goals(self, name: str) -> dict[str, Goal]:
        """Return every metric of a model of which more or less is better, its leading one first."""
        return goals_of(self.params.models[name], self._schema)

    def bounds(self, name: str) -> dict[str, tuple[float, float]]:
        """Return between which values scores of a model always lie, of those of which that is known."""
        return bounds(self.params.models[name], self._schema)

    def same_metrics(self) -> None:
        """Refuse to compare models that are scored by different metrics, by a `ParamsError`."""
        every = [(name, set(self.goals(name))) for name in self.plan.names]
        for name, metrics in every[1:]:
            if metrics != every[0][1]:
                raise ParamsError(
                    f"models to compare must have the same metrics, but {every[0][0]} has {_listed(every[0][1])} and"
                    f" {name} {_listed(metrics)}; compare models of one purpose"
                )

    def job(self, division: Division, model: Model, seed: int) -> Job:
        """Return the training of a model on one fold, all that stands before the network fitted to its training rows.

        Raises:
            DataError: `select` asks for what these rows have not.
            ArtifactError: the model that `uses` names was not trained.
        """
        fold = Fold(self.rows, division.parts(model))
        return Job(model, *fold.prepared(model, seed), seed)


def judge(name: str, division: Division, job: Job, done: Trained, winner: Winner | None = None) -> Result:
    """Return what came of a job: scores of the rows held out, or why there are none."""
    sets = {"learnt": job.dataset.train, "aside": job.dataset.validation, "held_out": job.dataset.test}
    rows, found, error = {key: len(records) for key, records in sets.items()}, dict[str, float](), done.error
    if done.saved is not None:
        try:
            found = scores_of(job.params, done.saved, job.dataset.test, done.epochs, done.kept_epoch)
        except TrainingError as why:
            error = str(why)
    if wrong := [metric for metric, value in found.items() if not math.isfinite(value)]:
        found, error = {}, f"{wrong[0]} must be finite, but is not: the rows held out do not suffice for it"
    return Result(
        model=name, repeat=division.repeat, fold=division.fold, rows=rows, scores=found, error=error,
        epochs=len(done.epochs), kept_epoch=done.kept_epoch, seconds=round(done.seconds, 2), winner=winner,
    )  # fmt: skip


def _refuse(plan: Plan, params: Params) -> None:
    if twice := [name for i, name in enumerate(plan.names) if name in plan.names[:i]]:
        raise ParamsError(f"models to compare must differ, but {twice[0]!r} stands there twice; name it once")
    if plan.trials is not None and not plan.nested:
        raise ParamsError(f"--trials is of searches within folds, but --nested is missing ({plan.trials}); add it")
    first, *others = plan.names
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
    for name in plan.names:
        model = params.models[name]
        refuse_leaks(name, model, plan.folds)
        need_lender(name, model)


def _refuse_search(space: Space, folds: int) -> None:
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
    check_corners(space, lambda model: refuse_leaks(space.name, model, folds))


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
