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

from ..config.optimizers import Plateau, Schedule
from ..config.training import Start
from ..models.lightning import Supervised
from ..models.transfer import Layer
from .batches import mix
from .checkpoints import NAME
from .image_grid import Film

FRAMES = 50
"""Pictures of a training at most, beside the first and the last."""

Metrics = dict[str, float]


class Kept(pl.Callback):
    """Keep the weights of one epoch; stop after `patience` epochs without a lower `metric`.

    An epoch in which the metric is NaN was not looked at, and is passed over.

    Attributes:
        lowest, best: the lowest `metric`, and its epoch.
        epoch, weights: what is kept: of that epoch, or of the newest one if `keep` is last.
    """

    def __init__(self, patience: int, keep: Literal["best", "last"] = "best", metric: str = "val/loss") -> None:
        self.patience, self.keep, self.metric = patience, keep, metric
        self.lowest = math.inf
        self.best = self.epoch = -1
        self.weights: dict[str, Tensor] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if a resumed training had already come to its end."""
        self._stop_if_due(trainer, trainer.current_epoch - 1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the epoch that was just validated."""
        value = float(trainer.callback_metrics[self.metric])
        lower = value < self.lowest
        if lower:
            self.lowest, self.best = value, trainer.current_epoch
        if lower or self.keep == "last":
            self.epoch = trainer.current_epoch
            self.weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}
        self._stop_if_due(trainer, trainer.current_epoch)

    def _stop_if_due(self, trainer: pl.Trainer, epoch: int) -> None:
        if self.patience and self.best >= 0 and epoch - self.best >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"lowest": self.lowest, "best": self.best, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.lowest, self.best = state_dict["lowest"], state_dict["best"]
        self.epoch, self.weights = state_dict["epoch"], state_dict["weights"]


class Plateaus(pl.Callback):
    """Lower the learning rate where the validation loss does not fall any more, if the schedule says so."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.loss = math.inf
        self.since = 0
        self.scale = 1.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hand the share to the stepper."""
        if isinstance(pl_module, Supervised):
            pl_module.stepper.scale = self.scale

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the epoch that was just validated."""
        if not isinstance(self.schedule, Plateau):
            return
        loss = float(trainer.callback_metrics["val/loss"])
        self.since = 0 if loss < self.loss else self.since + 1
        self.loss = min(loss, self.loss)
        if self.since > self.schedule.patience:
            self.scale, self.since = self.scale * self.schedule.factor, 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"loss": self.loss, "since": self.since, "scale": self.scale}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.loss, self.since, self.scale = state_dict["loss"], state_dict["since"], state_dict["scale"]


class History(pl.Callback):
    """Collect the metrics of each epoch, and hand each on as it comes; what is NaN was not measured."""

    def __init__(self, on_epoch: Callable[[int, Metrics, bool], None]) -> None:
        self.epochs: list[Metrics] = []
        self.on_epoch = on_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the epoch: validation has run, since Lightning validates inside the training epoch."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if not value.isnan()}
        metrics["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        self.epochs.append(metrics)
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        self.on_epoch(trainer.current_epoch, metrics, last)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.epochs = state_dict["epochs"]


class Filmed(pl.Callback):
    """Have pictures drawn of what a model makes: before it has learnt, after every `every`-th epoch and the last.

    The first stands at 0, where MLflow's slider stands at first.

    Attributes:
        draw: draws one; to be set before training starts; None: there is nothing to see.
        every: epochs between two pictures, more where they would be above `FRAMES`.
        film: what was drawn.
    """

    def __init__(self, on_sheet: Callable[[int, bytes], None]) -> None:
        self.on_sheet = on_sheet
        self.draw: Callable[[], bytes] | None = None
        self.every = 1
        self.film: Film = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the first, unless a checkpoint had it."""
        if not self.film:
            self._draw(trainer, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw one if it is time; must stand before what tells of the epoch or writes checkpoints."""
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        apart = self.every * -(-epochs // (self.every * FRAMES))
        if done % apart == 0 or done == epochs or trainer.should_stop:
            self._draw(trainer, done)

    def _draw(self, trainer: pl.Trainer, done: int) -> None:
        if self.draw is not None and trainer.is_global_zero:
            self.film[done] = self.draw()
            self.on_sheet(done, self.film[done])

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {
            "film": {epoch: torch.frombuffer(bytearray(grid), dtype=torch.uint8) for epoch, grid in self.film.items()}
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint stood."""
        self.film = {epoch: grid.cpu().numpy().tobytes() for epoch, grid in state_dict["film"].items()}


class Checkpoints(pl.Callback):
    """Write a checkpoint after an epoch if the last one is older than `seconds`; must be the last callback."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds
        self.written = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write one if it is due."""
        due = time.monotonic() - self.written >= self.seconds
        if trainer.strategy.reduce_boolean_decision(due, all=False):  # all devices take part, or none
            trainer.save_checkpoint(self.folder / NAME)
            self.written = time.monotonic()


class Seeded(pl.Callback):
    """Seed PyTorch at the start of each epoch, so that dropout in a resumed epoch falls as it would have fallen.

    On each of several devices it falls otherwise.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed with the run's seed and the number of the epoch."""
        seed = mix(self.seed, trainer.current_epoch)
        torch.manual_seed(mix(seed, trainer.global_rank) if trainer.global_rank else seed)


LINES = 10
"""Plain lines that a training prints at most, beside one for every half minute."""


class EpochProgress:
    """A context in which `update` is called after each epoch."""

    def __init__(self, name: str, epochs: int, console: Console | None = None) -> None:
        self.name = name
        self.epochs = epochs
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
        self.task = self.bar.add_task(name, total=epochs, scores="")
        self.told = time.monotonic()

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
        step = max(1, self.epochs // LINES)
        if not self.console.is_terminal and (done % step == 0 or time.monotonic() - self.told > 30):
            print(f"{self.name}  epoch {done}/{self.epochs}  {scores}", flush=True)
            self.told = time.monotonic()

    def say(self, line: str) -> None:
        """Say what cannot wait for the end."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class Thaw(pl.Callback):
    """Freeze and free layers as an epoch begins: by its number alone, so that a resumed training does the same.

    Args:
        start: when each layer is set free; None if nothing is taken.

    Attributes:
        layers: those that were taken, from the input on, without the network's last one, which always learns.
    """

    def __init__(self, start: Start | None) -> None:
        self.start = start
        self.layers: list[Layer] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set each layer to what it must be in this epoch."""
        self.set(trainer.current_epoch)

    def set(self, epoch: int) -> None:
        """Set each layer to what it must be in epoch number `epoch`."""
        if self.start is not None:
            for behind, layer in enumerate(reversed(self.layers)):
                layer.freeze(epoch < self.start.freeze + behind * self.start.gradual)
