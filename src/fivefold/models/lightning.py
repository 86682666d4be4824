"""The base class of all Lightning modules, the epoch average of their losses, and the module of supervised networks.

Shapes: b samples, k outputs, t steps of a text.
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
    """Trains a network; one Lightning batch is a whole epoch of batches.

    Attributes:
        steps_per_epoch: batches in an epoch.
    """

    steps_per_epoch: int

    @property
    @abstractmethod
    def eval_network(self) -> nn.Module:
        """The network that is validated and saved."""


class EpochAverage:
    """Running sums of loss and correct predictions over an epoch, kept on the device so that no step synchronizes."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.loss_sum: Tensor | float = 0.0
        self.n_correct: Tensor | float = 0.0

    def update(self, loss: Tensor, n_rows: int, accuracy: Tensor | None = None) -> None:
        """Add a batch: its mean loss, its number of rows and, if computed, its accuracy."""
        self.n_rows += n_rows
        self.loss_sum = self.loss_sum + loss * n_rows
        if accuracy is not None:
            self.n_correct = self.n_correct + accuracy * n_rows

    def all_reduce(self, module: pl.LightningModule) -> list[float]:
        """Return the sums of loss, correct predictions and rows over all devices."""
        own = [float(self.loss_sum), float(self.n_correct), float(self.n_rows)]
        if module.trainer.world_size == 1:
            return own
        sums = torch.tensor(own, dtype=torch.float64, device=module.device)
        total: list[float] = module.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        return total


NetworkMethod = Literal["forward", "forward_all_steps", "training_outputs"]
"""The method of a network that training calls.

`forward` returns predictions, `forward_all_steps` those after each step of a text, and `training_outputs` everything
that the loss of an autoencoder needs.
"""

LossFn = Callable[[Tensor, Tensor], Tensor]

VALIDATION_BATCH_SIZE = 1024
"""Rows per forward pass in validation; large, because it does not affect the result."""


class OptimizerStep(Protocol):
    """Updates the weights batch by batch; implemented in `training.optimization`."""

    global_step: int
    lr_scale: float
    gradient_hook: Callable[[], None] | None
    optimizer: torch.optim.Optimizer
    grad_scaler: torch.amp.GradScaler

    def step(self, x: Tensor, y: Tensor, n_rows: int, loss_fn: LossFn) -> Tensor:
        """Take one step and return the mean loss of the batch, which has `n_rows` rows over all devices."""


class SupervisedModule(BaseModule):
    """Trains a network to predict the targets of its samples.

    Logs per epoch `train/loss`, `val/loss`, for classification `val/accuracy`, and learned loss weights. Sums stay on
    the device until the epoch ends, so that no step waits for the device.

    Args:
        network: (b, ...) -> (b, k).
        criterion: outputs and targets -> mean loss.
        optim_step_factory: called with the network and its moving average or None.
        steps_per_epoch: batches in an epoch.
        method: which method of the network is trained; with `forward_all_steps` samples are windows of a text, and the
            next token is predicted at all steps at once.
        use_ema: whether to keep an exponential moving average of the weights and evaluate that.
        precision: "32", "bf16" or "16".
        compile_network: whether to compile the network.
        augment: transforms a training batch (x, y), in training mode only.
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
        predict = _get_method(network, method)
        # in a tuple: otherwise it would be registered as a second submodule
        self.predict_fn = (torch.compile(predict) if compile_network else predict,)
        self.epoch_averages = {"train": EpochAverage(), "val": EpochAverage()}
        self.micro_batcher = MicroBatcher(VALIDATION_BATCH_SIZE)
        self.grad_scaler_state: dict[str, Any] = {}

    @property
    def eval_network(self) -> nn.Module:
        """The network that is validated and saved: the moving average if there is one."""
        return self.network if self.ema_network is None else self.ema_network

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer; its learning rate is set at every step."""
        self.optim_step = self.optim_step_factory(self.network, self.ema_network)
        if self.grad_scaler_state:
            self.optim_step.grad_scaler.load_state_dict(self.grad_scaler_state)
        return self.optim_step.optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state of the gradient scaler, which Lightning does not manage; empty unless the precision is 16."""
        checkpoint["scaler"] = self.optim_step.grad_scaler.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the state of the gradient scaler until Lightning configures the optimizer."""
        self.grad_scaler_state = checkpoint["scaler"]

    def training_step(self, batches: Iterable[tuple[Tensor, Tensor, int]], _: int) -> None:
        """Train on the batches of an epoch."""
        self.optim_step.global_step = self.current_epoch * self.steps_per_epoch
        self.criterion.set_epoch(self.current_epoch)
        for x, y, n in batches:
            if self.augment is not None and len(x):
                x, y = self.augment(x, y)
            loss = self.optim_step.step(x, y, n, self._compute_loss)
            self.epoch_averages["train"].update(loss, len(x))

    def validation_step(self, batches: Iterable[tuple[Tensor, Tensor, int]], _: int) -> None:
        """Evaluate the network on the validation n_rows."""
        for x, y, _n in batches:
            if len(x):
                for loss, n_rows, accuracy in self.micro_batcher(len(x), partial(self._evaluate_batch, x, y)):
                    self.epoch_averages["val"].update(loss, n_rows, accuracy)

    def _evaluate_batch(self, x: Tensor, y: Tensor, micro_batch_size: int) -> list[tuple[Tensor, int, Tensor | None]]:
        """Return mean loss, number of rows and accuracy of each micro-batch of at most `micro_batch_size` rows."""
        results = []
        for inputs, y_part in zip(torch.split(x, micro_batch_size), torch.split(y, micro_batch_size), strict=True):
            with autocast_context(self.device, self.precision):
                out = _get_method(self.eval_network, self.method)(inputs)
            targets = self._build_targets(inputs, y_part)
            loss = self.criterion(_to_float32(out), targets)
            results.append((loss, len(inputs), self.criterion.accuracy(out, targets)))
        return results

    def _compute_loss(self, x: Tensor, y: Tensor) -> Tensor:
        with autocast_context(self.device, self.precision):
            out = self.predict_fn[0](x)
        loss: Tensor = self.criterion(_to_float32(out), self._build_targets(x, y))
        return loss

    def _build_targets(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the targets y; of a text the next token after each step, the last of which is y."""
        return torch.cat([x[:, 1:].long(), y[:, None]], dim=1) if self.method == "forward_all_steps" else y

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's metrics: Lightning validates inside the training epoch, after its last batch.

        Raises:
            TrainingError: a loss is not finite; the training diagnostics add the remedy.
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
    """Return the outputs of a network as float32: a tensor, or a named tuple of tensors."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return type(outputs)(*(None if tensor is None else tensor.float() for tensor in outputs))
