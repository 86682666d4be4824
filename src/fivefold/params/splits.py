"""The block `split` of a dataset: how rows are divided into training, validation and test rows."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Strict

Part = Annotated[float, Field(gt=0, lt=1)] | Annotated[int, Field(ge=1)]
"""A share of all rows, or a number of rows."""

VALIDATION = "share or number of rows, to choose the best epoch"
TEST = "share or number of rows, to score the finished model once"


class RowSplit(Strict):
    """Rows are drawn."""

    by: Literal["stratified", "random"] = Field(
        description="stratified keeps the share of each class; random does not look"
    )
    validation: Part = Field(description=VALIDATION)
    test: Part = Field(description=TEST)


class GroupSplit(Strict):
    """Groups are drawn: rows of one group, a patient or a site, stay together."""

    by: Literal["group"]
    column: str = Field(description="column that names the group; it is no feature")
    validation: Part = Field(description=VALIDATION)
    test: Part = Field(description=TEST)


class TimeSplit(Strict):
    """The latest rows are test rows, those before them validation rows."""

    by: Literal["time"]
    column: str = Field(default="", description="column to order by, which is no feature; a series knows its own")
    validation: Part = Field(description=VALIDATION)
    test: Part = Field(description=TEST)


class GivenSplit(Strict):
    """The source says it: a column of train, validation and test, or the train and test parts of a set of files."""

    by: Literal["column"]
    column: str = Field(default="split", description="column that holds train, validation or test; it is no feature")
    validation: Part = Field(default=0.15, description="of the training rows, drawn if the source has no validation")


Split = Annotated[RowSplit | GroupSplit | TimeSplit | GivenSplit, Field(discriminator="by")]
