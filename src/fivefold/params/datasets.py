"""The blocks under `datasets` in params.yaml, one class per kind of data."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Strict

Task = Literal["classification", "regression"]


class Split(Strict):
    """How rows are divided into training, validation and test rows."""

    validation: float = Field(gt=0, lt=1, description="share of all rows, to choose the best epoch")
    test: float = Field(gt=0, lt=1, description="share of all rows, to score the finished model once")
    by: Literal["stratified", "random"] = Field(
        description="stratified keeps the share of each class; random does not look"
    )


class Table(Strict):
    """Rows of named columns; one of them is the target."""

    kind: Literal["table"]
    source: str = Field(description="path of a .csv or .csv.gz, or of a .sklearn file that names bundled data")
    task: Task
    target: str = Field(description="name of the column to predict")
    drop: tuple[str, ...] = Field(default=(), description="columns to leave out")
    split: Split
    normalize: Literal["standard", "minmax", "l2", "robust", "none"] = Field(
        description="standard: mean 0, deviation 1; minmax: column to [0, 1]; robust: median 0, quartile range 1;"
        " l2: row to unit length"
    )


class Images(Strict):
    """Images of one size, one channel or three, with a label each."""

    kind: Literal["images"]
    source: str = Field(description="path of a .npz with arrays x and y, or of a .sklearn file that names bundled data")
    task: Task
    split: Split
    normalize: Literal["standard", "minmax", "none"] = Field(
        description="per channel over the training images; standard: mean 0, deviation 1; minmax: to [0, 1]"
    )


Dataset = Annotated[Table | Images, Field(discriminator="kind")]
