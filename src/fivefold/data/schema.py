"""What is known of a dataset beside its arrays; `schema.json` in the prepared folder."""

from typing import Literal, Self

from pydantic import ValidationError

from ..errors import ArtifactError
from ..params.base import Strict
from ..params.datasets import Task


class Schema(Strict):
    """Names, classes and shape: all that a network, a report or an exported file must know."""

    kind: Literal["table", "images"]
    task: Task
    target: str
    features: tuple[str, ...]
    """Column names of a table in the order of the array's columns; empty for images."""
    shape: tuple[int, ...]
    """Shape of one record: (features,) for a table, (channels, height, width) for images."""
    classes: tuple[str, ...]
    """Class names in the order of the target's indices; empty for regression."""

    @property
    def output(self) -> Literal["probabilities", "values"]:
        """What a model gives: probabilities (n, classes) float32, or values (n, 1) float64."""
        return "probabilities" if self.task == "classification" else "values"

    @property
    def n_outputs(self) -> int:
        """Numbers that a network must give per record."""
        return len(self.classes) or 1

    @classmethod
    def from_json(cls, text: str, origin: object) -> Self:
        """Read what `model_dump_json` wrote; `origin` is named in the `ArtifactError` if it is something else."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            raise ArtifactError(
                f"{origin} must hold a schema, but {where}: {problem['msg']}; run `dvc repro` again"
            ) from None
