"""What happens between epochs: keep weights, stop early, write checkpoints, tell of progress.

Tell of a training's progress: a bar on a terminal, plain lines elsewhere.

Layers that were taken from a trained model stay as they are at first, then learn, those near the output first.

Source: Howard & Ruder 2018, gradual unfreezing.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor

from ..config.optimizers import PlateauSchedule, ScheduleConfig
from ..config.training import PretrainedWeights
from ..models.lightning import SupervisedModule
from ..models.transfer import LayerGroup
from .batches import derive_seed
from .checkpoints import LATEST_NAME
from .image_grid import GridsByEpoch

MAX_GRIDS = 50
"""Pictures of a training at most, beside the first and the last."""

Metrics = dict[str, float]


class BestWeights(pl.Callback):
    """Keep the weights of one epoch; stop after `patience` epochs without a lower `metric`.

    An epoch in which the metric is NaN was not looked at, and is passed over.

    Attributes:
        lowest, best: the lowest `metric`, and its epoch.
        epoch, weights: what is kept: of that epoch, or of the newest one if `keep` is last.
    """

    def __init__(self, patience: int, checkpoint: Literal["best", "last"] = "best", monitor: str = "val/loss") -> None:
        self.patience, self.checkpoint, self.monitor = patience, checkpoint, monitor
        self.best_score = math.inf
        self.best_epoch = self.selected_epoch = -1
        self.weights: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if a resumed training had already come to its end."""
        self._check_patience(trainer, trainer.current_epoch - 1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the epoch that was just validated."""
        value = float(trainer.callback_metrics[self.monitor])
        lower = value < self.best_score
        if lower:
            self.best_score, self.best_epoch = value, trainer.current_epoch
        if lower or self.checkpoint == "last":
            self.selected_epoch = trainer.current_epoch
            self.weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}
        self._check_patience(trainer, trainer.current_epoch)

    def _check_patience(self, trainer: pl.Trainer, epoch: int) -> None:
        if self.patience and self.best_epoch >= 0 and epoch - self.best_epoch >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {
            "lowest": self.best_score,
            "best": self.best_epoch,
            "epoch": self.selected_epoch,
            "weights": self.weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.best_score, self.best_epoch = state_dict["lowest"], state_dict["best"]
        self.selected_epoch, self.weights = state_dict["epoch"], state_dict["weights"]


class ReduceOnPlateau(pl.Callback):
    """Lower the learning rate where the validation loss does not fall any more, if the schedule says so."""

    def __init__(self, schedule: ScheduleConfig) -> None:
        self.schedule = schedule
        self.best_loss = math.inf
        self.num_bad_epochs = 0
        self.lr_scale = 1.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hand the share to the stepper."""
        if isinstance(pl_module, SupervisedModule):
            pl_module.optim_step.lr_scale = self.lr_scale

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the epoch that was just validated."""
        if not isinstance(self.schedule, PlateauSchedule):
            return
        loss = float(trainer.callback_metrics["val/loss"])
        self.num_bad_epochs = 0 if loss < self.best_loss else self.num_bad_epochs + 1
        self.best_loss = min(loss, self.best_loss)
        if self.num_bad_epochs > self.schedule.patience:
            self.lr_scale, self.num_bad_epochs = self.lr_scale * self.schedule.factor, 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"loss": self.best_loss, "since": self.num_bad_epochs, "scale": self.lr_scale}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.best_loss, self.num_bad_epochs, self.lr_scale = (
            state_dict["loss"],
            state_dict["since"],
            state_dict["scale"],
        )


class History(pl.Callback):
    """Collect the metrics of each epoch, and hand each on as it comes; what is NaN was not measured."""

    def __init__(self, on_epoch: Callable[[int, Metrics, bool], None]) -> None:
        self.metrics_by_epoch: list[Metrics] = []
        self.on_epoch = on_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the epoch: validation has run, since Lightning validates inside the training epoch."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if not value.isnan()}
        metrics["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        self.metrics_by_epoch.append(metrics)
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        self.on_epoch(trainer.current_epoch, metrics, last)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"epochs": self.metrics_by_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.metrics_by_epoch = state_dict["epochs"]


class SampleGrids(pl.Callback):
    """Have pictures drawn of what a model makes: before it has learnt, after every `every`-th epoch and the last.

    The first stands at 0, where MLflow's slider stands at first.

    Attributes:
        draw: draws one; to be set before training starts; None: there is nothing to see.
        every: epochs between two pictures, more where they would be above `FRAMES`.
        film: what was drawn.
    """

    def __init__(self, on_samples: Callable[[int, bytes], None]) -> None:
        self.on_samples = on_samples
        self.render: Callable[[], bytes] | None = None
        self.every_n_epochs = 1
        self.grids: GridsByEpoch = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the first, unless a checkpoint had it."""
        if not self.grids:
            self._render(trainer, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw one if it is time; must stand before what tells of the epoch or writes checkpoints."""
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        apart = self.every_n_epochs * -(-epochs // (self.every_n_epochs * MAX_GRIDS))
        if done % apart == 0 or done == epochs or trainer.should_stop:
            self._render(trainer, done)

    def _render(self, trainer: pl.Trainer, epoch: int) -> None:
        if self.render is not None and trainer.is_global_zero:
            self.grids[epoch] = self.render()
            self.on_samples(epoch, self.grids[epoch])

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {
            "film": {epoch: torch.frombuffer(bytearray(grid), dtype=torch.uint8) for epoch, grid in self.grids.items()}
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.grids = {epoch: grid.cpu().numpy().tobytes() for epoch, grid in state_dict["film"].items()}


class PeriodicCheckpoint(pl.Callback):
    """Write a checkpoint after an epoch if the last one is older than `seconds`; must be the last callback."""

    def __init__(self, folder: Path, interval_seconds: float) -> None:
        self.folder = folder
        self.interval_seconds = interval_seconds
        self.last_saved = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write one if it is due."""
        due = time.monotonic() - self.last_saved >= self.interval_seconds
        if trainer.strategy.reduce_boolean_decision(due, all=False):  # all devices take part, or none
            trainer.save_checkpoint(self.folder / LATEST_NAME)
            self.last_saved = time.monotonic()


class EpochSeeding(pl.Callback):
    """Seed PyTorch at the start of each epoch, so that dropout in a resumed epoch falls as it would have fallen.

    On each of several devices it falls otherwise.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed with the run's seed and the number of the epoch."""
        seed = derive_seed(self.seed, trainer.current_epoch)
        torch.manual_seed(derive_seed(seed, trainer.global_rank) if trainer.global_rank else seed)


MAX_LINES = 10
"""Plain lines that a training prints at most, beside one for every half minute."""


class EpochProgress:
    """A context in which `update` is called after each epoch."""

    def __init__(self, name: str, max_epochs: int, console: Console | None = None) -> None:
        self.name = name
        self.max_epochs = max_epochs
        self.console = console or Console()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[scores]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task(name, total=max_epochs, scores="")
        self.last_printed = time.monotonic()

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def update(self, epoch: int, metrics: dict[str, float]) -> None:
        """Tell of the end of `epoch`, counted from 0."""
        scores = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items() if name != "lr")
        done = epoch + 1
        self.bar.update(self.task, completed=done, scores=scores)
        step = max(1, self.max_epochs // MAX_LINES)
        if not self.console.is_terminal and (done % step == 0 or time.monotonic() - self.last_printed > 30):
            print(f"{self.name}  epoch {done}/{self.max_epochs}  {scores}", flush=True)
            self.last_printed = time.monotonic()

    def print_line(self, line: str) -> None:
        """Say what cannot wait for the end."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class GradualUnfreezing(pl.Callback):
    """Freeze and free layers as an epoch begins: by its number alone, so that a resumed training does the same.

    Args:
        start: when each layer is set free; None if nothing is taken.

    Attributes:
        layers: those that were taken, from the input on, without the network's last one, which always learns.
    """

    def __init__(self, pretrained: PretrainedWeights | None) -> None:
        self.pretrained = pretrained
        self.layers: list[LayerGroup] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set each layer to what it must be in this epoch."""
        self.freeze_for_epoch(trainer.current_epoch)

    def freeze_for_epoch(self, epoch: int) -> None:
        """Set each layer to what it must be in epoch number `epoch`."""
        if self.pretrained is not None:
            for behind, layer in enumerate(reversed(self.layers)):
                layer.set_frozen(epoch < self.pretrained.freeze_epochs + behind * self.pretrained.unfreeze_every)
