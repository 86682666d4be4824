"""The block `training`, at the top level of params.yaml for all models and under a model to override it.

Includes the blocks `loss`, `pretrained` (transfer learning) and `loss_weights` (multi-task training).
"""

from typing import Annotated, Literal

from pydantic import Field

from .augmentation import Augmentation
from .base import FrozenMapping, Name, StrictModel
from .optimizers import Adam, ConstantSchedule, OptimizerConfig, ScheduleConfig

QuantileLevel = Annotated[float, Field(gt=0, lt=1)]


class AutoLoss(StrictModel):
    """cross_entropy for classification, mse for regression."""

    name: Literal["auto"]


class CrossEntropyLoss(StrictModel):
    """Softmax cross-entropy over classes."""

    name: Literal["cross_entropy"]
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="label smoothing (Szegedy et al. 2016)")


class FocalLoss(StrictModel):
    """Cross-entropy that down-weights easy samples (Lin et al. 2017)."""

    name: Literal["focal"]
    gamma: float = Field(default=2.0, ge=0, description="focusing parameter; 0 is cross_entropy")


class BCELoss(StrictModel):
    """Binary cross-entropy of a single sigmoid output; two classes only."""

    name: Literal["bce"]


class MeanErrorLoss(StrictModel):
    """Mean squared error (mse) or mean absolute error (mae)."""

    name: Literal["mse", "mae"]


class HuberLoss(StrictModel):
    """Quadratic up to delta, linear beyond (Huber 1964)."""

    name: Literal["huber"]
    delta: float = Field(default=1.0, gt=0, description="in standard deviations of the training targets")


class QuantileLoss(StrictModel):
    """Pinball loss (Koenker & Bassett 1978); one output per quantile and target value."""

    name: Literal["quantile"]
    quantiles: tuple[QuantileLevel, ...] = Field(
        default=(0.1, 0.5, 0.9), min_length=1, description="quantile levels, in increasing order"
    )


LossConfig = Annotated[
    AutoLoss | CrossEntropyLoss | FocalLoss | BCELoss | MeanErrorLoss | HuberLoss | QuantileLoss,
    Field(
        discriminator="name",
        description="regression targets are standardized, so the loss is in squared or absolute standard deviations",
    ),
]

CLASSIFICATION_LOSSES = ("auto", "cross_entropy", "focal", "bce")
REGRESSION_LOSSES = ("auto", "mse", "mae", "huber", "quantile")
RECONSTRUCTION_LOSSES = ("auto", "mse", "mae", "huber", "bce")


class PretrainedWeights(StrictModel):
    """Initialize from the weights of a registered model instead of at random."""

    model: Name = Field(
        description="name of a model in the registry of the MLflow store, of this project or another one"
    )
    alias: Annotated[str, Field(pattern=r"^\w[\w-]*$")] = Field(
        default="champion",
        description="alias of the version, resolved when training starts; DVC does not notice when an alias moves, so"
        " use `version` to pin one",
    )
    version: int | None = Field(default=None, gt=0, description="number of the version; overrides `alias`")
    layers: Literal["all", "backbone"] = Field(
        default="all",
        description="all: all layers with matching shapes, from the input on; backbone: without the output layer",
    )
    freeze_epochs: int = Field(
        default=0, ge=0, description="epochs in which the loaded layers are frozen and only the output layer is trained"
    )
    unfreeze_every: int = Field(
        default=0,
        ge=0,
        description="gradual unfreezing: epochs between unfreezing a layer and the next one towards the input (Howard &"
        " Ruder 2018); 0: all layers at the same time",
    )
    layer_lr_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="discriminative learning rates: ratio of the learning rate of a layer to that of the next one"
        " towards the output (Howard & Ruder 2018); 1: the same for all layers",
    )


LossWeight = Annotated[float, Field(ge=0)]


class FixedWeights(StrictModel):
    """Weighted sum of the losses with fixed weights."""

    name: Literal["fixed"]
    weights: FrozenMapping[str, LossWeight] = Field(
        default={}, validate_default=True, description="weight by target; default 1"
    )


class UncertaintyWeights(StrictModel):
    """Learned uncertainty weighting: noisier targets get smaller weights (Kendall, Gal & Cipolla 2018)."""

    name: Literal["uncertainty"]


LossWeightsConfig = Annotated[
    FixedWeights | UncertaintyWeights,
    Field(discriminator="name", description="weights of the targets' losses if the dataset has several targets"),
]


class Training(StrictModel):
    """Training settings."""

    max_epochs: int = Field(default=50, gt=0, description="maximum number of epochs")
    patience: int = Field(
        default=10,
        ge=0,
        description="early stopping: epochs without improvement of the validation loss before training stops; 0: off",
    )
    checkpoint: Literal["best", "last"] = Field(
        default="best",
        description="weights to save: best: those of the epoch with the lowest validation loss; last: those of the last"
        " epoch, preferable if there are too few validation rows for a reliable minimum",
    )
    pretrained: PretrainedWeights | None = Field(
        default=None, description="registered model to initialize from; null: random initialization"
    )
    batch_size: int = Field(default=32, gt=0, description="samples per step, over all devices")
    accumulate_grad_batches: int = Field(
        default=1,
        gt=0,
        description="micro-batches per step, to save memory; batch norm statistics are per micro-batch",
    )
    loss: LossConfig = AutoLoss(name="auto")
    loss_weights: LossWeightsConfig = Field(default={"name": "fixed"}, validate_default=True)
    difference: Literal["none", "last", "seasonal"] = Field(
        default="none",
        description="forecasting: predict the difference from an earlier value; last: the last step of the window;"
        " seasonal: the step one season earlier",
    )
    optimizer: OptimizerConfig = Adam(name="adam", lr=0.001)
    schedule: ScheduleConfig = ConstantSchedule(name="constant")
    l1: float = Field(
        default=0.0, ge=0, description="L1 penalty on weights; biases and normalization layers are excluded"
    )
    augment: Augmentation = Augmentation()
    class_balance: Literal["none", "weighted_loss", "weighted_sampler"] = Field(
        default="none",
        description="class imbalance; weighted_loss: weight samples by inverse class frequency; weighted_sampler: draw"
        " all classes equally often",
    )
    gradient_clip_norm: float = Field(default=0.0, ge=0, description="maximum norm of the gradient; 0: no clipping")
    gradient_clip_value: float = Field(
        default=0.0, ge=0, description="maximum absolute value in the gradient; 0: no clipping"
    )
    ema_decay: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay per step of an exponential moving average of the weights, which is validated and saved; 0:"
        " off",
    )
    precision: Literal["32", "bf16", "16"] = Field(default="32", description="bf16 and 16: mixed precision")
    compile: bool = Field(default=False, description="torch.compile the network; pays off for long training runs")
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = Field(default="auto", description="auto: a GPU if available")
    devices: int = Field(
        default=1,
        gt=0,
        description="processes for data-parallel training, one per device; any number on cpu. Dropout, augmentation and"
        " batch norm are per device; the saved batch norm statistics are those of the first device",
    )
    num_threads: int = Field(default=1, ge=0, description="CPU threads of PyTorch; 0: PyTorch's default")
    checkpoint_seconds: float = Field(
        default=30.0, ge=0, description="minimum time between two checkpoints, in seconds; 0: every epoch"
    )
