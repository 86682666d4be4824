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
from .losses import Loss
from .precision import MicroBatcher, autocast_context


class BaseModule(pl.LightningModule, ABC):
    """Trains a network; one Lightning batch is an epoch of batches.

    Attributes:
        steps: batches of an epoch.
    """

    steps_per_epoch: int

    @property
    @abstractmethod
    def eval_network(self) -> nn.Module:
        """The network that is validated and kept."""


class EpochAverage:
    """Loss and hits of the rows seen so far in an epoch, on their device: a step never waits for it."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.loss_sum: Tensor | float = 0.0
        self.n_correct: Tensor | float = 0.0

    def update(self, loss: Tensor, n_rows: int, accuracy: Tensor | None = None) -> None:
        """Add a batch: its mean loss, its rows, and the share that were right if that was counted."""
        self.n_rows += n_rows
        self.loss_sum = self.loss_sum + loss * n_rows
        if accuracy is not None:
            self.n_correct = self.n_correct + accuracy * n_rows

    def all_reduce(self, module: pl.LightningModule) -> list[float]:
        """Return loss, hits and rows, added up over all devices."""
        own = [float(self.loss_sum), float(self.n_correct), float(self.n_rows)]
        if module.trainer.world_size == 1:
            return own
        sums = torch.tensor(own, dtype=torch.float64, device=module.device)
        found: list[float] = module.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        return found


NetworkMethod = Literal["forward", "forward_all_steps", "training_outputs"]
"""The method of a network that training calls: what it tells; that after each step of a text; what an autoencoder's
objective looks at."""

LossFn = Callable[[Tensor, Tensor], Tensor]

VALIDATION_BATCH_SIZE = 1024
"""That go through the network at a time: it changes no number, so it is large."""


class OptimizerStep(Protocol):
    """Moves weights, batch by batch: `training.descent.Descent`."""

    global_step: int
    lr_scale: float
    gradient_hook: Callable[[], None] | None
    optimizer: torch.optim.Optimizer
    grad_scaler: torch.amp.GradScaler

    def step(self, x: Tensor, y: Tensor, n_rows: int, loss_fn: LossFn) -> Tensor:
        """Go one step and return the mean loss of the batch, of n rows over all devices."""


class SupervisedModule(BaseModule):
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
        criterion: Loss,
        optim_step_factory: Callable[[nn.Module, nn.Module | None], OptimizerStep],
        *,
        steps_per_epoch: int,
        method: NetworkMethod = "forward",
        use_ema: bool = False,
        precision: str = "32",
        compile_network: bool = False,
        augment: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.ema_network = deepcopy(network).requires_grad_(False) if use_ema else None
        self.criterion = criterion
        self.optim_step_factory = optim_step_factory
        self.steps_per_epoch = steps_per_epoch
        self.method = method
        self.precision = precision
        self.augment = augment
        tell = _get_method(network, method)
        self.predict_fn = (
            torch.compile(tell) if compile_network else tell,
        )  # in a tuple: else it were a second part of the module
        self.epoch_averages = {"train": EpochAverage(), "val": EpochAverage()}
        self.micro_batcher = MicroBatcher(VALIDATION_BATCH_SIZE)
        self.grad_scaler_state: dict[str, Any] = {}

    @property
    def eval_network(self) -> nn.Module:
        """The network that is validated and kept."""
        return self.network if self.ema_network is None else self.ema_network

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser; its learning rate is set at every step."""
        self.optim_step = self.optim_step_factory(self.network, self.ema_network)
        if self.grad_scaler_state:
            self.optim_step.grad_scaler.load_state_dict(self.grad_scaler_state)
        return self.optim_step.optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add how gradients of 16 bits are scaled, which Lightning does not know of; nothing for other precisions."""
        checkpoint["scaler"] = self.optim_step.grad_scaler.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up; Lightning asks for the optimiser later."""
        self.grad_scaler_state = checkpoint["scaler"]

    def training_step(self, batches: Iterable[tuple[Tensor, Tensor, int]], _: int) -> None:
        """Go through the batches of an epoch."""
        self.optim_step.global_step = self.current_epoch * self.steps_per_epoch
        self.criterion.set_epoch(self.current_epoch)
        for x, y, n in batches:
            if self.augment is not None and len(x):
                x, y = self.augment(x, y)
            loss = self.optim_step.step(x, y, n, self._compute_loss)
            self.epoch_averages["train"].update(loss, len(x))

    def validation_step(self, batches: Iterable[tuple[Tensor, Tensor, int]], _: int) -> None:
        """Judge the rows held out."""
        for x, y, _n in batches:
            if len(x):
                for loss, rows, hits in self.micro_batcher(len(x), partial(self._evaluate_batch, x, y)):
                    self.epoch_averages["val"].update(loss, rows, hits)

    def _evaluate_batch(self, x: Tensor, y: Tensor, micro_batch_size: int) -> list[tuple[Tensor, int, Tensor | None]]:
        """Return mean loss, number and share of hits of rows, at most so many at a time."""
        found = []
        for rows, told in zip(torch.split(x, micro_batch_size), torch.split(y, micro_batch_size), strict=True):
            with autocast_context(self.device, self.precision):
                out = _get_method(self.eval_network, self.method)(rows)
            targets = self._build_targets(rows, told)
            found.append((self.criterion(_to_float32(out), targets), len(rows), self.criterion.accuracy(out, targets)))
        return found

    def _compute_loss(self, x: Tensor, y: Tensor) -> Tensor:
        with autocast_context(self.device, self.precision):
            out = self.predict_fn[0](x)
        loss: Tensor = self.criterion(_to_float32(out), self._build_targets(x, y))
        return loss

    def _build_targets(self, x: Tensor, y: Tensor) -> Tensor:
        """Return what is to be told: of a text the token after each, x being all but the last."""
        return torch.cat([x[:, 1:].long(), y[:, None]], dim=1) if self.method == "forward_all_steps" else y

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's scores: Lightning validates inside the training epoch, after its last batch.

        Raises:
            TrainingError: a loss is not finite; what to do about it is for the doctor to say.
        """
        self._log_epoch("train")
        self._log_epoch("val")

    def _log_epoch(self, split: str) -> None:
        sums = self.epoch_averages[split].all_reduce(self)
        loss = sums[0] / sums[2]
        if not math.isfinite(loss):
            raise TrainingError(f"{split}/loss must be finite, but is {loss} in epoch {self.current_epoch}")
        self.log(f"{split}/loss", loss)
        if split == "val" and self.criterion.n_classes:
            self.log(f"{split}/accuracy", sums[1] / sums[2])
        if split == "val":
            self.log_dict(self.criterion.learned_weights())
        self.epoch_averages[split] = EpochAverage()


def _get_method(network: nn.Module, method: NetworkMethod) -> Callable[[Tensor], Any]:
    return network if method == "forward" else getattr(network, method)


def _to_float32(outputs: Any) -> Any:
    """Return what a network gave in float32: a tensor, or a named tuple of them."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return type(outputs)(*(None if part is None else part.float() for part in outputs))
