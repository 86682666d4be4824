"""The block `training`: the base at the top of params.yaml, and the part of it that each model overrides.

The block `training.loss`: what a network is punished for.

The block `training.pretrained`: a trained model whose weights a training begins with.

The block `training.loss_weights`: what each of several targets counts.
"""

from typing import Annotated, Literal

from pydantic import Field

from .augmentation import Augmentation
from .base import FrozenMapping, Name, StrictModel
from .optimizers import Adam, ConstantSchedule, OptimizerConfig, ScheduleConfig

QuantileLevel = Annotated[float, Field(gt=0, lt=1)]


class AutoLoss(StrictModel):
    """cross_entropy for classes, mse for values."""

    name: Literal["auto"]


class CrossEntropyLoss(StrictModel):
    """Of the softmax over classes."""

    name: Literal["cross_entropy"]
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the target that goes to all classes alike (Szegedy et al. 2016)"
    )


class FocalLoss(StrictModel):
    """Cross-entropy that counts well-told rows less (Lin et al. 2017)."""

    name: Literal["focal"]
    gamma: float = Field(default=2.0, ge=0, description="how much less; 0 is cross_entropy")


class BCELoss(StrictModel):
    """Binary cross-entropy of one sigmoid output; two classes only."""

    name: Literal["bce"]


class MeanErrorLoss(StrictModel):
    """mse: mean squared error; mae: mean absolute error."""

    name: Literal["mse", "mae"]


class HuberLoss(StrictModel):
    """Squared up to delta, absolute beyond (Huber 1964)."""

    name: Literal["huber"]
    delta: float = Field(default=1.0, gt=0, description="in deviations of the training targets")


class QuantileLoss(StrictModel):
    """The pinball loss (Koenker & Bassett 1978): one number for each level of each value."""

    name: Literal["quantile"]
    quantiles: tuple[QuantileLevel, ...] = Field(
        default=(0.1, 0.5, 0.9), min_length=1, description="shares of targets that are to lie below, lowest first"
    )


LossConfig = Annotated[
    AutoLoss | CrossEntropyLoss | FocalLoss | BCELoss | MeanErrorLoss | HuberLoss | QuantileLoss,
    Field(discriminator="name", description="of values: in the scale of training, in which their deviation is 1"),
]

CLASSIFICATION_LOSSES = ("auto", "cross_entropy", "focal", "bce")
REGRESSION_LOSSES = ("auto", "mse", "mae", "huber", "quantile")
RECONSTRUCTION_LOSSES = ("auto", "mse", "mae", "huber", "bce")


class PretrainedWeights(StrictModel):
    """Begin with the weights of a registered model of ours, instead of random ones."""

    model: Name = Field(description="a model of params.yaml, of this project or another on the same MLflow store")
    alias: Annotated[str, Field(pattern=r"^\w[\w-]*$")] = Field(
        default="champion",
        description="which version: the one that has this alias when training begins; DVC does not see an alias move,"
        " and `version` pins it",
    )
    version: int | None = Field(default=None, gt=0, description="which version, by its number; then no alias is asked")
    layers: Literal["all", "backbone"] = Field(
        default="all", description="all: those that fit, from the input on; body: never the last one"
    )
    freeze_epochs: int = Field(
        default=0, ge=0, description="epochs for which the layers that were taken stay as they are; the last one learns"
    )
    unfreeze_every: int = Field(
        default=0,
        ge=0,
        description="epochs between a layer that is set free and the next one towards the input (Howard & Ruder 2018);"
        " 0: all at once",
    )
    layer_lr_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="learning rate of a layer, as a share of that of the next one towards the output (Howard & Ruder"
        " 2018); 1: the same for all",
    )


LossWeight = Annotated[float, Field(ge=0)]


class FixedWeights(StrictModel):
    """Losses are added up, each times its weight."""

    name: Literal["fixed"]
    weights: FrozenMapping[str, LossWeight] = Field(
        default={}, validate_default=True, description="by target; one that is not named counts 1"
    )


class UncertaintyWeights(StrictModel):
    """Weights are learnt: a target counts less the noisier it is (Kendall, Gal & Cipolla 2018)."""

    name: Literal["uncertainty"]


LossWeightsConfig = Annotated[
    FixedWeights | UncertaintyWeights,
    Field(discriminator="name", description="what each target's loss counts, if the dataset has several"),
]


class Training(StrictModel):
    """How a network is fitted."""

    max_epochs: int = Field(default=50, gt=0, description="passes over the training rows")
    patience: int = Field(
        default=10,
        ge=0,
        description="epochs without a better validation loss before stopping; 0 never stops early",
    )
    checkpoint: Literal["best", "last"] = Field(
        default="best",
        description="whose weights become the model: those of the epoch with the lowest validation loss, or of the last"
        " one, for where few validation rows make the lowest a matter of luck",
    )
    pretrained: PretrainedWeights | None = Field(
        default=None, description="a trained model to begin with; null: random weights"
    )
    batch_size: int = Field(default=32, gt=0, description="rows a step, over all devices")
    accumulate_grad_batches: int = Field(
        default=1,
        gt=0,
        description="parts in which a step's rows go through the network, to save memory; batch norm takes each by"
        " itself",
    )
    loss: LossConfig = AutoLoss(name="auto")
    loss_weights: LossWeightsConfig = Field(default={"name": "fixed"}, validate_default=True)
    difference: Literal["none", "last", "seasonal"] = Field(
        default="none",
        description="of forecasts: what they are learnt as a difference from; last: the step before; season: the step a"
        " season ago",
    )
    optimizer: OptimizerConfig = Adam(name="adam", lr=0.001)
    schedule: ScheduleConfig = ConstantSchedule(name="constant")
    l1: float = Field(default=0.0, ge=0, description="penalty on absolute weights, not on biases and norms")
    augment: Augmentation = Augmentation()
    class_balance: Literal["none", "weighted_loss", "weighted_sampler"] = Field(
        default="none",
        description="of classes; weights: a row counts by the rarity of its class; sampling: rows are drawn so that"
        " classes come equally often",
    )
    gradient_clip_norm: float = Field(default=0.0, ge=0, description="largest norm of the gradient; 0 does not clip")
    gradient_clip_value: float = Field(
        default=0.0, ge=0, description="largest absolute value in the gradient; 0 does not clip"
    )
    ema_decay: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="memory of a moving average of the weights, a step, which is what is kept; 0 keeps the weights"
        " themselves",
    )
    precision: Literal["32", "bf16", "16"] = Field(default="32", description="bf16 and 16 are mixed precision")
    compile: bool = Field(default=False, description="torch.compile of the network: pays off in long trainings")
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = Field(default="auto", description="auto: a GPU if there is one")
    devices: int = Field(
        default=1,
        gt=0,
        description="processes that share a step's rows, one for each device; on cpu any number. Dropout, augmentation"
        " and batch norm are each device's own, batch norm's kept statistics those of the first",
    )
    num_threads: int = Field(default=1, ge=0, description="CPU threads of PyTorch; 0 is PyTorch's own choice")
    checkpoint_seconds: float = Field(
        default=30.0, ge=0, description="least time between two checkpoints, in seconds; 0 is one per epoch"
    )
