"""One Lightning module for every network that learns a target.

Shapes: b rows, k outputs.
"""

import math
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.nn import functional

from ..errors import TrainingError

Batch = tuple[Tensor, Tensor]


class Supervised(pl.LightningModule):
    """Cross-entropy over class indices, or squared error over values scaled to deviation 1.

    Logs per epoch `train/loss`, `val/loss` and, for classification, `val/accuracy`. Sums stay on the device until
    the epoch ends, so that a step never waits for the device.

    Args:
        network: (b, ...) -> (b, k).
        classification: whether targets are class indices (b,) int64, else values (b, k) float32.
        weights: what a row of each class counts, (k,); None if all count alike. The loss that is logged counts so too.
        optimizers: called with the network; returns what `configure_optimizers` returns.
    """

    weights: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        classification: bool,
        optimizers: Callable[[nn.Module], Any],
        weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.network = network
        self.classification = classification
        self.optimizers_of = optimizers
        self.sums = {"train": _Sums(), "val": _Sums()}

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule."""
        return self.optimizers_of(self.network)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the mean loss of a batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, _: int) -> None:
        """Add a batch to the sums of the epoch."""
        self._step(batch, "val")

    def _step(self, batch: Batch, split: str) -> Tensor:
        x, y = batch
        out = self.network(x)
        loss = functional.cross_entropy(out, y, self.weights) if self.classification else functional.mse_loss(out, y)
        hits = (out.argmax(1) == y).sum() if self.classification and split == "val" else None
        self.sums[split].add(loss.detach(), len(y), hits)
        return loss

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's scores: Lightning validates inside the training epoch, after its last batch.

        Raises:
            TrainingError: a loss is not finite.
        """
        self._log("train")
        self._log("val")

    def _log(self, split: str) -> None:
        sums = self.sums[split]
        loss = float(sums.loss / sums.rows)
        if not math.isfinite(loss):
            raise TrainingError(
                f"{split}/loss must be finite, but is {loss} in epoch {self.current_epoch}; lower"
                " training.optimizer.lr, or set training.gradient_clip"
            )
        self.log(f"{split}/loss", loss)
        if sums.hits is not None:
            self.log(f"{split}/accuracy", float(sums.hits / sums.rows))
        self.sums[split] = _Sums()


class _Sums:
    """Loss and hits of the rows seen so far in an epoch, on their device."""

    def __init__(self) -> None:
        self.rows = 0
        self.loss: Tensor | float = 0.0
        self.hits: Tensor | None = None

    def add(self, loss: Tensor, rows: int, hits: Tensor | None) -> None:
        """Add a batch: its mean loss, its rows, and how many were right if that was counted."""
        self.rows += rows
        self.loss = self.loss + loss * rows
        if hits is not None:
            self.hits = hits if self.hits is None else self.hits + hits
