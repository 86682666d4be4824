"""The block `training`: the base at the top of params.yaml, and the part of it that each model overrides."""

from typing import Literal

from pydantic import Field

from .augment import Augment
from .base import Strict
from .losses import Auto, Loss
from .optimizers import Adam, Constant, Optimizer, Schedule
from .start import Start
from .tasks import Tasks


class Training(Strict):
    """How a network is fitted."""

    max_epochs: int = Field(default=50, gt=0, description="passes over the training rows")
    patience: int = Field(
        default=10,
        ge=0,
        description="epochs without a better validation loss before stopping; 0 never stops early",
    )
    start: Start | None = Field(default=None, description="a trained model to begin with; null: random weights")
    batch_size: int = Field(default=32, gt=0, description="rows a step, over all devices")
    accumulate: int = Field(
        default=1,
        gt=0,
        description="parts in which a step's rows go through the network, to save memory; batch norm takes each by"
        " itself",
    )
    loss: Loss = Auto(name="auto")
    tasks: Tasks = Field(default={"name": "fixed"}, validate_default=True)
    base: Literal["none", "last", "season"] = Field(
        default="none",
        description="of forecasts: what they are learnt as a difference from; last: the step before; season: the step a"
        " season ago",
    )
    optimizer: Optimizer = Adam(name="adam", lr=0.001)
    schedule: Schedule = Constant(name="constant")
    l1: float = Field(default=0.0, ge=0, description="penalty on absolute weights, not on biases and norms")
    augment: Augment = Augment()
    imbalance: Literal["none", "weights", "sampling"] = Field(
        default="none",
        description="of classes; weights: a row counts by the rarity of its class; sampling: rows are drawn so that"
        " classes come equally often",
    )
    gradient_clip: float = Field(default=0.0, ge=0, description="largest norm of the gradient; 0 does not clip")
    gradient_clip_value: float = Field(
        default=0.0, ge=0, description="largest absolute value in the gradient; 0 does not clip"
    )
    ema: float = Field(
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
    threads: int = Field(default=1, ge=0, description="CPU threads of PyTorch; 0 is PyTorch's own choice")
    checkpoint_seconds: float = Field(
        default=30.0, ge=0, description="least time between two checkpoints, in seconds; 0 is one per epoch"
    )
