"""The block `split` of a dataset: how rows are divided into training, validation and test rows."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from .base import Strict


def _part(value: Any, number: ValidatorFunctionWrapHandler) -> float:
    """Take a share or a number; a union of both would say of each bad value twice that it is none."""
    checked: float = number(value)
    if isinstance(value, int):
        return value
    if checked >= 1:
        raise PydanticCustomError("part", "Input should be a share below 1, or a whole number")
    return checked


Part = Annotated[float, Field(gt=0), WrapValidator(_part)]
"""A share of all rows, a float below 1, or a number of rows, an int."""

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
    validation: Part = Field(description=VALIDATION.replace("rows", "groups"))
    test: Part = Field(description=TEST.replace("rows", "groups"))


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
