"""The doctor beside a training: measures one step an epoch, and says at the end what is wrong."""

from typing import Any

import pytorch_lightning as pl

from ...config.models import Model
from ...models.lightning import Supervised
from .probe import Probe, note
from .rules import diagnose, not_finite
from .summary import Checkup, Course, Finding, Inputs, Measured, course_of, metrics_of


class Doctor(pl.Callback):
    """Looks at the first step of each epoch; must stand before callbacks that tell of the epoch or write checkpoints.

    Attributes:
        inputs: what the network is given; to be set before training starts.
    """

    inputs: Inputs | None
    probe: Probe

    def __init__(self, params: Model) -> None:
        self.params = params
        self.steps = 0
        self.epochs = 0
        self.measured: Measured = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: Supervised) -> None:  # type: ignore[override]
        """Meet the network, which lies on its device now."""
        self.steps = pl_module.steps
        inside = not self.params.training.compile
        self.probe = Probe(pl_module.network, pl_module.stepper.optimizer, inside=inside)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Supervised) -> None:  # type: ignore[override]
        """Watch the step that comes."""
        self.probe.arm()
        pl_module.stepper.watch = self.probe.look

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read what was measured, the epoch's last training step being done."""
        note(self.probe.read(), self.measured, self.epochs)
        self.epochs += 1

    def metrics(self) -> dict[str, float]:
        """Return what the last epoch's metrics are beside those of the family."""
        return metrics_of(self.measured, self.epochs - 1)

    def alarms(self, epochs: list[dict[str, float]]) -> tuple[Finding, ...]:
        """Return what cannot wait for the end, after epochs with these metrics: nothing."""
        return ()

    def checkup(self, epochs: list[dict[str, float]]) -> Checkup:
        """Return what there is to say of a training with these metrics by epoch."""
        course = self._course(epochs)
        return Checkup(diagnose(course), course.inputs.constant, self.measured)

    def remedy(self, epochs: list[dict[str, float]]) -> str:
        """Return what to do about a loss that is not finite, after epochs with these metrics."""
        return not_finite(self._course(epochs))

    def _course(self, epochs: list[dict[str, float]]) -> Course:
        assert self.inputs is not None
        return course_of(self.params, self.inputs, epochs, self.measured, self.steps)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"epochs": self.epochs, "measured": self.measured}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.epochs, self.measured = state_dict["epochs"], state_dict["measured"]
