"""The trainings that run, side by side: an epoch of all of them.

Shapes: m networks, d numbers of their weights that decay.

One training of a stack: its numbers, and what became of it so far.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...config.networks.cnn import Stack
from ...config.networks.mlp import Mlp
from ...config.optimizers import Plateau
from ...config.training import Bce, Training
from ...models.autoencoder.noise import Noise
from ...models.lightning import VALIDATION_ROWS
from ...models.serialization import Saved, deployed
from ..batches import mix
from ..callbacks import Metrics
from ..diagnostics.rules import not_finite
from ..diagnostics.summary import course_of
from ..objectives import Learning
from ..optimization import share
from ..supervised import seen_by
from .batches import Batches, HeldOut, Pool, Reach
from .job import Job, Outcome
from .layers import Chance
from .losses import row_loss
from .model import Layout, Program, Weights
from .optimizers import Memory, Movers


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


class Sums(NamedTuple):
    """Of an epoch, over the rows of each network: losses, and validation rows told rightly, None for values."""

    train: list[float]
    val: list[float]
    hits: list[float] | None


class ModelStack:
    """Networks that learn at once; those that end are taken out.

    Args:
        members: those with the most rows first, and of these those with the same seed together.
        train, held_out: the rows of all.
    """

    def __init__(self, members: Sequence[Member], train: Pool, held_out: Pool, device: torch.device) -> None:
        self.pools = train, held_out
        self.classes = members[0].learning.objective.classes
        self.loss = row_loss(members[0].job.params, self.classes)
        networks = [member.network for member in members]
        self.pattern = max(members, key=lambda member: member.dropout).network
        self.record = members[0].job.chain.shape(members[0].job.dataset.schema.shape)
        weights = Weights.of(networks, device)
        self._arrange(members, weights, Memory.of(weights))

    def _arrange(self, members: Sequence[Member], weights: Weights, memory: Memory) -> None:
        """Lay out all that follows from who is there."""
        self.members, self.weights, self.memory = list(members), weights, memory
        training = [member.training for member in members]
        self.decaying = Layout(self.pattern).decaying
        self.movers = Movers([each.optimizer for each in training], weights, memory, self.decaying)
        self.programs: dict[tuple[int, int], Program] = {}
        self.chances = self._chances()
        l1, norms, values = (
            weights.now.new_tensor(numbers)[:, None]
            for numbers in (
                [each.l1 for each in training],
                [each.gradient_clip or math.inf for each in training],
                [each.gradient_clip_value or math.inf for each in training],
            )
        )
        self.l1 = l1 if l1.any() else None
        self.norms, self.values = (None if limit.isinf().all() else limit for limit in (norms, values))
        seeds = [member.job.seed for member in members]
        train, held_out = self.pools
        self.batches = Batches(train, [member.train for member in members], seeds, training[0].batch_size)
        self.held_out = HeldOut(held_out, [member.held_out for member in members], VALIDATION_ROWS)

    def take(self, which: Sequence[int]) -> None:
        """Go on with the networks at `which` alone."""
        self._arrange([self.members[i] for i in which], self.weights.take(which), self.memory.take(which))

    @torch.inference_mode()
    def epoch(self, number: int) -> Sums:
        """Learn for an epoch, and judge the rows held out."""
        train = self._learn(number)
        val, hits = self._judge()
        return Sums(train.tolist(), val.tolist(), None if hits is None else hits.tolist())

    def _learn(self, number: int) -> Tensor:
        """Go through the batches of an epoch; return the sum of losses of each network, (m,)."""
        for chance in self.chances:
            chance.generator.manual_seed(mix(self.members[chance.span.start].job.seed, number))
        total = torch.zeros(len(self.members), device=self.weights.now.device)
        for step, span, x, told in self.batches(number):
            program = self._program(span)
            losses, gradient = self.loss(program(self._spoilt(span, x), learning=True), told)
            total[span] += losses.sum(1)
            program.back(gradient.div_(x.shape[1]))
            self._limit(span)
            rates = [member.rate(number, step) for member in self.members[span]]
            self.movers.step(span, rates, first=not number and not step)
        return total

    def _judge(self) -> tuple[Tensor, Tensor | None]:
        """Return the sum of validation losses of each network, (m,), and how many rows were told rightly, (m,)."""
        program = self._program(slice(0, len(self.members)))
        total = torch.zeros(len(self.members), device=self.weights.now.device)
        right = torch.zeros_like(total)
        for x, told, classes, real in self.held_out:
            out = program(x)
            total += torch.where(real, self.loss(out, told)[0], 0.0).sum(1)
            if classes is not None:
                two = isinstance(self.members[0].training.loss, Bce)
                guess = (out[..., 0] > 0).long() if two else out.argmax(2)
                right += (real & (guess == classes)).sum(1)
        return total, right if self.classes else None

    def _limit(self, span: slice) -> None:
        """Change the gradients of a span before a step, in the order of `training.descent`."""
        gradient = self.weights.gradient[span]
        if self.l1 is not None:
            gradient[:, : self.decaying] += self.l1[span] * self.weights.now[span, : self.decaying].sign()
        if self.values is not None:
            gradient.clamp_(-self.values[span], self.values[span])
        if self.norms is not None:
            norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
            gradient *= (self.norms[span] / (norms + 1e-6)).clamp_max(1.0)

    def _program(self, span: slice) -> Program:
        """Return the networks of a span as one program."""
        key = span.start, span.stop
        if key not in self.programs:
            dropout = [member.dropout for member in self.members]
            within = [
                Chance(slice(max(each.span.start, span.start) - span.start, stop - span.start), each.generator)
                for each in self.chances
                if (stop := min(each.span.stop, span.stop)) > max(each.span.start, span.start)
            ]
            self.programs[key] = Program(self.pattern, self.record, self.weights, span, dropout, within)
        return self.programs[key]

    def _chances(self) -> list[Chance]:
        """Return where networks draw from; noise is drawn by each network itself."""

        def alike(i: int) -> tuple[int, ...]:
            member = self.members[i]
            return (member.job.seed, member.train.n, i if member.learning.augment is not None else -1)

        found = []
        for _, which in groupby(range(len(self.members)), alike):
            places = list(which)
            generator = torch.Generator(self.weights.now.device)
            found.append(Chance(slice(places[0], places[-1] + 1), generator))
        return found

    def _spoilt(self, span: slice, x: Tensor) -> Tensor:
        """Return a batch as networks that denoise see it; others see it as it is."""
        if self.members[0].learning.augment is None:
            return x
        seen = []
        for i, rows in zip(range(span.start, span.stop), x, strict=True):
            noise = self.members[i].learning.augment
            assert isinstance(noise, Noise)
            seen.append(noise.spoil(rows, self.chances[i].generator))
        return torch.stack(seen)
