"""The block `training.tasks`: what each of several targets counts."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Frozen, Strict

Weight = Annotated[float, Field(ge=0)]


class Fixed(Strict):
    """Losses are added up, each times its weight."""

    name: Literal["fixed"]
    weights: Frozen[str, Weight] = Field(
        default={}, validate_default=True, description="by target; one that is not named counts 1"
    )


class Uncertainty(Strict):
    """Weights are learnt: a target counts less the noisier it is (Kendall, Gal & Cipolla 2018)."""

    name: Literal["uncertainty"]


Tasks = Annotated[
    Fixed | Uncertainty,
    Field(discriminator="name", description="what each target's loss counts, if the dataset has several"),
]
