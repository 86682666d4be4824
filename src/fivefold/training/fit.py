"""Fit a model to prepared data."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ..config.models import Model
from ..data.dataset import Dataset
from ..errors import TrainingError
from ..models.feature_extractor import Expert
from ..models.inference import Deployed
from ..models.precision import memory_needed
from ..models.serialization import Saved, deployed, save_model
from ..models.transfer import Source
from ..preprocessing.pipeline import Chain
from ..stages.guard import stop_if_asked
from . import film
from .assemble import Assembled, Clock
from .callbacks import Checkpoints, Filmed, History, Kept, Metrics, Plateaus, Seeded
from .checkpoints import newest
from .doctor.callback import Doctor
from .doctor.course import Checkup
from .doctor.referee import Referee
from .progress import EpochProgress
from .thaw import Thaw
from .trainer import trainer_of
from .ways import way_of


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
    film: film.Film

    def facts(self) -> dict[str, Any]:
        """Return what is to be known of the model, plain JSON values."""
        return {"epochs": len(self.history), "kept_epoch": self.kept_epoch, "device": self.device}

    def save(self, folder: Path, known: dict[str, Any]) -> None:
        """Write weights, what rebuilds the network, history and what the doctor says; known: facts beside its own."""
        save_model(replace(self.saved, facts=known | self.facts()), folder)
        self.history.to_csv(folder / "history.csv", index=False)
        (folder / "doctor.json").write_text(self.checkup.to_json())
        film.write(self.film, folder / film.FILE)

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
