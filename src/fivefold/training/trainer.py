"""Lightning's trainer, lean: what it would write or print by itself is ours."""

import logging
import os

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException

from ..config.training import Training
from ..errors import ParamsError, one_line
from ..stages.rank import world
from .checkpoints import SafeCheckpoints
from .devices import Alike, Sharing, environment

NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Lightning sets it for processes that fork. Without a GPU, every step of an optimiser then looks for the driver's
library on disk: about a tenth of a small network's step."""


def trainer_of(training: Training, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Return the trainer that `training` describes.

    Raises:
        ParamsError: this machine has not what it asks for, or another number of processes was started.
    """
    if world() != training.devices:
        raise ParamsError(
            f"training.devices must be the number of processes that train together, {world()}, but is"
            f" {training.devices}; set it so, or start as many"
        )
    for room in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(room).setLevel(logging.WARNING)  # no announcements either
    os.environ.pop(NVML, None)
    several = training.devices > 1
    try:
        return pl.Trainer(
            max_epochs=training.max_epochs,
            accelerator=training.accelerator,
            devices=training.devices,
            strategy=Sharing() if several else "auto",
            callbacks=[Alike(), *callbacks] if several else callbacks,
            plugins=[SafeCheckpoints(), environment()],
            use_distributed_sampler=False,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except MisconfigurationException as error:
        raise ParamsError(
            f"training.accelerator and training.devices must suit this machine, but {training.accelerator} and"
            f" {training.devices} do not: {one_line(error)}; choose accelerator auto and devices 1"
        ) from None
