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
from ..errors import ParamsError, TrainingError, one_line_message
from ..models.feature_extractor import ReferenceClassifier
from ..models.inference import InferenceModel
from ..models.precision import handle_out_of_memory
from ..models.serialization import TrainedModel, build_inference_model, save_model
from ..models.transfer import PretrainedModel
from ..preprocessing.pipeline import Pipeline
from ..stages.signals import get_world_size, raise_if_stopped
from . import image_grid
from .adversarial import build_adversarial_setup, build_translation_setup
from .callbacks import (
    BestWeights,
    EpochProgress,
    EpochSeeding,
    GradualUnfreezing,
    History,
    Metrics,
    PeriodicCheckpoint,
    ReduceOnPlateau,
    SampleGrids,
)
from .checkpoints import SafetensorsCheckpointIO, find_latest_checkpoint
from .diagnostics.adversarial import AdversarialDiagnosticsCallback
from .diagnostics.callback import DiagnosticsCallback
from .diagnostics.summary import Diagnosis
from .distributed import SharedGradientStrategy, SyncWeights, detect_cluster_environment
from .supervised import EpochSeed, TrainingSetup, build_setup

NVML_ENV_VAR = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Lightning sets it for processes that fork. Without a GPU, every step of an optimiser then looks for the driver's
library on disk: about a tenth of a small network's step."""


def build_trainer(training: Training, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Return the trainer that `training` describes.

    Raises:
        ParamsError: this machine has not what it asks for, or another number of processes was started.
    """
    if get_world_size() != training.devices:
        raise ParamsError(
            f"training.devices must be the number of processes that train together, {get_world_size()}, but is"
            f" {training.devices}; set it so, or start as many"
        )
    for room in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(room).setLevel(logging.WARNING)  # no announcements either
    os.environ.pop(NVML_ENV_VAR, None)
    several = training.devices > 1
    try:
        return pl.Trainer(
            max_epochs=training.max_epochs,
            accelerator=training.accelerator,
            devices=training.devices,
            strategy=SharedGradientStrategy() if several else "auto",
            callbacks=[SyncWeights(), *callbacks] if several else callbacks,
            plugins=[SafetensorsCheckpointIO(), detect_cluster_environment()],
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
            f" {training.devices} do not: {one_line_message(error)}; choose accelerator auto and devices 1"
        ) from None


class TrainingStrategy(NamedTuple):
    """How a network is trained.

    metric: of an epoch, by which it is kept; the lower the better.
    assemble: puts together what is trained.
    doctor: looks on.
    """

    monitor: str
    setup_factory: Callable[..., TrainingSetup]
    diagnostics_factory: Callable[[Model], DiagnosticsCallback | AdversarialDiagnosticsCallback]


def strategy_for(
    params: Model, pretrained: PretrainedModel | None, reference: ReferenceClassifier | None
) -> TrainingStrategy:
    """Return how the network of `params` is trained: down a loss, or against another network.

    source: whose weights it begins with. judge: by which what a generator makes is compared with rows.
    """
    if isinstance(params.network, Gan):
        metric = "val/energy_distance" if reference is None else "val/kid"
        return TrainingStrategy(
            metric, partial(build_adversarial_setup, reference=reference), AdversarialDiagnosticsCallback
        )
    if isinstance(params.network, Cyclegan):
        return TrainingStrategy(
            "val/translation_score",
            partial(build_translation_setup, reference=reference),
            AdversarialDiagnosticsCallback,
        )
    return TrainingStrategy("val/loss", partial(build_setup, pretrained=pretrained), DiagnosticsCallback)


@dataclass(frozen=True)
class FitResult:
    """A trained model, of which no facts are known yet, and how it came about.

    history: a row per epoch, columns epoch, from 1, lr and the metrics of the family, NaN where one was not measured.
    metric: the one by which an epoch is kept.
    kept_epoch: the epoch whose weights the model has, from 1.
    checkup: what the doctor says of the training.
    film: what a model that makes images made of the same noise, by epoch.
    """

    trained_model: TrainedModel
    history: pd.DataFrame
    monitor: str
    best_epoch: int
    device: str
    seconds: float
    is_resumed: bool
    diagnosis: Diagnosis
    sample_grids: image_grid.GridsByEpoch

    def metadata(self) -> dict[str, Any]:
        """Return what is to be known of the model, plain JSON values."""
        return {"epochs": len(self.history), "kept_epoch": self.best_epoch, "device": self.device}

    def save(self, folder: Path, extra_metadata: dict[str, Any]) -> None:
        """Write weights, what rebuilds the network, history and what the doctor says; known: facts beside its own."""
        save_model(replace(self.trained_model, metadata=extra_metadata | self.metadata()), folder)
        self.history.to_csv(folder / "history.csv", index=False)
        (folder / "doctor.json").write_text(self.diagnosis.to_json())
        image_grid.write_grids(self.sample_grids, folder / image_grid.ARCHIVE_NAME)

    def summary_lines(self) -> list[str]:
        """Return what a person is told at the end."""
        values = self.history.set_index("epoch")[self.monitor]
        kept = f"epoch {self.best_epoch} of {len(values)} is kept, {self.monitor} {values[self.best_epoch]:.4g}"
        if values.min() < values[self.best_epoch]:
            kept += f"; the lowest is {values.min():.4g}, in epoch {values.idxmin()}"
        return [kept, *self.diagnosis.summary_lines()]


def fit(
    name: str,
    params: Model,
    dataset: Dataset,
    pipeline: Pipeline,
    pretrained: PretrainedModel | None = None,
    reference: ReferenceClassifier | None = None,
    *,
    seed: int,
    checkpoint_folder: Path,
    on_epoch: Callable[[int, Metrics, bool], None],
    on_samples: Callable[[int, bytes], None] = lambda *_: None,
    on_alarm: Callable[[str, str], None] = lambda *_: None,
) -> FitResult:
    """Train a network behind its preprocessing; take up from the newest checkpoint in `checkpoints` if there is one.

    source: whose weights it begins with, as `params.training.pretrained` says.
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
    resume_from = find_latest_checkpoint(checkpoint_folder)
    with EpochProgress(name, training.max_epochs) as progress, warnings.catch_warnings():
        # hints about parts of Lightning that are switched off here
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        way = strategy_for(params, pretrained, reference)
        doctor = way.diagnostics_factory(params)
        kept, filmed = BestWeights(training.patience, training.checkpoint, way.monitor), SampleGrids(on_samples)
        history = History(lambda *epoch: _report_epoch(name, history, doctor, progress, on_epoch, on_alarm, *epoch))
        written, thaw = (
            PeriodicCheckpoint(checkpoint_folder, training.checkpoint_seconds),
            GradualUnfreezing(training.pretrained),
        )
        trainer = build_trainer(
            training,
            [thaw, EpochSeeding(seed), kept, ReduceOnPlateau(training.schedule), doctor, filmed, history, written],
        )
        device, part, parts = trainer.strategy.root_device, trainer.global_rank, trainer.world_size
        clock = EpochSeed(seed, lambda: trainer.current_epoch)
        with handle_out_of_memory():
            made = way.setup_factory(
                name, params, dataset, pipeline, epoch_seed=clock, device=device, rank=part, world_size=parts
            )
            doctor.input_stats = made.input_stats
            thaw.layers = made.transferred_layers
            if made.preview is not None:
                filmed.render, filmed.every_n_epochs = made.preview
            try:
                trainer.fit(made.module, made.train_loader, made.validation_loader, ckpt_path=resume_from)
            except TrainingError as error:
                raise TrainingError(f"{error}; {doctor.suggest_remedy(history.metrics_by_epoch)}") from None
    return FitResult(
        TrainedModel(
            _build_inference_model(params, pipeline, made, kept), made.schema, params.network, training.loss, {}
        ),
        pd.DataFrame(history.metrics_by_epoch, index=range(1, len(history.metrics_by_epoch) + 1))
        .rename_axis("epoch")
        .reset_index(),
        way.monitor,
        kept.selected_epoch + 1,
        torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        time.monotonic() - started,
        resume_from is not None,
        doctor.build_diagnosis(history.metrics_by_epoch),
        filmed.grids,
    )


def _report_epoch(
    name: str,
    history: History,
    diagnostics: DiagnosticsCallback | AdversarialDiagnosticsCallback,
    progress: EpochProgress,
    on_epoch: Callable[[int, Metrics, bool], None],
    on_alarm: Callable[[str, str], None],
    epoch: int,
    metrics: Metrics,
    is_last: bool,
) -> None:
    """Tell everybody of the end of `epoch`, counted from 0; of alarms, unless the end says them in a moment."""
    raise_if_stopped()
    on_epoch(epoch, metrics | diagnostics.metrics(), is_last)
    progress.update(epoch, metrics)
    ending = diagnostics.build_diagnosis(history.metrics_by_epoch).findings if is_last else ()
    for alarm in diagnostics.alarms(history.metrics_by_epoch):
        if alarm not in ending:
            progress.print_line(f"{name}: doctor, {alarm.level}: {alarm.message}")
        on_alarm(alarm.rule, alarm.message)


def _build_inference_model(
    params: Model, pipeline: Pipeline, setup: TrainingSetup, best_weights: BestWeights
) -> InferenceModel:
    """Return the model with the weights that were kept, on the CPU."""
    setup.module.load_state_dict(best_weights.weights)
    judged = setup.module.eval_network.to(memory_format=torch.contiguous_format)
    return (
        build_inference_model(params.network, setup.schema, pipeline, judged, setup.head_factory(judged)).cpu().eval()
    )
