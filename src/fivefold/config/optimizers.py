"""The blocks `training.optimizer` and `training.schedule`: how weights move, and how fast as time goes by."""

from typing import Annotated, Literal

from pydantic import Field

from .base import StrictModel

LearningRate = Annotated[float, Field(gt=0, description="learning rate; the peak of the schedule")]
WeightDecay = Annotated[float, Field(ge=0, description="L2 on weights, not on biases and norms")]
MomentumFactor = Annotated[float, Field(ge=0, lt=1)]


class Adam(StrictModel):
    """Kingma & Ba 2015; adamw is Loshchilov & Hutter 2019; nadam is Dozat 2016."""

    name: Literal["adam", "adamw", "nadam"]
    lr: LearningRate
    weight_decay: WeightDecay = 0.0
    beta1: MomentumFactor = Field(default=0.9, description="memory of the gradient's mean")
    beta2: MomentumFactor = Field(default=0.999, description="memory of the gradient's square")


class Sgd(StrictModel):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    lr: LearningRate
    weight_decay: WeightDecay = 0.0
    momentum: MomentumFactor = 0.9
    nesterov: bool = Field(default=False, description="look ahead by the momentum, which must then be above 0")


class Rmsprop(StrictModel):
    """Tieleman & Hinton 2012."""

    name: Literal["rmsprop"]
    lr: LearningRate
    weight_decay: WeightDecay = 0.0
    momentum: MomentumFactor = 0.0
    alpha: MomentumFactor = Field(default=0.99, description="memory of the gradient's square")


OptimizerConfig = Annotated[Adam | Sgd | Rmsprop, Field(discriminator="name")]

WarmupEpochs = Annotated[float, Field(ge=0, description="epochs of a straight rise from 0 before the schedule begins")]
DecayFactor = Annotated[float, Field(gt=0, lt=1)]


class ConstantSchedule(StrictModel):
    """The learning rate as it is."""

    name: Literal["constant"]
    warmup_epochs: WarmupEpochs = 0.0


class StepSchedule(StrictModel):
    """Times `factor` every so many epochs."""

    name: Literal["step"]
    step_size: int = Field(gt=0, description="epochs")
    gamma: DecayFactor = 0.1
    warmup_epochs: WarmupEpochs = 0.0


class ExponentialSchedule(StrictModel):
    """Times `factor` every epoch."""

    name: Literal["exponential"]
    gamma: DecayFactor
    warmup_epochs: WarmupEpochs = 0.0


class CosineSchedule(StrictModel):
    """Half a cosine, step by step, down to `floor` (Loshchilov & Hutter 2017)."""

    name: Literal["cosine"]
    min_lr_ratio: float = Field(default=0.0, ge=0, lt=1, description="share of the learning rate at the end")
    warmup_epochs: WarmupEpochs = 0.0


class OneCycleSchedule(StrictModel):
    """Up from a 25th to the learning rate, then down to almost 0 (Smith & Topin 2018)."""

    name: Literal["one_cycle"]
    pct_start: float = Field(default=0.3, gt=0, lt=1, description="share of the steps that go up")


class PlateauSchedule(StrictModel):
    """Times `factor` when the validation loss did not fall for more than `patience` epochs."""

    name: Literal["plateau"]
    patience: int = Field(default=5, ge=0, description="epochs")
    factor: DecayFactor = 0.1
    warmup_epochs: WarmupEpochs = 0.0


ScheduleConfig = Annotated[
    ConstantSchedule | StepSchedule | ExponentialSchedule | CosineSchedule | OneCycleSchedule | PlateauSchedule,
    Field(discriminator="name"),
]
