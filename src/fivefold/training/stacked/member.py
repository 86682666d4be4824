"""One training of a stack: its numbers, and what became of it so far."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from ...config.networks.cnn import Stack
from ...config.networks.mlp import Mlp
from ...config.optimizers import Plateau
from ...config.training import Training
from ...models.serialization import Saved, deployed
from ..assemble import seen_by
from ..callbacks import Metrics
from ..doctor.course import course_of
from ..doctor.rules import not_finite
from ..learning import Learning
from ..schedules import share
from .job import Job, Outcome
from .rows import Reach


@dataclass
class Member:
    """A training that runs, as `training.callbacks` would follow it.

    place: of its job among all.
    train, held_out: where its rows lie in the pools.
    lowest, best: the lowest validation loss, and its epoch; kept: the epoch that is kept; -1 for none.
    scale: what the schedule's learning rate is multiplied by; loss, since: by which it is lowered.
    """

    place: int
    job: Job
    network: nn.Module
    learning: Learning
    train: Reach
    held_out: Reach
    epochs: list[Metrics] = field(default_factory=list)
    lowest: float = math.inf
    best: int = -1
    kept: int = -1
    scale: float = 1.0
    loss: float = math.inf
    since: int = 0
    error: str = ""

    def __post_init__(self) -> None:
        steps = -(-self.train.n // self.training.batch_size)
        self.steps = steps
        self.share: Callable[[int], float] = share(self.training.schedule, self.training.max_epochs, steps)

    @property
    def training(self) -> Training:
        """How it is trained."""
        return self.job.params.training

    @property
    def dropout(self) -> float:
        """The share of its units that is switched off."""
        network = self.job.params.network
        return network.dropout if isinstance(network, Mlp | Stack) else 0.0

    def rate(self, epoch: int, step: int) -> float:
        """Return the learning rate of a step of an epoch."""
        return self.training.optimizer.lr * (self.share(epoch * self.steps + step) * self.scale)

    def judge(self, epoch: int, sums: Mapping[str, tuple[float, int]], hits: float | None) -> bool:
        """Learn how an epoch was, and return whether its weights are to be kept.

        sums: the sum of losses, and of rows, by split. hits: validation rows that were told rightly.
        """
        metrics: Metrics = {}
        for split, (total, rows) in sums.items():
            loss = total / rows
            if not math.isfinite(loss):
                self.error = f"{split}/loss must be finite, but is {loss} in epoch {epoch}; {self._remedy()}"
                return False
            metrics[f"{split}/loss"] = _exact(loss)
        if hits is not None:
            metrics["val/accuracy"] = _exact(hits / sums["val"][1])
        metrics["lr"] = self.rate(epoch, self.steps - 1)
        self.epochs.append(metrics)
        loss = metrics["val/loss"]
        lower = loss < self.lowest
        if lower:
            self.lowest, self.best = loss, epoch
        if lower or self.training.keep == "last":
            self.kept = epoch
        self._slow(loss)
        return self.kept == epoch

    def ends(self, epoch: int) -> bool:
        """Return whether an epoch was the last."""
        training = self.training
        waited = training.patience and self.best >= 0 and epoch - self.best >= training.patience
        return bool(self.error or waited or epoch + 1 == training.max_epochs)

    def outcome(self) -> Outcome:
        """Return what came of it; the network must have the weights that are kept."""
        params, learning = self.job.params, self.learning
        part = copy.deepcopy(learning.output(self.network))  # others may have the same rows
        model = deployed(params.network, learning.schema, self.job.chain, self.network, part).cpu().eval()
        saved = Saved(model, learning.schema, params.network, params.training.loss, {})
        return Outcome(saved, self.epochs, self.kept + 1, self.error)

    def _remedy(self) -> str:
        """Return what to do about a loss that is not finite."""
        inputs = seen_by(self.learning, self.training, self.job.chain)
        return not_finite(course_of(self.job.params, inputs, self.epochs, {}, self.steps))

    def _slow(self, loss: float) -> None:
        """Lower the learning rate where the validation loss does not fall any more, if the schedule says so."""
        schedule = self.training.schedule
        if isinstance(schedule, Plateau):
            self.since = 0 if loss < self.loss else self.since + 1
            self.loss = min(loss, self.loss)
            if self.since > schedule.patience:
                self.scale, self.since = self.scale * schedule.factor, 0


def _exact(value: float) -> float:
    """Return a metric as Lightning keeps it, in 32 bits."""
    return float(np.float32(value))
