"""Diagnostics callback of a supervised training: measures one step per epoch and diagnoses the training at its end."""

from typing import Any

import pytorch_lightning as pl

from ...config.models import Model
from ...models.lightning import SupervisedModule
from .probe import Probe, append_measurements
from .rules import diagnose, suggest_non_finite_remedy
from .summary import (
    Diagnosis,
    Finding,
    InputStats,
    Measurements,
    TrainingSummary,
    diagnostic_metrics,
    summarize_training,
)


class DiagnosticsCallback(pl.Callback):
    """Measure the first step of each epoch; must run before callbacks that report the epoch or write checkpoints.

    Attributes:
        input_stats: statistics of the training data; to be set before training starts.
    """

    input_stats: InputStats | None
    probe: Probe

    def __init__(self, params: Model) -> None:
        self.params = params
        self.steps_per_epoch = 0
        self.n_epochs = 0
        self.measurements: Measurements = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: SupervisedModule) -> None:  # type: ignore[override]
        """Create the probe of the network, which is on its device now."""
        self.steps_per_epoch = pl_module.steps_per_epoch
        self.probe = Probe(
            pl_module.network,
            pl_module.optim_step.optimizer,
            probe_activations=not self.params.training.compile,
        )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: SupervisedModule) -> None:  # type: ignore[override]
        """Measure the next step."""
        self.probe.add_hooks()
        pl_module.optim_step.gradient_hook = self.probe.measure

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read the measurements, after the last training step of the epoch."""
        append_measurements(self.probe.read(), self.measurements, self.n_epochs)
        self.n_epochs += 1

    def metrics(self) -> dict[str, float]:
        """Return the measurements of the last epoch as metrics."""
        return diagnostic_metrics(self.measurements, self.n_epochs - 1)

    def alarms(self, metrics_by_epoch: list[dict[str, float]]) -> tuple[Finding, ...]:
        """Return findings that are reported before training ends: none for supervised training."""
        return ()

    def build_diagnosis(self, metrics_by_epoch: list[dict[str, float]]) -> Diagnosis:
        """Return the diagnosis of a training with these metrics by epoch."""
        summary = self._summarize(metrics_by_epoch)
        return Diagnosis(diagnose(summary), summary.input_stats.constant_loss, self.measurements)

    def suggest_remedy(self, metrics_by_epoch: list[dict[str, float]]) -> str:
        """Return the remedy for a loss that is not finite, after epochs with these metrics."""
        return suggest_non_finite_remedy(self._summarize(metrics_by_epoch))

    def _summarize(self, metrics_by_epoch: list[dict[str, float]]) -> TrainingSummary:
        assert self.input_stats is not None
        return summarize_training(
            self.params, self.input_stats, metrics_by_epoch, self.measurements, self.steps_per_epoch
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"n_epochs": self.n_epochs, "measurements": self.measurements}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.n_epochs, self.measurements = state_dict["n_epochs"], state_dict["measurements"]
