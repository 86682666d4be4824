"""What every Lightning module of a family is, and what it adds up."""

from abc import ABC, abstractmethod

import pytorch_lightning as pl
import torch
from torch import Tensor, nn


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
