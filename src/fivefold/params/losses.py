"""The block `training.loss`: what a network is punished for."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Strict

Level = Annotated[float, Field(gt=0, lt=1)]


class Auto(Strict):
    """cross_entropy for classes, mse for values."""

    name: Literal["auto"]


class CrossEntropy(Strict):
    """Of the softmax over classes."""

    name: Literal["cross_entropy"]
    smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the target that goes to all classes alike (Szegedy et al. 2016)"
    )


class Focal(Strict):
    """Cross-entropy that counts well-told rows less (Lin et al. 2017)."""

    name: Literal["focal"]
    gamma: float = Field(default=2.0, ge=0, description="how much less; 0 is cross_entropy")


class Bce(Strict):
    """Binary cross-entropy of one sigmoid output; two classes only."""

    name: Literal["bce"]


class Plain(Strict):
    """mse: mean squared error; mae: mean absolute error."""

    name: Literal["mse", "mae"]


class Huber(Strict):
    """Squared up to delta, absolute beyond (Huber 1964)."""

    name: Literal["huber"]
    delta: float = Field(default=1.0, gt=0, description="in deviations of the training targets")


class Quantile(Strict):
    """The pinball loss (Koenker & Bassett 1978): one number for each level of each value."""

    name: Literal["quantile"]
    levels: tuple[Level, ...] = Field(
        default=(0.1, 0.5, 0.9), min_length=1, description="shares of targets that are to lie below, lowest first"
    )


Loss = Annotated[
    Auto | CrossEntropy | Focal | Bce | Plain | Huber | Quantile,
    Field(discriminator="name", description="of values: in the scale of training, in which their deviation is 1"),
]

OF_CLASSES = ("auto", "cross_entropy", "focal", "bce")
OF_VALUES = ("auto", "mse", "mae", "huber", "quantile")
OF_RECORDS = ("auto", "mse", "mae", "huber", "bce")
