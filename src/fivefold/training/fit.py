"""Fit a model to prepared data.

Lightning's trainer, lean: what it would write or print by itself is ours.

Where the training of one kind of network differs from that of another.
"""

import logging
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException

from ..config.models import Model
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..config.training import Training
from ..data.dataset import Dataset
from ..errors import ParamsError, TrainingError, one_line
from ..models.feature_extractor import Expert
from ..models.inference import Deployed
from ..models.precision import memory_needed
from ..models.serialization import Saved, deployed, save_model
from ..models.transfer import Source
from ..preprocessing.pipeline import Chain
from ..stages.signals import stop_if_asked, world
from . import image_grid
from .adversarial import build_adversarial_setup, build_translation_setup
from .callbacks import Checkpoints, EpochProgress, Filmed, History, Kept, Metrics, Plateaus, Seeded, Thaw
from .checkpoints import SafeCheckpoints, newest
from .diagnostics.adversarial import Referee
from .diagnostics.callback import Doctor
from .diagnostics.summary import Checkup
from .distributed import Alike, Sharing, environment
from .supervised import Assembled, Clock, assemble

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


class Way(NamedTuple):
    """How a network is trained.

    metric: of an epoch, by which it is kept; the lower the better.
    assemble: puts together what is trained.
    doctor: looks on.
    """

    metric: str
    assemble: Callable[..., Assembled]
    doctor: Callable[[Model], Doctor | Referee]


def way_of(params: Model, source: Source | None, judge: Expert | None) -> Way:
    """Return how the network of `params` is trained: down a loss, or against another network.

    source: whose weights it begins with. judge: by which what a generator makes is compared with rows.
    """
    if isinstance(params.network, Gan):
        metric = "val/energy" if judge is None else "val/kid"
        return Way(metric, partial(build_adversarial_setup, judge=judge), Referee)
    if isinstance(params.network, Cyclegan):
        return Way("val/translation", partial(build_translation_setup, judge=judge), Referee)
    return Way("val/loss", partial(assemble, source=source), Doctor)


@dataclass(frozen=True)
class Fitted:
    """A trained model, of which no facts are known yet, and how it came about.

    history: a row per epoch, columns epoch, from 1, lr and the metrics of the family, NaN where one was not measured.
    metric: the one by which an epoch is kept.
    kept_epoch: the epoch whose weights the model has, from 1.
    checkup: what the doctor says of the training.
    film: what a model that makes images made of the same noise, by epoch.
    """

    saved: Saved
    history: pd.DataFrame
    metric: str
    kept_epoch: int
    device: str
    seconds: float
    resumed: bool
    checkup: Checkup
    film: image_grid.Film

    def facts(self) -> dict[str, Any]:
        """Return what is to be known of the model, plain JSON values."""
        return {"epochs": len(self.history), "kept_epoch": self.kept_epoch, "device": self.device}

    def save(self, folder: Path, known: dict[str, Any]) -> None:
        """Write weights, what rebuilds the network, history and what the doctor says; known: facts beside its own."""
        save_model(replace(self.saved, facts=known | self.facts()), folder)
        self.history.to_csv(folder / "history.csv", index=False)
        (folder / "doctor.json").write_text(self.checkup.to_json())
        image_grid.write(self.film, folder / image_grid.FILE)

    def lines(self) -> list[str]:
        """Return what a person is told at the end."""
        values = self.history.set_index("epoch")[self.metric]
        kept = f"epoch {self.kept_epoch} of {len(values)} is kept, {self.metric} {values[self.kept_epoch]:.4g}"
        if values.min() < values[self.kept_epoch]:
            kept += f"; the lowest is {values.min():.4g}, in epoch {values.idxmin()}"
        return [kept, *self.checkup.lines()]


def fit(
    name: str,
    params: Model,
    dataset: Dataset,
    chain: Chain,
    source: Source | None = None,
    judge: Expert | None = None,
    *,
    seed: int,
    checkpoints: Path,
    on_epoch: Callable[[int, Metrics, bool], None],
    on_sheet: Callable[[int, bytes], None] = lambda *_: None,
    on_alarm: Callable[[str, str], None] = lambda *_: None,
) -> Fitted:
    """Train a network behind its preprocessing; take up from the newest checkpoint in `checkpoints` if there is one.

    source: whose weights it begins with, as `params.training.start` says.
    judge: the classifier that `params` uses, if it judges.
    on_epoch: called with the number of each finished epoch, from 0, its metrics, and whether it is the last.
    on_sheet: called with the number of an epoch, 0 before the first, and a picture of what the model makes, PNG.
    on_alarm: called with a rule of the doctor's and what it says, where that cannot wait for the end.

    Raises:
        TrainingError: a loss is not finite, or memory does not suffice.
        ParamsError: the network does not fit the shape of the data, or training does not fit the machine.
    """
    started = time.monotonic()
    training = params.training
    resume_from = newest(checkpoints)
    with EpochProgress(name, training.max_epochs) as progress, warnings.catch_warnings():
        # hints about parts of Lightning that are switched off here
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        way = way_of(params, source, judge)
        doctor = way.doctor(params)
        kept, filmed = Kept(training.patience, training.keep, way.metric), Filmed(on_sheet)
        history = History(lambda *epoch: _tell(name, history, doctor, progress, on_epoch, on_alarm, *epoch))
        written, thaw = Checkpoints(checkpoints, training.checkpoint_seconds), Thaw(training.start)
        trainer = trainer_of(
            training, [thaw, Seeded(seed), kept, Plateaus(training.schedule), doctor, filmed, history, written]
        )
        device, part, parts = trainer.strategy.root_device, trainer.global_rank, trainer.world_size
        clock = Clock(seed, lambda: trainer.current_epoch)
        with memory_needed():
            made = way.assemble(name, params, dataset, chain, clock=clock, device=device, part=part, parts=parts)
            doctor.inputs = made.inputs
            thaw.layers = made.taken
            if made.showing is not None:
                filmed.draw, filmed.every = made.showing
            try:
                trainer.fit(made.module, made.batches, made.validation, ckpt_path=resume_from)
            except TrainingError as error:
                raise TrainingError(f"{error}; {doctor.remedy(history.epochs)}") from None
    return Fitted(
        Saved(_finished(params, chain, made, kept), made.schema, params.network, training.loss, {}),
        pd.DataFrame(history.epochs, index=range(1, len(history.epochs) + 1)).rename_axis("epoch").reset_index(),
        way.metric,
        kept.epoch + 1,
        torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        time.monotonic() - started,
        resume_from is not None,
        doctor.checkup(history.epochs),
        filmed.film,
    )


def _tell(
    name: str,
    history: History,
    doctor: Doctor | Referee,
    progress: EpochProgress,
    on_epoch: Callable[[int, Metrics, bool], None],
    on_alarm: Callable[[str, str], None],
    epoch: int,
    metrics: Metrics,
    last: bool,
) -> None:
    """Tell everybody of the end of `epoch`, counted from 0; of alarms, unless the end says them in a moment."""
    stop_if_asked()
    on_epoch(epoch, metrics | doctor.metrics(), last)
    progress.update(epoch, metrics)
    ending = doctor.checkup(history.epochs).findings if last else ()
    for alarm in doctor.alarms(history.epochs):
        if alarm not in ending:
            progress.say(f"{name}: doctor, {alarm.level}: {alarm.text}")
        on_alarm(alarm.rule, alarm.text)


def _finished(params: Model, chain: Chain, made: Assembled, kept: Kept) -> Deployed:
    """Return the model with the weights that were kept, on the CPU."""
    made.module.load_state_dict(kept.weights)
    judged = made.module.judged.to(memory_format=torch.contiguous_format)
    return deployed(params.network, made.schema, chain, judged, made.output(judged)).cpu().eval()
