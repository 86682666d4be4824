"""What a study searches, and on which rows."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..config.search import Study
from ..data.schema import Schema
from ..errors import DataError, ParamsError, format_value
from ..folds import Fold, SplitDataset, build_folds, check_leakage, require_source_model
from .execution.trials import Direction
from .identity import DATA_DIGEST
from .scoring import ObjectiveMetric, select_objective_metric
from .space import SearchSpace
from .space_check import iter_corners


@dataclass(frozen=True)
class Search:
    """What a study searches: a space, on folds that all its trials share.

    rows: of the model's dataset.
    """

    space: SearchSpace
    split_dataset: SplitDataset

    @classmethod
    def read(cls, model_name: str) -> "Search":
        """Read the search of model `name` from params.yaml.

        Raises:
            ParamsError: it breaks the schema, or cannot be judged by rows held out.
            DataError: the source of its dataset breaks a rule.
        """
        space = SearchSpace.read(model_name)
        check_leakage(model_name, space.base_model, space.study.folds)
        require_source_model(model_name, space.base_model)
        return cls(space, SplitDataset.read(space.dataset, space.seed))

    @property
    def study(self) -> Study:
        """How it is searched."""
        return self.space.study

    @cached_property
    def folds(self) -> list[Fold]:
        """The folds of all trials.

        Raises:
            ParamsError: there are too few rows for so many.
        """
        try:
            return build_folds(self.split_dataset, self.study.folds, self.space.seed)
        except DataError as error:
            raise ParamsError(f"models.{self.space.name}.study.folds: {error}") from None

    @cached_property
    def schema(self) -> Schema:
        """Of the data, as the first fold has it."""
        return self.folds[0].dataset.schema

    @cached_property
    def objective_metric(self) -> ObjectiveMetric:
        """What is searched for."""
        return select_objective_metric(
            self.space.name, self.space.base_model, self.schema, self.study, tuple(self.space.ranges)
        )

    def directions(self) -> list[Direction]:
        """Return whether more or less is better of each objective, as Optuna says it."""
        more = self.objective_metric.direction == "higher"
        return ["maximize" if objective == "score" and more else "minimize" for objective in self.study.objectives]

    def identity(self) -> dict[str, Any]:
        """Return what makes this study another one when it changes; plain JSON values."""
        study = self.study.model_dump(mode="json", include={"folds", "objectives"})
        return {
            "name": self.space.name,
            "model": self.space.fixed_params(),
            "search": dict(self.space.base_model.search),
            "study": study | {"metric": self.objective_metric.name, "better": self.objective_metric.direction},
            "dataset": self.split_dataset.dataset_params.model_dump(mode="json"),
            DATA_DIGEST: self.split_dataset.digest,
            "seed": self.space.seed,
        }


def validate_selections(search: Search) -> None:
    """Fit each selection that a corner of the space has to the first fold's training rows.

    Raises:
        ParamsError: these rows cannot have it, or not be divided into folds; names the values.
    """
    first = search.folds[0]
    every = [
        {key: value for key, value in values.items() if key.startswith("select.")}
        for values in iter_corners(search.space)
    ]
    for chosen in {repr(values): values for values in every if values}.values():
        try:
            first.prepare(search.space.build_model(chosen), search.space.seed)
        except DataError as error:
            each = ", ".join(f"{key}: {format_value(value)}" for key, value in chosen.items())
            raise ParamsError(
                f"models.{search.space.name}.search.select: every corner must suit the rows, but {each} does not:"
                f" {error}"
            ) from None
