"""The blocks `training.optimizer` and `training.schedule`: how weights move, and how fast as time goes by."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Strict

Rate = Annotated[float, Field(gt=0, description="learning rate; the peak of the schedule")]
Decay = Annotated[float, Field(ge=0, description="L2 on weights, not on biases and norms")]
Beta = Annotated[float, Field(ge=0, lt=1)]


class Adam(Strict):
    """Kingma & Ba 2015; adamw is Loshchilov & Hutter 2019; nadam is Dozat 2016."""

    name: Literal["adam", "adamw", "nadam"]
    lr: Rate
    weight_decay: Decay = 0.0
    beta1: Beta = Field(default=0.9, description="memory of the gradient's mean")
    beta2: Beta = Field(default=0.999, description="memory of the gradient's square")


class Sgd(Strict):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    lr: Rate
    weight_decay: Decay = 0.0
    momentum: Beta = 0.9
    nesterov: bool = Field(default=False, description="look ahead by the momentum, which must then be above 0")


class Rmsprop(Strict):
    """Tieleman & Hinton 2012."""

    name: Literal["rmsprop"]
    lr: Rate
    weight_decay: Decay = 0.0
    momentum: Beta = 0.0
    alpha: Beta = Field(default=0.99, description="memory of the gradient's square")


Optimizer = Annotated[Adam | Sgd | Rmsprop, Field(discriminator="name")]

Warmup = Annotated[float, Field(ge=0, description="epochs of a straight rise from 0 before the schedule begins")]
Factor = Annotated[float, Field(gt=0, lt=1)]


class Constant(Strict):
    """The learning rate as it is."""

    name: Literal["constant"]
    warmup: Warmup = 0.0


class StepDown(Strict):
    """Times `factor` every so many epochs."""

    name: Literal["step"]
    every: int = Field(gt=0, description="epochs")
    factor: Factor = 0.1
    warmup: Warmup = 0.0


class Exponential(Strict):
    """Times `factor` every epoch."""

    name: Literal["exponential"]
    factor: Factor
    warmup: Warmup = 0.0


class Cosine(Strict):
    """Half a cosine, step by step, down to `floor` (Loshchilov & Hutter 2017)."""

    name: Literal["cosine"]
    floor: float = Field(default=0.0, ge=0, lt=1, description="share of the learning rate at the end")
    warmup: Warmup = 0.0


class OneCycle(Strict):
    """Up from a 25th to the learning rate, then down to almost 0 (Smith & Topin 2018)."""

    name: Literal["one_cycle"]
    rise: float = Field(default=0.3, gt=0, lt=1, description="share of the steps that go up")


class Plateau(Strict):
    """Times `factor` when the validation loss did not fall for more than `patience` epochs."""

    name: Literal["plateau"]
    patience: int = Field(default=5, ge=0, description="epochs")
    factor: Factor = 0.1
    warmup: Warmup = 0.0


Schedule = Annotated[Constant | StepDown | Exponential | Cosine | OneCycle | Plateau, Field(discriminator="name")]
