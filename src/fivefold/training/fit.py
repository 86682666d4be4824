"""Fit a model to prepared data, with a Lightning trainer whose own logs, checkpoints and progress bar are disabled."""

import logging
import os
import time
import warnings
from collections.abc import Callable, Sequence
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
"""Set by Lightning for processes that fork. On a machine without a GPU, each optimizer step then searches the disk for
the driver's library, which takes about a tenth of a small network's step."""


def build_trainer(training: Training, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Return the Lightning trainer for the given training parameters.

    Raises:
        ParamsError: the accelerator or the devices are not available, or the number of started processes differs from
            `training.devices`.
    """
    if get_world_size() != training.devices:
        raise ParamsError(
            f"training.devices must equal the number of started processes, {get_world_size()}, but is"
            f" {training.devices}; change it, or start {training.devices} processes"
        )
    for library in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)  # hide the messages about devices and tips
    os.environ.pop(NVML_ENV_VAR, None)
    is_distributed = training.devices > 1
    try:
        return pl.Trainer(
            max_epochs=training.max_epochs,
            accelerator=training.accelerator,
            devices=training.devices,
            strategy=SharedGradientStrategy() if is_distributed else "auto",
            callbacks=[SyncWeights(), *callbacks] if is_distributed else callbacks,
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
            f"training.accelerator and training.devices must be available on this machine, but"
            f" {training.accelerator} and {training.devices} are not: {one_line_message(error)}; set accelerator: auto"
            " and devices: 1"
        ) from None


class TrainingStrategy(NamedTuple):
    """How a network of one family is trained.

    monitor: the metric that selects the best epoch; lower is better.
    setup_factory: builds the untrained module, its data loaders and its head.
    diagnostics_factory: builds the diagnostics callback.
    """

    monitor: str
    setup_factory: Callable[..., TrainingSetup]
    diagnostics_factory: Callable[[Model], DiagnosticsCallback | AdversarialDiagnosticsCallback]


def strategy_for(
    params: Model, pretrained: PretrainedModel | None, reference: ReferenceClassifier | None
) -> TrainingStrategy:
    """Return the training strategy for the network of `params`: supervised or adversarial.

    pretrained: the model whose weights initialize the network.
    reference: the classifier in whose feature space generated samples are compared with real ones.
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
    """A trained model, whose metadata is still empty, and the record of its training.

    history: one row per epoch; columns `epoch`, counted from 1, `lr` and the metrics of the family; NaN where a metric
        was not computed.
    monitor: the metric that selects the best epoch.
    best_epoch: the epoch whose weights the model has, counted from 1; with `training.checkpoint: last` the last one.
    device: name of the GPU, or type of the device.
    diagnosis: training problems that were found.
    sample_grids: images generated from the same noise, by epoch; empty unless the model generates images.
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
        """Return metadata of the training for `model.json`, as plain JSON values."""
        return {"epochs": len(self.history), "best_epoch": self.best_epoch, "device": self.device}

    def save(self, folder: Path, extra_metadata: dict[str, Any]) -> None:
        """Write the model, `history.csv`, `diagnostics.json` and the sample grids to `folder`.

        extra_metadata: written to `model.json` in addition to `metadata()`.
        """
        save_model(replace(self.trained_model, metadata=extra_metadata | self.metadata()), folder)
        self.history.to_csv(folder / "history.csv", index=False)
        (folder / "diagnostics.json").write_text(self.diagnosis.to_json())
        image_grid.write_grids(self.sample_grids, folder / image_grid.ARCHIVE_NAME)

    def summary_lines(self) -> list[str]:
        """Return the lines that are printed after training: the selected epoch and the diagnosis."""
        scores = self.history.set_index("epoch")[self.monitor]
        line = f"selected epoch {self.best_epoch} of {len(scores)}, {self.monitor} {scores[self.best_epoch]:.4g}"
        if scores.min() < scores[self.best_epoch]:
            line += f"; the lowest is {scores.min():.4g}, in epoch {scores.idxmin()}"
        return [line, *self.diagnosis.summary_lines()]


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
    callbacks: Sequence[pl.Callback] = (),
    verbose: bool = True,
) -> FitResult:
    """Train the network of `params` on preprocessed data; resume from the newest checkpoint if there is one.

    pretrained: the model that `params.training.pretrained` refers to; its weights initialize the network.
    reference: the classifier that `params.depends_on` refers to; generated samples are compared in its feature space.
    on_epoch: called with the index of each finished epoch, from 0, its metrics, and whether it is the last.
    on_samples: called with the number of finished epochs, from 0, and a grid of generated images as PNG.
    on_alarm: called with the rule and the message of a training problem that is reported before training ends.
    callbacks: further Lightning callbacks.
    verbose: whether to display progress.

    Returns:
        The model with the weights of the selected epoch, and the history and the diagnosis of the training.

    Raises:
        TrainingError: a loss is not finite, or memory is insufficient.
        ParamsError: the network does not fit the shape of the data, or the devices are not available.
    """
    start_time = time.monotonic()
    training = params.training
    resume_from = find_latest_checkpoint(checkpoint_folder)
    strategy = strategy_for(params, pretrained, reference)
    with EpochProgress(name, training.max_epochs, verbose=verbose) as progress, warnings.catch_warnings():
        # Lightning warns about features that are disabled here
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        diagnostics = strategy.diagnostics_factory(params)
        best_weights = BestWeights(training.patience, training.checkpoint, strategy.monitor)
        sample_grids = SampleGrids(on_samples)
        history = History(
            lambda *epoch: _report_epoch(name, history, diagnostics, progress, on_epoch, on_alarm, *epoch)
        )
        unfreezing = GradualUnfreezing(training.pretrained)
        trainer_callbacks = [  # sample grids and diagnostics precede what reports the epoch or writes a checkpoint
            unfreezing,
            EpochSeeding(seed),
            best_weights,
            ReduceOnPlateau(training.schedule),
            diagnostics,
            sample_grids,
            history,
            PeriodicCheckpoint(checkpoint_folder, training.checkpoint_seconds),
            *callbacks,
        ]
        trainer = build_trainer(training, trainer_callbacks)
        device = trainer.strategy.root_device
        with handle_out_of_memory():
            setup = strategy.setup_factory(
                name,
                params,
                dataset,
                pipeline,
                epoch_seed=EpochSeed(seed, lambda: trainer.current_epoch),
                device=device,
                rank=trainer.global_rank,
                world_size=trainer.world_size,
            )
            diagnostics.input_stats = setup.input_stats
            unfreezing.layers = setup.transferred_layers
            if setup.preview is not None:
                sample_grids.render, sample_grids.every_n_epochs = setup.preview
            try:
                trainer.fit(setup.module, setup.train_loader, setup.validation_loader, ckpt_path=resume_from)
            except TrainingError as error:
                raise TrainingError(f"{error}; {diagnostics.suggest_remedy(history.metrics_by_epoch)}") from None
    model = _build_inference_model(params, pipeline, setup, best_weights)
    return FitResult(
        TrainedModel(model, setup.schema, params.network, training.loss, {}),
        pd.DataFrame(history.metrics_by_epoch, index=range(1, len(history.metrics_by_epoch) + 1))
        .rename_axis("epoch")
        .reset_index(),
        strategy.monitor,
        best_weights.selected_epoch + 1,
        torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        time.monotonic() - start_time,
        resume_from is not None,
        diagnostics.build_diagnosis(history.metrics_by_epoch),
        sample_grids.grids,
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
    """Pass the metrics of `epoch`, counted from 0, to the callers, and print problems that are reported at once.

    A problem that the diagnosis of the last epoch repeats is not printed.
    """
    raise_if_stopped()
    on_epoch(epoch, metrics | diagnostics.metrics(), is_last)
    progress.update(epoch, metrics)
    final_findings = diagnostics.build_diagnosis(history.metrics_by_epoch).findings if is_last else ()
    for alarm in diagnostics.alarms(history.metrics_by_epoch):
        if alarm not in final_findings:
            progress.print_line(f"{name}: {alarm.level}: {alarm.message}")
        on_alarm(alarm.rule, alarm.message)


def _build_inference_model(
    params: Model, pipeline: Pipeline, setup: TrainingSetup, best_weights: BestWeights
) -> InferenceModel:
    """Return the model with the weights of the selected epoch, on the CPU."""
    setup.module.load_state_dict(best_weights.weights)
    network = setup.module.eval_network.to(memory_format=torch.contiguous_format)
    model = build_inference_model(params.network, setup.schema, pipeline, network, setup.head_factory(network))
    return model.cpu().eval()
