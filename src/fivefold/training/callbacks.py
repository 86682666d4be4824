"""Lightning callbacks of a training, and its progress display.

They select the best weights, stop early, lower the learning rate, freeze pretrained layers, collect the history, render
sample grids and write checkpoints.
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
"""Maximum number of sample grids of a training, in addition to the first and the last."""

Metrics = dict[str, float]


class BestWeights(pl.Callback):
    """Store the weights of the best epoch; stop after `patience` epochs without a lower `monitor`.

    Epochs in which the metric is NaN, because it was not computed, are ignored.

    Attributes:
        best_score, best_epoch: the lowest value of `monitor`, and its epoch.
        selected_epoch, weights: the epoch whose weights are stored: the best, or the newest if `checkpoint` is last.
    """

    def __init__(self, patience: int, checkpoint: Literal["best", "last"] = "best", monitor: str = "val/loss") -> None:
        self.patience, self.checkpoint, self.monitor = patience, checkpoint, monitor
        self.best_score = math.inf
        self.best_epoch = self.selected_epoch = -1
        self.weights: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop immediately if a resumed training had already run out of patience."""
        self._check_patience(trainer, trainer.current_epoch - 1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare the score of the validated epoch with the best one, and store the weights if it is selected."""
        score = float(trainer.callback_metrics[self.monitor])
        is_better = score < self.best_score
        if is_better:
            self.best_score, self.best_epoch = score, trainer.current_epoch
        if is_better or self.checkpoint == "last":
            self.selected_epoch = trainer.current_epoch
            self.weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}
        self._check_patience(trainer, trainer.current_epoch)

    def _check_patience(self, trainer: pl.Trainer, epoch: int) -> None:
        if self.patience and self.best_epoch >= 0 and epoch - self.best_epoch >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "selected_epoch": self.selected_epoch,
            "weights": self.weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.best_score, self.best_epoch = state_dict["best_score"], state_dict["best_epoch"]
        self.selected_epoch, self.weights = state_dict["selected_epoch"], state_dict["weights"]


class ReduceOnPlateau(pl.Callback):
    """Reduce the learning rate when the validation loss stops falling, if the schedule is `plateau`."""

    def __init__(self, schedule: ScheduleConfig) -> None:
        self.schedule = schedule
        self.best_loss = math.inf
        self.num_bad_epochs = 0
        self.lr_scale = 1.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the factor of the learning rate."""
        if isinstance(pl_module, SupervisedModule):
            pl_module.optim_step.lr_scale = self.lr_scale

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the epochs without a lower loss, and reduce the factor when they exceed the patience."""
        if not isinstance(self.schedule, PlateauSchedule):
            return
        loss = float(trainer.callback_metrics["val/loss"])
        self.num_bad_epochs = 0 if loss < self.best_loss else self.num_bad_epochs + 1
        self.best_loss = min(loss, self.best_loss)
        if self.num_bad_epochs > self.schedule.patience:
            self.lr_scale, self.num_bad_epochs = self.lr_scale * self.schedule.factor, 0

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"best_loss": self.best_loss, "num_bad_epochs": self.num_bad_epochs, "lr_scale": self.lr_scale}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.best_loss, self.num_bad_epochs = state_dict["best_loss"], state_dict["num_bad_epochs"]
        self.lr_scale = state_dict["lr_scale"]


class History(pl.Callback):
    """Collect the metrics of each epoch and pass them to `on_epoch`; metrics that are NaN were not computed."""

    def __init__(self, on_epoch: Callable[[int, Metrics, bool], None]) -> None:
        self.metrics_by_epoch: list[Metrics] = []
        self.on_epoch = on_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the epoch; validation is complete, because Lightning validates within the training epoch."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if not value.isnan()}
        metrics["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        self.metrics_by_epoch.append(metrics)
        is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        self.on_epoch(trainer.current_epoch, metrics, is_last)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"metrics_by_epoch": self.metrics_by_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.metrics_by_epoch = state_dict["metrics_by_epoch"]


class SampleGrids(pl.Callback):
    """Render generated images before training, every `every_n_epochs` epochs and after the last one.

    The first grid has the number 0, at which MLflow's slider starts.

    Attributes:
        render: renders a grid; to be set before training starts; None: the model generates no images.
        every_n_epochs: epochs between two grids; a multiple of it if there would be more than `MAX_GRIDS`.
        grids: the rendered grids.
    """

    def __init__(self, on_samples: Callable[[int, bytes], None]) -> None:
        self.on_samples = on_samples
        self.render: Callable[[], bytes] | None = None
        self.every_n_epochs = 1
        self.grids: GridsByEpoch = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Render the first grid, unless it was restored from a checkpoint."""
        if not self.grids:
            self._render(trainer, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Render a grid if it is due; must run before callbacks that report the epoch or write checkpoints."""
        n_epochs, max_epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        interval = self.every_n_epochs * -(-max_epochs // (self.every_n_epochs * MAX_GRIDS))
        if n_epochs % interval == 0 or n_epochs == max_epochs or trainer.should_stop:
            self._render(trainer, n_epochs)

    def _render(self, trainer: pl.Trainer, epoch: int) -> None:
        if self.render is not None and trainer.is_global_zero:
            self.grids[epoch] = self.render()
            self.on_samples(epoch, self.grids[epoch])

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "grids": {epoch: torch.frombuffer(bytearray(grid), dtype=torch.uint8) for epoch, grid in self.grids.items()}
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.grids = {epoch: grid.cpu().numpy().tobytes() for epoch, grid in state_dict["grids"].items()}


class PeriodicCheckpoint(pl.Callback):
    """Write a checkpoint after an epoch if the last one is older than `interval_seconds`; must be the last callback."""

    def __init__(self, folder: Path, interval_seconds: float) -> None:
        self.folder = folder
        self.interval_seconds = interval_seconds
        self.last_saved = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write a checkpoint if it is due on any device."""
        is_due = time.monotonic() - self.last_saved >= self.interval_seconds
        if trainer.strategy.reduce_boolean_decision(is_due, all=False):  # saving involves all processes
            trainer.save_checkpoint(self.folder / LATEST_NAME)
            self.last_saved = time.monotonic()


class EpochSeeding(pl.Callback):
    """Seed PyTorch at the start of each epoch, so that a resumed training draws the same dropout masks.

    Each device has its own seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed with the seed of the training, the epoch and the rank."""
        seed = derive_seed(self.seed, trainer.current_epoch)
        torch.manual_seed(derive_seed(seed, trainer.global_rank) if trainer.global_rank else seed)


MAX_LINES = 10
"""Maximum number of progress lines where there is no terminal, in addition to one every 30 seconds."""


class EpochProgress:
    """Context manager that displays progress: a bar on a terminal, plain lines elsewhere."""

    def __init__(self, name: str, max_epochs: int, console: Console | None = None, *, verbose: bool = True) -> None:
        self.name = name
        self.verbose = verbose
        self.max_epochs = max_epochs
        self.console = console or Console(quiet=not verbose)
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
        """Display the metrics of the finished `epoch`, counted from 0."""
        scores = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items() if name != "lr")
        n_epochs = epoch + 1
        self.bar.update(self.task, completed=n_epochs, scores=scores)
        interval = max(1, self.max_epochs // MAX_LINES)
        if self.console.is_terminal or not self.verbose:
            return
        if n_epochs % interval == 0 or time.monotonic() - self.last_printed > 30:
            print(f"{self.name}  epoch {n_epochs}/{self.max_epochs}  {scores}", flush=True)
            self.last_printed = time.monotonic()

    def print_line(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class GradualUnfreezing(pl.Callback):
    """Freeze pretrained layers at first and unfreeze them one by one, from the output to the input.

    The state follows from the epoch alone, so that a resumed training has the same. Source: Howard & Ruder 2018.

    Args:
        pretrained: the epochs in which layers are unfrozen; None if the network has random initial weights.

    Attributes:
        layers: the pretrained layers, from the input to the output, without the output layer, which is always trained.
    """

    def __init__(self, pretrained: PretrainedWeights | None) -> None:
        self.pretrained = pretrained
        self.layers: list[LayerGroup] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Freeze or unfreeze the layers for this epoch."""
        self.freeze_for_epoch(trainer.current_epoch)

    def freeze_for_epoch(self, epoch: int) -> None:
        """Freeze or unfreeze the layers for `epoch`, counted from 0."""
        if self.pretrained is not None:
            for depth, layer in enumerate(reversed(self.layers)):
                layer.set_frozen(epoch < self.pretrained.freeze_epochs + depth * self.pretrained.unfreeze_every)
