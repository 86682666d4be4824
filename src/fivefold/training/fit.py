"""Fit a model to prepared data.

Shapes: n rows, k outputs.
"""

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from ..data.records import Array, Dataset
from ..data.schema import Schema
from ..errors import ParamsError, one_line
from ..families.deployed import Deployed, Preprocess
from ..families.find import build_network
from ..families.saved import network_shape, output_of
from ..families.supervised import Supervised
from ..params.models import Model
from ..params.training import Training
from ..preprocessing.chain import Chain
from ..stages.guard import stop_if_asked
from .batches import Batches
from .callbacks import Best, Checkpoints, History, Metrics, Seeded
from .checkpoints import SafeCheckpoints, newest
from .optimizers import configure
from .progress import EpochProgress

VALIDATION_BATCH = 1024
"""Rows of a validation batch: it changes no number, so it is large."""

PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@dataclass(frozen=True)
class Fitted:
    """A trained model and how it came about.

    history: a row per epoch, columns epoch, train/loss, val/loss, lr and the other metrics of the family.
    best_epoch: the epoch whose weights the model has, from 0.
    """

    model: Deployed
    history: pd.DataFrame
    best_epoch: int
    device: str
    seconds: float
    resumed: bool


def fit(
    name: str,
    params: Model,
    dataset: Dataset,
    chain: Chain,
    *,
    seed: int,
    checkpoints: Path,
    on_epoch: Callable[[int, Metrics, bool], None],
) -> Fitted:
    """Train a network behind its preprocessing; take up from the newest checkpoint in `checkpoints` if there is one.

    on_epoch: called with the number of each finished epoch, from 0, its metrics, and whether it is the last.

    Raises:
        TrainingError: a loss is not finite.
        ParamsError: the network does not fit the shape of the data, or training does not fit the machine.
    """
    started = time.monotonic()
    schema, training = dataset.schema, params.training
    if training.threads:
        torch.set_num_threads(training.threads)
    torch.manual_seed(seed)
    untrained = build_network(params.network, network_shape(schema, chain))
    resume_from = newest(checkpoints)
    with EpochProgress(name, training.max_epochs) as progress, warnings.catch_warnings():
        # hints about parts of Lightning that are switched off here
        warnings.filterwarnings("ignore", module="pytorch_lightning")

        def tell(epoch: int, metrics: Metrics, last: bool) -> None:
            stop_if_asked()
            on_epoch(epoch, metrics, last)
            progress.update(epoch, metrics)

        best, history = Best(training.patience), History(tell)
        kept = Checkpoints(checkpoints, training.checkpoint_seconds)
        trainer = _trainer(training, [Seeded(seed), best, history, kept])
        device = trainer.strategy.root_device
        shift, scale = _target_scale(schema, dataset.train.y)
        rows, held_out = (
            (torch.from_numpy(chain(part.x)).to(device), _targets(part.y, shift, scale).to(device))
            for part in (dataset.train, dataset.validation)
        )
        of_classes, of_rows = _weights(schema, dataset.train.y, training)
        batches = Batches(*rows, training.batch_size, seed=seed, epoch=lambda: trainer.current_epoch, weights=of_rows)
        optimizers = partial(configure, params=training, total_steps=training.max_epochs * len(batches))
        module = _module_class(params.network.family)(untrained, bool(schema.classes), optimizers, of_classes)
        trainer.fit(module, batches, Batches(*held_out, VALIDATION_BATCH), ckpt_path=resume_from)
    module.load_state_dict(best.weights)
    return Fitted(
        Deployed(Preprocess(chain), module.network, output_of(schema, shift, scale)).cpu().eval(),
        pd.DataFrame(history.epochs).rename_axis("epoch").reset_index(),
        best.epoch,
        torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        time.monotonic() - started,
        resume_from is not None,
    )


def _module_class(family: str) -> type[Supervised]:
    module: type[Supervised] = import_module(f"fivefold.families.{family}.module").Module
    return module


def _trainer(training: Training, callbacks: list[pl.Callback]) -> pl.Trainer:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # no announcements either
    try:
        return pl.Trainer(
            max_epochs=training.max_epochs,
            accelerator=training.accelerator,
            devices=1,
            precision=PRECISIONS[training.precision],
            gradient_clip_val=training.gradient_clip or None,
            callbacks=callbacks,
            plugins=[SafeCheckpoints()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except MisconfigurationException as error:
        raise ParamsError(
            f"training.accelerator and training.precision must suit this machine, but {training.accelerator} with"
            f" {training.precision} does not: {one_line(error)}; choose accelerator auto"
        ) from None


def _weights(schema: Schema, y: Array, training: Training) -> tuple[Tensor | None, Tensor | None]:
    """Return what each class counts in the loss, and how often each row is drawn; None where all are alike."""
    rarity = _rarity(schema, y)
    match training.imbalance:
        case "weights":
            return rarity, None
        case "sampling":
            return None, rarity[torch.from_numpy(y.astype(np.int64))]
    return None, None


def _rarity(schema: Schema, y: Array) -> Tensor:
    """Return what a row of each class counts so that all classes count alike, the mean over rows 1; (classes,)."""
    if not schema.classes:
        return torch.ones(1)
    counts = np.bincount(y, minlength=len(schema.classes))
    present = np.maximum(counts, 1)
    return torch.from_numpy((len(y) / (np.count_nonzero(counts) * present)).astype(np.float32))


def _target_scale(schema: Schema, y: Array) -> tuple[Array, Array]:
    """Return mean and deviation (k,) of the training targets; classes stay as they are."""
    if schema.classes:
        return np.zeros(1), np.ones(1)
    values = y.reshape(len(y), -1)
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation == 0, 1.0, deviation)


def _targets(y: Array, shift: Array, scale: Array) -> Tensor:
    if y.dtype.kind == "i":
        return torch.from_numpy(y.astype(np.int64))
    return torch.from_numpy(((y.reshape(len(y), -1) - shift) / scale).astype(np.float32))
