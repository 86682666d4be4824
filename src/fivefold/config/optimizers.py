"""The blocks `training.optimizer` and `training.schedule`."""

from typing import Annotated, Literal

from pydantic import Field

from .base import StrictModel

LearningRate = Annotated[float, Field(gt=0, description="learning rate, the peak of the schedule")]
WeightDecay = Annotated[
    float, Field(ge=0, description="L2 penalty on weights; biases and normalization layers are excluded")
]
MomentumFactor = Annotated[float, Field(ge=0, lt=1)]


class Adam(StrictModel):
    """Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019) or NAdam (Dozat 2016)."""

    name: Literal["adam", "adamw", "nadam"]
    lr: LearningRate
    weight_decay: WeightDecay = 0.0
    beta1: MomentumFactor = Field(default=0.9, description="decay rate of the running mean of the gradient")
    beta2: MomentumFactor = Field(default=0.999, description="decay rate of the running mean of the squared gradient")


class Sgd(StrictModel):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    lr: LearningRate
    weight_decay: WeightDecay = 0.0
    momentum: MomentumFactor = 0.9
    nesterov: bool = Field(default=False, description="Nesterov momentum; needs momentum above 0")


class Rmsprop(StrictModel):
    """RMSprop (Tieleman & Hinton 2012)."""

    name: Literal["rmsprop"]
    lr: LearningRate
    weight_decay: WeightDecay = 0.0
    momentum: MomentumFactor = 0.0
    alpha: MomentumFactor = Field(default=0.99, description="decay rate of the running mean of the squared gradient")


OptimizerConfig = Annotated[Adam | Sgd | Rmsprop, Field(discriminator="name")]

WarmupEpochs = Annotated[float, Field(ge=0, description="epochs of linear warmup from 0 before the schedule starts")]
DecayFactor = Annotated[float, Field(gt=0, lt=1)]


class ConstantSchedule(StrictModel):
    """Constant learning rate."""

    name: Literal["constant"]
    warmup_epochs: WarmupEpochs = 0.0


class StepSchedule(StrictModel):
    """Multiply the learning rate by `gamma` every `step_size` epochs."""

    name: Literal["step"]
    step_size: int = Field(gt=0, description="epochs between two reductions")
    gamma: DecayFactor = 0.1
    warmup_epochs: WarmupEpochs = 0.0


class ExponentialSchedule(StrictModel):
    """Multiply the learning rate by `gamma` every epoch."""

    name: Literal["exponential"]
    gamma: DecayFactor
    warmup_epochs: WarmupEpochs = 0.0


class CosineSchedule(StrictModel):
    """Cosine annealing, updated every step, down to `min_lr_ratio` (Loshchilov & Hutter 2017)."""

    name: Literal["cosine"]
    min_lr_ratio: float = Field(default=0.0, ge=0, lt=1, description="final learning rate, fraction of the peak")
    warmup_epochs: WarmupEpochs = 0.0


class OneCycleSchedule(StrictModel):
    """Increase from lr/25 to lr, then decrease to almost 0 (Smith & Topin 2018)."""

    name: Literal["one_cycle"]
    pct_start: float = Field(
        default=0.3, gt=0, lt=1, description="fraction of the steps in which the learning rate increases"
    )


class PlateauSchedule(StrictModel):
    """Multiply by `factor` when the validation loss has not improved for more than `patience` epochs."""

    name: Literal["plateau"]
    patience: int = Field(default=5, ge=0, description="epochs without improvement")
    factor: DecayFactor = 0.1
    warmup_epochs: WarmupEpochs = 0.0


ScheduleConfig = Annotated[
    ConstantSchedule | StepSchedule | ExponentialSchedule | CosineSchedule | OneCycleSchedule | PlateauSchedule,
    Field(discriminator="name"),
]
