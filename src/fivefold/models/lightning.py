"""What every Lightning module of a family is, and what it adds up.

One Lightning module for every network that learns a target.

Shapes: b rows, k outputs, t steps of a text.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial
from typing import Any, Literal, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ..errors import TrainingError
from .losses import Judge
from .precision import Portions, mixed


class Trained(pl.LightningModule, ABC):
    """Trains a network; one Lightning batch is an epoch of batches.

    Attributes:
        steps: batches of an epoch.
    """

    steps: int

    @property
    @abstractmethod
    def judged(self) -> nn.Module:
        """The network that is validated and kept."""


class Sums:
    """Loss and hits of the rows seen so far in an epoch, on their device: a step never waits for it."""

    def __init__(self) -> None:
        self.rows = 0
        self.loss: Tensor | float = 0.0
        self.hits: Tensor | float = 0.0

    def add(self, loss: Tensor, rows: int, hits: Tensor | None = None) -> None:
        """Add a batch: its mean loss, its rows, and the share that were right if that was counted."""
        self.rows += rows
        self.loss = self.loss + loss * rows
        if hits is not None:
            self.hits = self.hits + hits * rows

    def over(self, module: pl.LightningModule) -> list[float]:
        """Return loss, hits and rows, added up over all devices."""
        own = [float(self.loss), float(self.hits), float(self.rows)]
        if module.trainer.world_size == 1:
            return own
        sums = torch.tensor(own, dtype=torch.float64, device=module.device)
        found: list[float] = module.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        return found


How = Literal["forward", "every_step", "parts"]
"""The method of a network that training calls: what it tells; that after each step of a text; what an autoencoder's
objective looks at."""

LossOf = Callable[[Tensor, Tensor], Tensor]

VALIDATION_ROWS = 1024
"""That go through the network at a time: it changes no number, so it is large."""


class Stepper(Protocol):
    """Moves weights, batch by batch: `training.descent.Descent`."""

    number: int
    scale: float
    watch: Callable[[], None] | None
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler

    def step(self, x: Tensor, y: Tensor, n: int, loss_of: LossOf) -> Tensor:
        """Go one step and return the mean loss of the batch, of n rows over all devices."""


class Supervised(Trained):
    """Trains a network to tell the targets of its rows.

    Logs per epoch `train/loss`, `val/loss`, for classes `val/accuracy`, and what the objective has learnt. Sums stay on
    the device until the epoch ends, so that a step never waits for the device.

    Args:
        network: (b, ...) -> (b, k).
        objective: what the network gives, and targets -> mean loss.
        stepper: called with network and its moving average or None.
        steps: batches of an epoch.
        how: which method of the network is trained; at every_step rows are pieces of a text, whose next token is learnt
            at all steps at once.
        average: whether to keep a moving average of the weights, and judge that.
        precision: 32, bf16 or 16.
        faster: whether to compile the network.
        augment: changes a training batch (x, y), which is learnt instead; in training mode only.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Judge,
        stepper: Callable[[nn.Module, nn.Module | None], Stepper],
        *,
        steps: int,
        how: How = "forward",
        average: bool = False,
        precision: str = "32",
        faster: bool = False,
        augment: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.averaged = deepcopy(network).requires_grad_(False) if average else None
        self.objective = objective
        self.stepper_of = stepper
        self.steps = steps
        self.how = how
        self.precision = precision
        self.augment = augment
        tell = _tells(network, how)
        self.tells = (torch.compile(tell) if faster else tell,)  # in a tuple: else it were a second part of the module
        self.sums = {"train": Sums(), "val": Sums()}
        self.judging = Portions(VALIDATION_ROWS)
        self.scaled: dict[str, Any] = {}

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.network if self.averaged is None else self.averaged

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser; its learning rate is set at every step."""
        self.stepper = self.stepper_of(self.network, self.averaged)
        if self.scaled:
            self.stepper.scaler.load_state_dict(self.scaled)
        return self.stepper.optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add how gradients of 16 bits are scaled, which Lightning does not know of; nothing for other precisions."""
        checkpoint["scaler"] = self.stepper.scaler.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up; Lightning asks for the optimiser later."""
        self.scaled = checkpoint["scaler"]

    def training_step(self, epoch: Iterable[tuple[Tensor, Tensor, int]], _: int) -> None:
        """Go through the batches of an epoch."""
        self.stepper.number = self.current_epoch * self.steps
        self.objective.at(self.current_epoch)
        for x, y, n in epoch:
            if self.augment is not None and len(x):
                x, y = self.augment(x, y)
            loss = self.stepper.step(x, y, n, self._loss)
            self.sums["train"].add(loss, len(x))

    def validation_step(self, epoch: Iterable[tuple[Tensor, Tensor, int]], _: int) -> None:
        """Judge the rows held out."""
        for x, y, _n in epoch:
            if len(x):
                for loss, rows, hits in self.judging(len(x), partial(self._judged, x, y)):
                    self.sums["val"].add(loss, rows, hits)

    def _judged(self, x: Tensor, y: Tensor, most: int) -> list[tuple[Tensor, int, Tensor | None]]:
        """Return mean loss, number and share of hits of rows, at most so many at a time."""
        found = []
        for rows, told in zip(torch.split(x, most), torch.split(y, most), strict=True):
            with mixed(self.device, self.precision):
                out = _tells(self.judged, self.how)(rows)
            targets = self._targets(rows, told)
            found.append((self.objective(_exact(out), targets), len(rows), self.objective.hits(out, targets)))
        return found

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        with mixed(self.device, self.precision):
            out = self.tells[0](x)
        loss: Tensor = self.objective(_exact(out), self._targets(x, y))
        return loss

    def _targets(self, x: Tensor, y: Tensor) -> Tensor:
        """Return what is to be told: of a text the token after each, x being all but the last."""
        return torch.cat([x[:, 1:].long(), y[:, None]], dim=1) if self.how == "every_step" else y

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's scores: Lightning validates inside the training epoch, after its last batch.

        Raises:
            TrainingError: a loss is not finite; what to do about it is for the doctor to say.
        """
        self._log("train")
        self._log("val")

    def _log(self, split: str) -> None:
        sums = self.sums[split].over(self)
        loss = sums[0] / sums[2]
        if not math.isfinite(loss):
            raise TrainingError(f"{split}/loss must be finite, but is {loss} in epoch {self.current_epoch}")
        self.log(f"{split}/loss", loss)
        if split == "val" and self.objective.classes:
            self.log(f"{split}/accuracy", sums[1] / sums[2])
        if split == "val":
            self.log_dict(self.objective.learnt())
        self.sums[split] = Sums()


def _tells(network: nn.Module, how: How) -> Callable[[Tensor], Any]:
    return network if how == "forward" else getattr(network, how)


def _exact(out: Any) -> Any:
    """Return what a network gave in float32: a tensor, or a named tuple of them."""
    if isinstance(out, Tensor):
        return out.float()
    return type(out)(*(None if part is None else part.float() for part in out))
