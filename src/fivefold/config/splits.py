"""The block `split` of a dataset: how rows are divided into training, validation and test rows."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from .base import StrictModel


def _validate_size(value: Any, handler: ValidatorFunctionWrapHandler) -> float:
    """Take a share or a number; a union of both would say of each bad value twice that it is none."""
    checked: float = handler(value)
    if isinstance(value, int):
        return value
    if checked >= 1:
        raise PydanticCustomError("part", "Input should be a share below 1, or a whole number")
    return checked


SplitSize = Annotated[float, Field(gt=0), WrapValidator(_validate_size)]
"""A share of all rows, a float below 1, or a number of rows, an int."""

VALIDATION_DESCRIPTION = "share or number of rows, to choose the best epoch"
TEST_DESCRIPTION = "share or number of rows, to score the finished model once"


class RandomSplit(StrictModel):
    """Rows are drawn."""

    by: Literal["stratified", "random"] = Field(
        description="stratified keeps the share of each class; random does not look"
    )
    validation: SplitSize = Field(description=VALIDATION_DESCRIPTION)
    test: SplitSize = Field(description=TEST_DESCRIPTION)


class GroupSplit(StrictModel):
    """Groups are drawn: rows of one group, a patient or a site, stay together."""

    by: Literal["group"]
    column: str = Field(description="column that names the group; it is no feature")
    validation: SplitSize = Field(description=VALIDATION_DESCRIPTION.replace("rows", "groups"))
    test: SplitSize = Field(description=TEST_DESCRIPTION.replace("rows", "groups"))


class TimeSplit(StrictModel):
    """The latest rows are test rows, those before them validation rows."""

    by: Literal["time"]
    column: str = Field(default="", description="column to order by, which is no feature; a series knows its own")
    validation: SplitSize = Field(description=VALIDATION_DESCRIPTION)
    test: SplitSize = Field(description=TEST_DESCRIPTION)


class PredefinedSplit(StrictModel):
    """The source says it: a column of train, validation and test, or the train and test parts of a set of files."""

    by: Literal["predefined"]
    column: str = Field(default="split", description="column that holds train, validation or test; it is no feature")
    validation: SplitSize = Field(
        default=0.15, description="of the training rows, drawn if the source has no validation"
    )


SplitConfig = Annotated[RandomSplit | GroupSplit | TimeSplit | PredefinedSplit, Field(discriminator="by")]
