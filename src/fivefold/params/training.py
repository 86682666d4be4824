"""The block `training`: the base at the top of params.yaml, and the part of it that each model overrides."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Strict


class Adam(Strict):
    """Kingma & Ba 2015; adamw is Loshchilov & Hutter 2019."""

    name: Literal["adam", "adamw"]
    lr: float = Field(gt=0, description="learning rate; the peak of the schedule")
    weight_decay: float = Field(default=0.0, ge=0, description="L2 on weights, not on biases and norms")


class Sgd(Strict):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    lr: float = Field(gt=0, description="learning rate; the peak of the schedule")
    weight_decay: float = Field(default=0.0, ge=0, description="L2 on weights, not on biases and norms")
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = Field(default=False, description="look ahead by the momentum, which must then be above 0")


Optimizer = Annotated[Adam | Sgd, Field(discriminator="name")]


class Training(Strict):
    """How a network is fitted."""

    max_epochs: int = Field(default=50, gt=0, description="passes over the training rows")
    patience: int = Field(
        default=10,
        ge=0,
        description="epochs without a better validation loss before stopping; 0 never stops early",
    )
    batch_size: int = Field(default=32, gt=0, description="rows a step")
    optimizer: Optimizer = Adam(name="adam", lr=0.001)
    schedule: Literal["constant", "one_cycle"] = Field(
        default="constant",
        description="one_cycle: up to lr over the first 30 % of steps, then down to almost 0 (Smith & Topin 2018)",
    )
    imbalance: Literal["none", "weights", "sampling"] = Field(
        default="none",
        description="of classes; weights: a row counts by the rarity of its class; sampling: rows are drawn so that"
        " classes come equally often",
    )
    gradient_clip: float = Field(default=0.0, ge=0, description="largest norm of the gradient; 0 does not clip")
    precision: Literal["32", "bf16", "16"] = Field(default="32", description="bf16 and 16 are mixed precision")
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = Field(default="auto", description="auto: a GPU if there is one")
    threads: int = Field(default=1, ge=0, description="CPU threads of PyTorch; 0 is PyTorch's own choice")
    checkpoint_seconds: float = Field(
        default=30.0, ge=0, description="least time between two checkpoints, in seconds; 0 is one per epoch"
    )
