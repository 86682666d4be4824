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
from ..models.lightning import LossFn, OptimizerStep, SupervisedModule
from ..models.precision import handle_out_of_memory
from ..models.transfer import PretrainedModel
from ..preprocessing.pipeline import Pipeline
from ..training.callbacks import GradualUnfreezing
from ..training.fit import build_trainer
from ..training.supervised import EpochSeed, build_setup

MIN_LR, MAX_LR, NUM_STEPS = 1e-7, 10.0, 160
"""Rates of the first and of the last step, and how many steps there are: 20 to a power of ten."""

DIVERGENCE_THRESHOLD = 1.0
"""The sweep ends where the smoothed loss rose from its lowest by so many times what it is at rest."""

SMOOTHING = 0.9
"""Of the smoothed loss, a step."""


class SweepResult(NamedTuple):
    """What a sweep saw.

    rates, losses: (s,), of each step; losses are those of its batch before it.
    resting: (s,), the loss of the same batch with the weights that training starts from.
    """

    learning_rates: Array
    losses: Array
    baseline_losses: Array

    @property
    def loss_decreases(self) -> Array:
        """By how much the loss of each batch is below that at rest, (s,)."""
        return self.baseline_losses - self.losses

    @property
    def smoothed_losses(self) -> Array:
        """The loss, smoothed, as if all batches were alike, (s,)."""
        return np.asarray(self.baseline_losses.mean() - exponential_moving_average(self.loss_decreases))

    @property
    def has_diverged(self) -> bool:
        """Whether the loss is far above what was reached, or not finite."""
        seen = self.smoothed_losses
        return not bool(seen[-1] - seen.min() <= DIVERGENCE_THRESHOLD * abs(self.baseline_losses.mean()))


class SweepEndedError(Exception):
    """A sweep has come to its end, within an epoch."""


class SweepStep:
    """Takes the place of a module's stepper: gives each step its rate, and looks at its loss.

    Args:
        inner: what goes the steps, at a constant rate.
        rate: that rate.
        rates: (s,), those to try.
        ended: whether to end before the last, after the losses that it is given.
    """

    def __init__(
        self, inner: OptimizerStep, base_lr: float, learning_rates: Array, should_stop: Callable[[Array], bool]
    ) -> None:
        self.inner, self.base_lr, self.learning_rates, self.should_stop = inner, base_lr, learning_rates, should_stop
        self.global_step, self.lr_scale, self.optimizer, self.grad_scaler = 0, 1.0, inner.optimizer, inner.grad_scaler
        self.gradient_hook: Callable[[], None] | None = None
        self.losses: list[float] = []

    def step(self, x: Tensor, y: Tensor, n: int, loss_fn: LossFn) -> Tensor:
        """Go one step at the next rate.

        Raises:
            EndedError: there is none behind it.
        """
        self.inner.lr_scale = self.learning_rates[len(self.losses)] / self.base_lr
        loss = self.inner.step(x, y, n, loss_fn)
        self.losses.append(float(loss))
        if len(self.losses) == len(self.learning_rates) or self.should_stop(np.array(self.losses)):
            raise SweepEndedError
        return loss


def exponential_moving_average(losses: Array) -> Array:
    """Return the moving average of `losses` (s,), each step's as if there had been as many before it as there were."""
    found, mean = np.empty(len(losses)), 0.0
    for step, loss in enumerate(losses):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found[step] = mean / (1 - SMOOTHING ** (step + 1))
    return found


def run_sweep(
    name: str, params: Model, dataset: Dataset, pipeline: Pipeline, seed: int, pretrained: PretrainedModel | None = None
) -> SweepResult:
    """Sweep over the rates with the batches, the optimiser and all else that model `name` is trained with.

    A constant schedule takes the place of its own, and one device that of several. Layers that are frozen in its first
    epoch are frozen.

    source: whose weights it begins with, as `params.training.pretrained` says.

    Raises:
        ParamsError: the network or the loss does not fit the data, or training does not fit the machine.
        TrainingError: the device's memory does not suffice.
    """
    tree = params.model_dump(mode="json")
    tree["training"] |= {"schedule": {"name": "constant"}, "devices": 1}
    params = Model.model_validate_json(json.dumps(tree))
    rates, epoch = np.geomspace(MIN_LR, MAX_LR, NUM_STEPS), 0
    with handle_out_of_memory():
        device = build_trainer(params.training, []).strategy.root_device
        made = build_setup(name, params, dataset, pipeline, pretrained, EpochSeed(seed, lambda: epoch), device=device)
        module = cast(SupervisedModule, made.module).to(device).train()
        thaw = GradualUnfreezing(params.training.pretrained)
        thaw.layers = made.transferred_layers
        thaw.freeze_for_epoch(0)

        def losses(rates: Array, ended: Callable[[Array], bool]) -> Array:
            nonlocal epoch
            torch.manual_seed(seed)
            inner = module.optim_step_factory(module.network, module.ema_network)
            module.optim_step = sweeping = SweepStep(inner, params.training.optimizer.lr, rates, ended)
            with suppress(SweepEndedError):
                for epoch in count():
                    for batches in made.train_loader:
                        module.training_step(batches, epoch)
            return np.array(sweeping.losses)

        def seen(losses: Array) -> SweepResult:
            return SweepResult(rates[: len(losses)], losses, resting[: len(losses)])

        resting = losses(np.zeros(NUM_STEPS), lambda _: False)
        return seen(losses(rates, lambda losses: seen(losses).has_diverged))


SKIP_BEGIN = 40
"""First steps of a sweep, whose rates move nothing."""

MIN_SIGNAL_TO_NOISE = 5.0
"""Deviations of the mean gain by which the loss must fall: over a sweep of noise alone it strays by two or three."""

MIN_RELATIVE_DECREASE = 0.01
"""Share of the loss at rest that it must be, however certain."""


def suggest_lr(name: str, sweep: SweepResult) -> float:
    """Return the suggested rate, of two digits.

    Raises:
        TrainingError: the loss of model `name` does not fall at any rate.
    """
    known = np.isfinite(sweep.losses)
    rates, gains, rest = sweep.learning_rates[known], sweep.loss_decreases[known], sweep.baseline_losses.mean()
    gain = exponential_moving_average(gains)
    noise = np.sqrt((exponential_moving_average(gains**2) - gain**2).clip(0) * (1 - SMOOTHING) / (1 + SMOOTHING))
    certain = gain > np.maximum(MIN_SIGNAL_TO_NOISE * noise, MIN_RELATIVE_DECREASE * abs(rest))
    certain[:SKIP_BEGIN] = False
    if not certain.any():
        raise TrainingError(
            f"the loss of {name} must fall at some rate from {sweep.learning_rates[0]:.0e} to {sweep.learning_rates[-1]:.2g}, but is"
            f" {rest:.4g} at the smallest, at its lowest {rest - gain.max(initial=0):.4g}; look at what `prepare` found"
            f" in the data, or choose another normalize, or another init or activation under models.{name}.network"
        )
    return float(f"{rates[np.where(certain, gain, 0).argmax()] / 10:.1e}")
