"""The block `split` of a dataset: training, validation and test rows."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from .base import StrictModel


def _validate_size(value: Any, handler: ValidatorFunctionWrapHandler) -> float:
    """Accept a fraction or a count; a union of both types would report two errors per invalid value."""
    checked: float = handler(value)
    if isinstance(value, int):
        return value
    if checked >= 1:
        raise PydanticCustomError("part", "Input should be a fraction below 1 or an integer")
    return checked


SplitSize = Annotated[float, Field(gt=0), WrapValidator(_validate_size)]
"""Fraction of all rows (float below 1) or number of rows (int)."""

VALIDATION_DESCRIPTION = "fraction or number of rows, used to select the best epoch"
TEST_DESCRIPTION = "fraction or number of rows, used once to evaluate the trained model"


class RandomSplit(StrictModel):
    """Random split of rows."""

    by: Literal["stratified", "random"] = Field(
        description="stratified: preserve class proportions; random: ignore classes"
    )
    validation: SplitSize = Field(description=VALIDATION_DESCRIPTION)
    test: SplitSize = Field(description=TEST_DESCRIPTION)


class GroupSplit(StrictModel):
    """Random split of groups: all rows of a group (a patient, a site) are in the same split."""

    by: Literal["group"]
    column: str = Field(description="column with the group of each row; not a feature")
    validation: SplitSize = Field(description=VALIDATION_DESCRIPTION.replace("rows", "groups"))
    test: SplitSize = Field(description=TEST_DESCRIPTION.replace("rows", "groups"))


class TimeSplit(StrictModel):
    """Chronological split: the latest rows are test rows, those before them validation rows."""

    by: Literal["time"]
    column: str = Field(default="", description="column to order rows by; not a feature. Not needed for a series")
    validation: SplitSize = Field(description=VALIDATION_DESCRIPTION)
    test: SplitSize = Field(description=TEST_DESCRIPTION)


class PredefinedSplit(StrictModel):
    """Split given by the source: a column of train, validation and test, or separate train and test files."""

    by: Literal["predefined"]
    column: str = Field(default="split", description="column with the values train, validation or test; not a feature")
    validation: SplitSize = Field(
        default=0.15, description="fraction or number of training rows, drawn if the source has no validation rows"
    )


SplitConfig = Annotated[RandomSplit | GroupSplit | TimeSplit | PredefinedSplit, Field(discriminator="by")]
