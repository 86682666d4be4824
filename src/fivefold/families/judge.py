"""What every objective is: a module that says how far off a network is."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class Judge(nn.Module, ABC):
    """What a network gives for a batch, and targets (b, ...) -> the mean loss over rows.

    Attributes:
        classes: how many classes are told; 0 where there are none.
    """

    classes: int

    @abstractmethod
    def forward(self, out: Any, y: Tensor) -> Tensor:
        """Return the mean loss, a number."""

    @abstractmethod
    def hits(self, out: Any, y: Tensor) -> Tensor | None:
        """Return the share of rows that are told rightly; None where there is no such thing."""

    def learnt(self) -> dict[str, float]:
        """Return what the objective itself has learnt, by name: nothing, if not said otherwise."""
        return {}

    def at(self, epoch: int) -> None:
        """Learn which epoch begins, from 0; of no account, if not said otherwise."""
