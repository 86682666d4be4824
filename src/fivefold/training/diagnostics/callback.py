"""The doctor beside a training: measures one step an epoch, and says at the end what is wrong."""

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
    """Looks at the first step of each epoch; must stand before callbacks that tell of the epoch or write checkpoints.

    Attributes:
        inputs: what the network is given; to be set before training starts.
    """

    input_stats: InputStats | None
    probe: Probe

    def __init__(self, params: Model) -> None:
        self.params = params
        self.steps_per_epoch = 0
        self.n_epochs = 0
        self.measurements: Measurements = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: SupervisedModule) -> None:  # type: ignore[override]
        """Meet the network, which lies on its device now."""
        self.steps_per_epoch = pl_module.steps_per_epoch
        inside = not self.params.training.compile
        self.probe = Probe(pl_module.network, pl_module.optim_step.optimizer, probe_activations=inside)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: SupervisedModule) -> None:  # type: ignore[override]
        """Watch the step that comes."""
        self.probe.add_hooks()
        pl_module.optim_step.gradient_hook = self.probe.measure

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read what was measured, the epoch's last training step being done."""
        append_measurements(self.probe.read(), self.measurements, self.n_epochs)
        self.n_epochs += 1

    def metrics(self) -> dict[str, float]:
        """Return what the last epoch's metrics are beside those of the family."""
        return diagnostic_metrics(self.measurements, self.n_epochs - 1)

    def alarms(self, metrics_by_epoch: list[dict[str, float]]) -> tuple[Finding, ...]:
        """Return what cannot wait for the end, after epochs with these metrics: nothing."""
        return ()

    def build_diagnosis(self, metrics_by_epoch: list[dict[str, float]]) -> Diagnosis:
        """Return what there is to say of a training with these metrics by epoch."""
        course = self._summarize(metrics_by_epoch)
        return Diagnosis(diagnose(course), course.input_stats.constant_loss, self.measurements)

    def suggest_remedy(self, metrics_by_epoch: list[dict[str, float]]) -> str:
        """Return what to do about a loss that is not finite, after epochs with these metrics."""
        return suggest_non_finite_remedy(self._summarize(metrics_by_epoch))

    def _summarize(self, metrics_by_epoch: list[dict[str, float]]) -> TrainingSummary:
        assert self.input_stats is not None
        return summarize_training(
            self.params, self.input_stats, metrics_by_epoch, self.measurements, self.steps_per_epoch
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"epochs": self.n_epochs, "measured": self.measurements}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.n_epochs, self.measurements = state_dict["epochs"], state_dict["measured"]
