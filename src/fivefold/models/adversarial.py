"""Networks that learn from each other, step by step: what their Lightning modules have in common.

Source: Goodfellow et al. 2014. What is made is looked at every few epochs, since no loss says how good it is.

What the two players of a contest make small.

Source: gan/params.py, class by class.
Shapes: b rows; what a critic tells of one may also be a map of its patches, (b, 1, y, x) in place of (b,).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config.networks.gan import (
    WGANGP,
    AdversarialLossConfig,
    HingeGAN,
    LeastSquaresGAN,
    NonSaturatingGAN,
    StandardGAN,
    WGANClip,
)
from ..errors import TrainingError
from .lightning import BaseModule, EpochAverage, OptimizerStep

OptimizerStepFactory = Callable[[nn.Module, nn.Module | None], OptimizerStep]
"""Called with a player and its moving average or None."""


class GeneratorValidation(Protocol):
    """Looks at what a generator makes."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the metrics that a call returns."""

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Return the numbers by name."""


class AdversarialModule(BaseModule):
    """Trains players against each other.

    Logs per epoch `train/<player>`, and what `looks` tells every so many epochs and after the last one; NaN between.
    Sums stay on the device until the epoch ends.

    Args:
        network: all players; its part `generator` is the one that is kept.
        players: by name, the generator first; of a contest of several critics each is one.
        steppers: of each player, in the same order.
        looks: at the generator that is kept.
        steps, epochs: batches of an epoch, and epochs, at most.
        every: epochs between two looks.
        average: whether to keep a moving average of the generator's weights, and judge that.
        precision: 32, bf16 or 16.
    """

    def __init__(
        self,
        network: nn.Module,
        networks: Mapping[str, nn.Module],
        optim_step_factories: tuple[OptimizerStepFactory, ...],
        validation: GeneratorValidation,
        *,
        steps_per_epoch: int,
        max_epochs: int,
        validate_every: int,
        use_ema: bool,
        precision: str,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.networks = dict(networks)
        self.ema_generator = deepcopy(self.networks["generator"]).requires_grad_(False) if use_ema else None
        self.optim_step_factories = optim_step_factories
        self.validation = validation
        self.steps_per_epoch, self.max_epochs, self.validate_every = steps_per_epoch, max_epochs, validate_every
        self.precision = precision
        self.epoch_averages = {player: EpochAverage() for player in networks}
        self.grad_scaler_states: dict[str, Any] = {}

    @property
    def eval_generator(self) -> nn.Module:
        """The generator as it is kept."""
        return self.networks["generator"] if self.ema_generator is None else self.ema_generator

    @property
    def eval_network(self) -> nn.Module:
        """All players, the generator as it is kept."""
        if self.ema_generator is None:
            return self.network
        network = deepcopy(self.network)
        network.get_submodule("generator").load_state_dict(self.ema_generator.state_dict())
        return network

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the players' optimisers, the generator's first; their learning rates are set at every step."""
        self.optim_steps = {
            name: stepper_of(player, self.ema_generator if name == "generator" else None)
            for (name, player), stepper_of in zip(self.networks.items(), self.optim_step_factories, strict=True)
        }
        for name, state in self.grad_scaler_states.items():
            self.optim_steps[name].grad_scaler.load_state_dict(state)
        return [stepper.optimizer for stepper in self.optim_steps.values()]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add how gradients of 16 bits are scaled."""
        checkpoint["scaler"] = {name: stepper.grad_scaler.state_dict() for name, stepper in self.optim_steps.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up; Lightning asks for the optimisers later."""
        self.grad_scaler_states = checkpoint["scaler"]

    def validation_step(self, *_: Any) -> None:
        """Nothing is to be told of single rows: `looks` has them all."""

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's losses, and what there is to say of the generator, if it is time to look.

        Raises:
            TrainingError: a loss is not finite; what to do about it is for the doctor to say.
        """
        for player in self.networks:
            loss, _, rows = self.epoch_averages[player].all_reduce(self)
            value = loss / rows if rows else 0.0
            if not math.isfinite(value):
                raise TrainingError(f"train/{player} must be finite, but is {value} in epoch {self.current_epoch}")
            self.log(f"train/{player}", value)
            self.epoch_averages[player] = EpochAverage()
        done = self.current_epoch + 1
        due = done % self.validate_every == 0 or done == self.max_epochs
        self.log_dict(
            self.validation(self.eval_generator) if due else dict.fromkeys(self.validation.metric_names, math.nan)
        )


@contextmanager
def freeze_parameters(parameters: list[Tensor]) -> Iterator[None]:
    """Have weights get no gradients: a critic's are of no use while a generator learns from it."""
    for weight in parameters:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in parameters:
            weight.requires_grad_(True)


@torch.no_grad()
def clip_weights(parameters: list[Tensor], clip_value: float) -> None:
    """Bring every weight within -most to most."""
    torch._foreach_clamp_min_(parameters, -clip_value)
    torch._foreach_clamp_max_(parameters, clip_value)


DiscriminatorFn = Callable[[Tensor], Tensor]
"""A critic of records (b, ...), their classes being known -> (b,)."""


def discriminator_loss(config: AdversarialLossConfig, real: Tensor, generated: Tensor) -> Tensor:
    """Return the critic's mean loss, of what it tells of real records (b,) and of made ones (b,)."""
    match config:
        case StandardGAN(label_smoothing=short) | NonSaturatingGAN(label_smoothing=short):
            return (functional.softplus(real) - (1 - short) * real).mean() + functional.softplus(generated).mean()
        case LeastSquaresGAN(label_smoothing=short):
            return ((real - (1 - short)).square().mean() + generated.square().mean()) / 2
        case HingeGAN():
            return functional.relu(1 - real).mean() + functional.relu(1 + generated).mean()
        case WGANClip() | WGANGP():
            return generated.mean() - real.mean()


def generator_loss(config: AdversarialLossConfig, generated: Tensor) -> Tensor:
    """Return the generator's mean loss, of what the critic tells of its records (b,)."""
    match config:
        case StandardGAN():
            return -functional.softplus(generated).mean()
        case NonSaturatingGAN():
            return functional.softplus(-generated).mean()
        case LeastSquaresGAN():
            return (generated - 1).square().mean() / 2
        case HingeGAN() | WGANClip() | WGANGP():
            return -generated.mean()


def gradient_penalty(discriminator: DiscriminatorFn, real: Tensor, generated: Tensor) -> Tensor:
    """Return the mean of (slope - 1)^2, the slope being taken between each real record and a made one, (b, ...)."""
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    return (
        (_squared_gradient_norms(discriminator, torch.lerp(real, generated, share)).clamp_min(1e-12).sqrt() - 1)
        .square()
        .mean()
    )


def r1_penalty(discriminator: DiscriminatorFn, real: Tensor) -> Tensor:
    """Return half of the mean squared slope at real records (b, ...)."""
    return _squared_gradient_norms(discriminator, real).mean() / 2


def _squared_gradient_norms(discriminator: DiscriminatorFn, x: Tensor) -> Tensor:
    """Return the squared norm (b,) of what a critic tells of each record, by the record."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)
