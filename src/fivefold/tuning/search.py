"""What a study searches, and on which rows."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..config.search import Study
from ..data.schema import Schema
from ..errors import DataError, ParamsError, shown
from ..folds import Fold, Rows, folds_of, need_lender, refuse_leaks
from .execution.trials import Direction
from .identity import ROWS
from .scoring import Goal, goal_of
from .space import Space
from .space_check import corners


@dataclass(frozen=True)
class Search:
    """What a study searches: a space, on folds that all its trials share.

    rows: of the model's dataset.
    """

    space: Space
    rows: Rows

    @classmethod
    def read(cls, name: str) -> "Search":
        """Read the search of model `name` from params.yaml.

        Raises:
            ParamsError: it breaks the schema, or cannot be judged by rows held out.
            DataError: the source of its dataset breaks a rule.
        """
        space = Space.read(name)
        refuse_leaks(name, space.base, space.study.folds)
        need_lender(name, space.base)
        return cls(space, Rows.read(space.dataset, space.seed))

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
            return folds_of(self.rows, self.study.folds, self.space.seed)
        except DataError as error:
            raise ParamsError(f"models.{self.space.name}.study.folds: {error}") from None

    @cached_property
    def schema(self) -> Schema:
        """Of the data, as the first fold has it."""
        return self.folds[0].dataset.schema

    @cached_property
    def goal(self) -> Goal:
        """What is searched for."""
        return goal_of(self.space.name, self.space.base, self.schema, self.study, tuple(self.space.ranges))

    def directions(self) -> list[Direction]:
        """Return whether more or less is better of each objective, as Optuna says it."""
        more = self.goal.better == "higher"
        return ["maximize" if objective == "score" and more else "minimize" for objective in self.study.objectives]

    def identity(self) -> dict[str, Any]:
        """Return what makes this study another one when it changes; plain JSON values."""
        study = self.study.model_dump(mode="json", include={"folds", "objectives"})
        return {
            "name": self.space.name,
            "model": self.space.fixed(),
            "search": dict(self.space.base.search),
            "study": study | {"metric": self.goal.name, "better": self.goal.better},
            "dataset": self.rows.block.model_dump(mode="json"),
            ROWS: self.rows.digest,
            "seed": self.space.seed,
        }


def check_selections(search: Search) -> None:
    """Fit each selection that a corner of the space has to the first fold's training rows.

    Raises:
        ParamsError: these rows cannot have it, or not be divided into folds; names the values.
    """
    first = search.folds[0]
    every = [
        {key: value for key, value in values.items() if key.startswith("select.")} for values in corners(search.space)
    ]
    for chosen in {repr(values): values for values in every if values}.values():
        try:
            first.prepared(search.space.model(chosen), search.space.seed)
        except DataError as error:
            each = ", ".join(f"{key}: {shown(value)}" for key, value in chosen.items())
            raise ParamsError(
                f"models.{search.space.name}.search.select: every corner must suit the rows, but {each} does not:"
                f" {error}"
            ) from None
