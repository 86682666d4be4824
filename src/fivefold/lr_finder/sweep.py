"""Train a network with a learning rate that grows from step to step.

Source: Smith 2017, Cyclical learning rates for training neural networks, section 3.3.
A batch of few rows is easier or harder than another by more than a step changes. So each batch's loss is compared with
that of the same batch where nothing is learnt: with the same rows, the same units dropped, the same noise added.

The learning rate that a sweep suggests: a tenth of the one at which its smoothed loss is lowest.

Source: Howard & Gugger 2020, Deep Learning for Coders with fastai and PyTorch, chapter 5.
At the lowest point a rate already undoes as much as it gains; below a tenth of it little but time is gained. The place
of the steepest fall, the other rule in use, moves with the noise of single batches.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from ..config.models import Model
from ..data.dataset import Array, Dataset
from ..errors import TrainingError
from ..models.lightning import LossOf, Stepper, Supervised
from ..models.precision import memory_needed
from ..models.transfer import Source
from ..preprocessing.pipeline import Chain
from ..training.callbacks import Thaw
from ..training.fit import trainer_of
from ..training.supervised import Clock, assemble

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 160
"""Rates of the first and of the last step, and how many steps there are: 20 to a power of ten."""

EXPLODED = 1.0
"""The sweep ends where the smoothed loss rose from its lowest by so many times what it is at rest."""

MEMORY = 0.9
"""Of the smoothed loss, a step."""


class Sweep(NamedTuple):
    """What a sweep saw.

    rates, losses: (s,), of each step; losses are those of its batch before it.
    resting: (s,), the loss of the same batch with the weights that training starts from.
    """

    rates: Array
    losses: Array
    resting: Array

    @property
    def gains(self) -> Array:
        """By how much the loss of each batch is below that at rest, (s,)."""
        return self.resting - self.losses

    @property
    def smoothed(self) -> Array:
        """The loss, smoothed, as if all batches were alike, (s,)."""
        return np.asarray(self.resting.mean() - smoothed(self.gains))

    @property
    def exploded(self) -> bool:
        """Whether the loss is far above what was reached, or not finite."""
        seen = self.smoothed
        return not bool(seen[-1] - seen.min() <= EXPLODED * abs(self.resting.mean()))


class EndedError(Exception):
    """A sweep has come to its end, within an epoch."""


class Sweeping:
    """Takes the place of a module's stepper: gives each step its rate, and looks at its loss.

    Args:
        inner: what goes the steps, at a constant rate.
        rate: that rate.
        rates: (s,), those to try.
        ended: whether to end before the last, after the losses that it is given.
    """

    def __init__(self, inner: Stepper, rate: float, rates: Array, ended: Callable[[Array], bool]) -> None:
        self.inner, self.rate, self.rates, self.ended = inner, rate, rates, ended
        self.number, self.scale, self.optimizer, self.scaler = 0, 1.0, inner.optimizer, inner.scaler
        self.watch: Callable[[], None] | None = None
        self.losses: list[float] = []

    def step(self, x: Tensor, y: Tensor, n: int, loss_of: LossOf) -> Tensor:
        """Go one step at the next rate.

        Raises:
            EndedError: there is none behind it.
        """
        self.inner.scale = self.rates[len(self.losses)] / self.rate
        loss = self.inner.step(x, y, n, loss_of)
        self.losses.append(float(loss))
        if len(self.losses) == len(self.rates) or self.ended(np.array(self.losses)):
            raise EndedError
        return loss


def smoothed(losses: Array) -> Array:
    """Return the moving average of `losses` (s,), each step's as if there had been as many before it as there were."""
    found, mean = np.empty(len(losses)), 0.0
    for step, loss in enumerate(losses):
        mean = MEMORY * mean + (1 - MEMORY) * loss
        found[step] = mean / (1 - MEMORY ** (step + 1))
    return found


def sweep(name: str, params: Model, dataset: Dataset, chain: Chain, seed: int, source: Source | None = None) -> Sweep:
    """Sweep over the rates with the batches, the optimiser and all else that model `name` is trained with.

    A constant schedule takes the place of its own, and one device that of several. Layers that are frozen in its first
    epoch are frozen.

    source: whose weights it begins with, as `params.training.start` says.

    Raises:
        ParamsError: the network or the loss does not fit the data, or training does not fit the machine.
        TrainingError: the device's memory does not suffice.
    """
    tree = params.model_dump(mode="json")
    tree["training"] |= {"schedule": {"name": "constant"}, "devices": 1}
    params = Model.model_validate_json(json.dumps(tree))
    rates, epoch = np.geomspace(LOWEST, HIGHEST, STEPS), 0
    with memory_needed():
        device = trainer_of(params.training, []).strategy.root_device
        made = assemble(name, params, dataset, chain, source, Clock(seed, lambda: epoch), device=device)
        module = cast(Supervised, made.module).to(device).train()
        thaw = Thaw(params.training.start)
        thaw.layers = made.taken
        thaw.set(0)

        def losses(rates: Array, ended: Callable[[Array], bool]) -> Array:
            nonlocal epoch
            torch.manual_seed(seed)
            inner = module.stepper_of(module.network, module.averaged)
            module.stepper = sweeping = Sweeping(inner, params.training.optimizer.lr, rates, ended)
            with suppress(EndedError):
                for epoch in count():
                    for batches in made.batches:
                        module.training_step(batches, epoch)
            return np.array(sweeping.losses)

        def seen(losses: Array) -> Sweep:
            return Sweep(rates[: len(losses)], losses, resting[: len(losses)])

        resting = losses(np.zeros(STEPS), lambda _: False)
        return seen(losses(rates, lambda losses: seen(losses).exploded))


RESTING = 40
"""First steps of a sweep, whose rates move nothing."""

CERTAIN = 5.0
"""Deviations of the mean gain by which the loss must fall: over a sweep of noise alone it strays by two or three."""

LEAST = 0.01
"""Share of the loss at rest that it must be, however certain."""


def suggestion(name: str, sweep: Sweep) -> float:
    """Return the suggested rate, of two digits.

    Raises:
        TrainingError: the loss of model `name` does not fall at any rate.
    """
    known = np.isfinite(sweep.losses)
    rates, gains, rest = sweep.rates[known], sweep.gains[known], sweep.resting.mean()
    gain = smoothed(gains)
    noise = np.sqrt((smoothed(gains**2) - gain**2).clip(0) * (1 - MEMORY) / (1 + MEMORY))
    certain = gain > np.maximum(CERTAIN * noise, LEAST * abs(rest))
    certain[:RESTING] = False
    if not certain.any():
        raise TrainingError(
            f"the loss of {name} must fall at some rate from {sweep.rates[0]:.0e} to {sweep.rates[-1]:.2g}, but is"
            f" {rest:.4g} at the smallest, at its lowest {rest - gain.max(initial=0):.4g}; look at what `prepare` found"
            f" in the data, or choose another normalize, or another init or activation under models.{name}.network"
        )
    return float(f"{rates[np.where(certain, gain, 0).argmax()] / 10:.1e}")
