"""The search of a model: its search space and the folds that all trials share."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..config.search import Study
from ..data.schema import Schema
from ..errors import DataError, ParamsError, format_value
from ..folds import Fold, SplitDataset, build_folds, check_leakage, require_source_model
from .identity import DATA_DIGEST
from .scoring import Direction, ObjectiveMetric, select_objective_metric
from .space import SearchSpace
from .space_check import iter_corners


@dataclass(frozen=True)
class Search:
    """A search space and the split dataset on whose folds every trial is evaluated."""

    space: SearchSpace
    split_dataset: SplitDataset

    @classmethod
    def read(cls, model_name: str) -> "Search":
        """Read the search of a model from params.yaml.

        Raises:
            ParamsError: the model breaks the schema or cannot be evaluated on held-out rows.
            DataError: the source of its dataset breaks a rule.
        """
        space = SearchSpace.read(model_name)
        check_leakage(model_name, space.base_model, space.study.folds)
        require_source_model(model_name, space.base_model)
        return cls(space, SplitDataset.read(space.dataset, space.seed))

    @property
    def study(self) -> Study:
        """The `study` block of the model."""
        return self.space.study

    @cached_property
    def folds(self) -> list[Fold]:
        """The folds that all trials share.

        Raises:
            ParamsError: there are too few rows for this number of folds.
        """
        try:
            return build_folds(self.split_dataset, self.study.folds, self.space.seed)
        except DataError as error:
            raise ParamsError(f"models.{self.space.name}.study.folds: {error}") from None

    @cached_property
    def schema(self) -> Schema:
        """The schema of the first fold."""
        return self.folds[0].dataset.schema

    @cached_property
    def objective_metric(self) -> ObjectiveMetric:
        """The metric that the study optimizes."""
        return select_objective_metric(
            self.space.name, self.space.base_model, self.schema, self.study, tuple(self.space.ranges)
        )

    def directions(self) -> list[Direction]:
        """Return the Optuna direction of each objective."""
        higher = self.objective_metric.direction == "higher"
        return ["maximize" if objective == "score" and higher else "minimize" for objective in self.study.objectives]

    def identity(self) -> dict[str, Any]:
        """Return the configuration that a study must keep, as plain JSON values."""
        study = self.study.model_dump(mode="json", include={"folds", "objectives"})
        return {
            "name": self.space.name,
            "model": self.space.fixed_params(),
            "search_space": dict(self.space.base_model.search),
            "study": study | {"metric": self.objective_metric.name, "direction": self.objective_metric.direction},
            "dataset": self.split_dataset.dataset_params.model_dump(mode="json"),
            DATA_DIGEST: self.split_dataset.digest,
            "seed": self.space.seed,
        }


def validate_selections(search: Search) -> None:
    """Fit each feature selection at the bounds of the space to the training rows of the first fold.

    Raises:
        ParamsError: a selection is impossible for these rows, or they cannot be divided into folds; names the values.
    """
    first = search.folds[0]
    selections = [
        {key: value for key, value in values.items() if key.startswith("select.")}
        for values in iter_corners(search.space)
    ]
    for selection in {repr(values): values for values in selections if values}.values():
        try:
            first.prepare(search.space.build_model(selection), search.space.seed)
        except DataError as error:
            named = ", ".join(f"{key}: {format_value(value)}" for key, value in selection.items())
            raise ParamsError(
                f"models.{search.space.name}.search.select: every combination of range bounds must be possible for the"
                f" training rows, but {named} is not: {error}"
            ) from None
