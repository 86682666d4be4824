"""Fit a model to prepared data.

Shapes: n rows, k outputs.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ..data.records import Array, Dataset
from ..data.schema import Schema
from ..errors import ParamsError, TrainingError
from ..families.deployed import Deployed, Preprocess
from ..families.find import build_network
from ..families.objective import Objective
from ..families.saved import Saved, network_shape, output_of
from ..families.supervised import Supervised
from ..params.losses import Bce, Quantile
from ..params.models import Model
from ..params.training import Training
from ..preprocessing.chain import Chain
from ..stages.guard import stop_if_asked
from .augment.augmenter import Augmenter
from .batches import Batches, Order, drawn, shuffled, strided
from .callbacks import Checkpoints, History, Kept, Metrics, Plateaus, Seeded
from .checkpoints import newest
from .descent import Descent
from .doctor.callback import Doctor
from .doctor.course import Checkup
from .doctor.inputs import inputs_of
from .progress import EpochProgress
from .targets import Targets, rarity
from .trainer import trainer_of

VALIDATION_BATCH = 1024
"""Rows of a validation batch: it changes no number, so it is large."""


@dataclass(frozen=True)
class Fitted:
    """A trained model, of which no facts are known yet, and how it came about.

    history: a row per epoch, columns epoch, train/loss, val/loss, lr and the other metrics of the family.
    kept_epoch: the epoch whose weights the model has, from 0.
    checkup: what the doctor says of the training.
    """

    saved: Saved
    history: pd.DataFrame
    kept_epoch: int
    device: str
    seconds: float
    resumed: bool
    checkup: Checkup


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
    schema, training = _told(dataset.schema, params.training), params.training
    if isinstance(training.loss, Bce) and len(schema.classes) != 2:
        raise ParamsError(
            f"models.{name}.training.loss: bce is of two classes, but {params.dataset} has {len(schema.classes)};"
            " choose cross_entropy"
        )
    if training.threads:
        torch.set_num_threads(training.threads)
    torch.manual_seed(seed)
    network = build_network(params.network, network_shape(schema, chain, training.loss))
    targets = Targets.fit(schema, dataset.train)
    resume_from = newest(checkpoints)
    with EpochProgress(name, training.max_epochs) as progress, warnings.catch_warnings():
        # hints about parts of Lightning that are switched off here
        warnings.filterwarnings("ignore", module="pytorch_lightning")

        def tell(epoch: int, metrics: Metrics, last: bool) -> None:
            stop_if_asked()
            on_epoch(epoch, metrics | doctor.metrics(), last)
            progress.update(epoch, metrics)

        kept, history, doctor = Kept(training.patience, training.keep), History(tell), Doctor(params)
        written = Checkpoints(checkpoints, training.checkpoint_seconds)
        trainer = trainer_of(training, [Seeded(seed), kept, Plateaus(training.schedule), doctor, history, written])
        device = trainer.strategy.root_device
        rows, held_out = (
            (_laid_out(torch.from_numpy(chain(part.x))).to(device), targets(part).to(device))
            for part in (dataset.train, dataset.validation)
        )
        batches, validation = _batches(params, schema, network, rows, held_out, trainer, seed)
        module = _module(params, schema, network, dataset.train.y, batches, _augmenter(training, schema, chain))
        balanced = training.imbalance != "none"
        doctor.inputs = inputs_of(schema, chain.names, rows, held_out, module.objective, balanced=balanced)
        try:
            trainer.fit(module, batches, validation, ckpt_path=resume_from)
        except TrainingError as error:
            raise TrainingError(f"{error}; {doctor.remedy(history.epochs)}") from None
    module.load_state_dict(kept.weights)
    judged = module.judged.to(memory_format=torch.contiguous_format)
    output = output_of(schema, training.loss, targets.shift, targets.scale)
    return Fitted(
        Saved(Deployed(Preprocess(chain), judged, output).cpu().eval(), schema, params.network, training.loss, {}),
        pd.DataFrame(history.epochs).rename_axis("epoch").reset_index(),
        kept.epoch,
        torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        time.monotonic() - started,
        resume_from is not None,
        doctor.checkup(history.epochs),
    )


def _told(schema: Schema, training: Training) -> Schema:
    """Return the schema of a model so trained: what it tells may be quantiles, or differences."""
    levels = training.loss.levels if isinstance(training.loss, Quantile) else ()
    return schema.model_copy(update={"levels": levels, "base": training.base})


def _laid_out(x: Tensor) -> Tensor:
    """Return images with channels last, as convolutions are fastest."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def _batches(
    params: Model,
    schema: Schema,
    network: nn.Module,
    rows: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    trainer: pl.Trainer,
    seed: int,
) -> tuple[Batches, Batches]:
    """Return the batches of training and of validation rows; of a text, windows that follow each other."""
    training, n, m = params.training, len(rows[0]), len(held_out[0])
    shared = partial(Batches, part=trainer.global_rank, parts=trainer.world_size)
    stride = schema.shape[0] if learns_all_steps(schema, network) else 1

    def epoch() -> int:
        return trainer.current_epoch

    order: Order = shuffled(n, seed, epoch)
    if stride > 1:
        order = strided(n, min(stride, n), seed, epoch)
    elif training.imbalance == "sampling":
        order = drawn(rarity(schema, rows[1].cpu().numpy())[rows[1].cpu()], seed, epoch)
    x, y = (part[:: min(stride, m)] for part in held_out)
    return (
        shared(*rows, training.batch_size, order=order, n=n // min(stride, n)),
        shared(x, y, VALIDATION_BATCH),
    )


def learns_all_steps(schema: Schema, network: nn.Module) -> bool:
    """Say whether a network learns the next token at all steps of a text at once."""
    return schema.task == "language" and hasattr(network, "every_step")


def _augmenter(training: Training, schema: Schema, chain: Chain) -> Augmenter | None:
    if not training.augment.active:
        return None
    blank = None
    if schema.kind == "images":
        pixel = np.full((1, *schema.shape), round(training.augment.constant), np.uint8)
        blank = torch.from_numpy(chain(pixel)[0, :, :1, :1])
    masked = any(step.kind == "mask" for step in chain.steps)
    return Augmenter(training.augment, classes=len(schema.classes), masked=masked, blank=blank)


def _module(
    params: Model, schema: Schema, network: nn.Module, y: Array, batches: Batches, augment: Augmenter | None
) -> Supervised:
    training = params.training
    weights = rarity(schema, y) if training.imbalance == "weights" else None
    kind: type[Supervised] = import_module(f"fivefold.families.{params.network.family}.module").Module
    return kind(
        network.to(memory_format=torch.channels_last),
        Objective(schema, training.loss, weights),
        partial(Descent, params=training, steps=batches.steps, parts=batches.parts),
        steps=batches.steps,
        all_steps=learns_all_steps(schema, network),
        average=training.ema > 0,
        precision=training.precision,
        faster=training.compile,
        augment=augment,
    )
