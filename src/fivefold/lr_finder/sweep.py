"""Learning rate range test: train with an increasing learning rate and suggest one.

Source: Smith 2017, Cyclical learning rates for training neural networks, section 3.3.
Small batches differ in difficulty by more than one step changes the loss. So the loss of each batch is compared with a
baseline: the loss of the same batch at learning rate 0, with the same rows, dropout masks and noise.

The suggestion is a tenth of the learning rate at which the smoothed loss is lowest.

Source: Howard & Gugger 2020, Deep Learning for Coders with fastai and PyTorch, chapter 5.
At the minimum, a step undoes as much as it gains, and rates below a tenth of it only take longer. The steepest descent,
the other common rule, depends on the noise of single batches.
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
"""Learning rates of the first and the last step, and the number of steps: 20 per decade."""

DIVERGENCE_THRESHOLD = 1.0
"""The sweep ends when the smoothed loss exceeds its minimum by this multiple of the mean baseline loss."""

SMOOTHING = 0.9
"""Decay per step of the moving average of the loss."""

SKIP_BEGIN = 40
"""First steps of a sweep, whose learning rates are too small to have an effect."""

MIN_SIGNAL_TO_NOISE = 5.0
"""Standard errors by which the loss must decrease: noise alone reaches two or three."""

MIN_RELATIVE_DECREASE = 0.01
"""Fraction of the mean baseline loss by which the loss must decrease at least."""


class SweepResult(NamedTuple):
    """Result of a sweep.

    learning_rates, losses: (s,), of each step; the loss is that of its batch before the update.
    baseline_losses: (s,), the loss of the same batch with the initial weights.
    """

    learning_rates: Array
    losses: Array
    baseline_losses: Array

    @property
    def loss_decreases(self) -> Array:
        """The decrease of the loss of each batch from its baseline, (s,)."""
        return self.baseline_losses - self.losses

    @property
    def smoothed_losses(self) -> Array:
        """The smoothed loss, corrected for differences between batches, (s,)."""
        return np.asarray(self.baseline_losses.mean() - exponential_moving_average(self.loss_decreases))

    @property
    def has_diverged(self) -> bool:
        """Whether the loss is far above its minimum, or not finite."""
        smoothed = self.smoothed_losses
        return not bool(smoothed[-1] - smoothed.min() <= DIVERGENCE_THRESHOLD * abs(self.baseline_losses.mean()))


class SweepEndedError(Exception):
    """Raised within an epoch to end a sweep."""


class SweepStep:
    """Optimizer step that sets the learning rate of each step and records its loss.

    Args:
        inner: optimizer step with a constant learning rate.
        base_lr: that learning rate.
        learning_rates: (s,), to try, one per step.
        should_stop: whether to end early, given the losses so far.
    """

    def __init__(
        self, inner: OptimizerStep, base_lr: float, learning_rates: Array, should_stop: Callable[[Array], bool]
    ) -> None:
        self.inner, self.base_lr, self.learning_rates, self.should_stop = inner, base_lr, learning_rates, should_stop
        self.global_step, self.lr_scale, self.optimizer, self.grad_scaler = 0, 1.0, inner.optimizer, inner.grad_scaler
        self.gradient_hook: Callable[[], None] | None = None
        self.losses: list[float] = []

    def step(self, x: Tensor, y: Tensor, n: int, loss_fn: LossFn) -> Tensor:
        """Take one step at the next learning rate and return its loss.

        Raises:
            SweepEndedError: it was the last learning rate, or `should_stop` returned true.
        """
        self.inner.lr_scale = self.learning_rates[len(self.losses)] / self.base_lr
        loss = self.inner.step(x, y, n, loss_fn)
        self.losses.append(float(loss))
        if len(self.losses) == len(self.learning_rates) or self.should_stop(np.array(self.losses)):
            raise SweepEndedError
        return loss


def exponential_moving_average(losses: Array) -> Array:
    """Return the bias-corrected exponential moving average of `losses` (s,)."""
    averages, mean = np.empty(len(losses)), 0.0
    for step, loss in enumerate(losses):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        averages[step] = mean / (1 - SMOOTHING ** (step + 1))
    return averages


def run_sweep(
    name: str, params: Model, dataset: Dataset, pipeline: Pipeline, seed: int, pretrained: PretrainedModel | None = None
) -> SweepResult:
    """Run a sweep with the batches, the optimizer and all other training settings of model `name`.

    The schedule is constant and a single device is used. Layers that are frozen in the first epoch stay frozen.

    Args:
        name: of the model.
        params: its block of params.yaml.
        dataset: its prepared dataset.
        pipeline: its fitted preprocessing.
        seed: of weights, batches and dropout.
        pretrained: initial weights, as configured in `params.training.pretrained`.

    Raises:
        ParamsError: the network or the loss does not fit the data, or training does not fit the machine.
        TrainingError: the device runs out of memory.
    """
    tree = params.model_dump(mode="json")
    tree["training"] |= {"schedule": {"name": "constant"}, "devices": 1}
    params = Model.model_validate_json(json.dumps(tree))
    learning_rates, epoch = np.geomspace(MIN_LR, MAX_LR, NUM_STEPS), 0
    with handle_out_of_memory():
        device = build_trainer(params.training, []).strategy.root_device
        setup = build_setup(name, params, dataset, pipeline, pretrained, EpochSeed(seed, lambda: epoch), device=device)
        module = cast(SupervisedModule, setup.module).to(device).train()
        unfreezing = GradualUnfreezing(params.training.pretrained)
        unfreezing.layers = setup.transferred_layers
        unfreezing.freeze_for_epoch(0)

        def train(learning_rates: Array, should_stop: Callable[[Array], bool]) -> Array:
            nonlocal epoch
            torch.manual_seed(seed)
            inner = module.optim_step_factory(module.network, module.ema_network)
            module.optim_step = sweep_step = SweepStep(inner, params.training.optimizer.lr, learning_rates, should_stop)
            with suppress(SweepEndedError):
                for epoch in count():
                    for batches in setup.train_loader:
                        module.training_step(batches, epoch)
            return np.array(sweep_step.losses)

        def result(losses: Array) -> SweepResult:
            return SweepResult(learning_rates[: len(losses)], losses, baseline[: len(losses)])

        baseline = train(np.zeros(NUM_STEPS), lambda _: False)
        return result(train(learning_rates, lambda losses: result(losses).has_diverged))


def suggest_lr(name: str, sweep: SweepResult) -> float:
    """Return the suggested learning rate, rounded to two digits.

    Raises:
        TrainingError: the loss of model `name` does not decrease at any learning rate.
    """
    finite = np.isfinite(sweep.losses)
    learning_rates, decreases = sweep.learning_rates[finite], sweep.loss_decreases[finite]
    baseline = sweep.baseline_losses.mean()
    mean_decrease = exponential_moving_average(decreases)
    standard_error = np.sqrt(
        (exponential_moving_average(decreases**2) - mean_decrease**2).clip(0) * (1 - SMOOTHING) / (1 + SMOOTHING)
    )
    significant = mean_decrease > np.maximum(
        MIN_SIGNAL_TO_NOISE * standard_error, MIN_RELATIVE_DECREASE * abs(baseline)
    )
    significant[:SKIP_BEGIN] = False
    if not significant.any():
        raise TrainingError(
            f"the loss of {name} must decrease at a learning rate from {sweep.learning_rates[0]:.0e} to"
            f" {sweep.learning_rates[-1]:.2g}, but is {baseline:.4g} at the smallest and at best"
            f" {baseline - mean_decrease.max(initial=0):.4g}; check the warnings of `prepare`, or choose another"
            f" normalize, or another init or activation under models.{name}.network"
        )
    return float(f"{learning_rates[np.where(significant, mean_decrease, 0).argmax()] / 10:.1e}")
