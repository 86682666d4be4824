"""Adversarial training: the base Lightning module and the losses of generator and discriminator.

Source: Goodfellow et al. 2014; the other losses are cited at their classes in `config.networks.gan`.
Shapes: b samples; a discriminator's logits are (b,), or a map over patches (b, 1, y, x).
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
"""Called with a network and its exponential moving average (EMA), or None."""


class GeneratorValidation(Protocol):
    """Computes validation metrics of a generator."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the metrics that a call returns."""

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Return the metrics by name."""


class AdversarialModule(BaseModule):
    """Trains a generator and its discriminators with manual optimization.

    Logs `train/<name>`, the mean loss of each network, per epoch, and the metrics of `validation` every
    `validate_every` epochs and after the last one; NaN in between. Sums stay on the device until the epoch ends.

    Args:
        network: generator and discriminators; its submodule `generator` is the one that is saved.
        networks: the same by name, the generator first; CycleGAN has one entry for each discriminator.
        optim_step_factories: one for each network, in the same order.
        validation: computes the validation metrics of the evaluated generator.
        steps_per_epoch: batches in an epoch.
        max_epochs: maximum number of epochs.
        validate_every: epochs between two validations.
        use_ema: whether to keep an exponential moving average of the generator's weights and evaluate that.
        precision: "32", "bf16" or "16".
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
        self.epoch_averages = {name: EpochAverage() for name in networks}
        self.grad_scaler_states: dict[str, Any] = {}

    @property
    def eval_generator(self) -> nn.Module:
        """The generator that is validated and saved: the moving average if there is one."""
        return self.networks["generator"] if self.ema_generator is None else self.ema_generator

    @property
    def eval_network(self) -> nn.Module:
        """All networks, with `eval_generator` as generator."""
        if self.ema_generator is None:
            return self.network
        network = deepcopy(self.network)
        network.get_submodule("generator").load_state_dict(self.ema_generator.state_dict())
        return network

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the optimizers, the generator's first; their learning rates are set at every step."""
        self.optim_steps = {
            name: factory(network, self.ema_generator if name == "generator" else None)
            for (name, network), factory in zip(self.networks.items(), self.optim_step_factories, strict=True)
        }
        for name, state in self.grad_scaler_states.items():
            self.optim_steps[name].grad_scaler.load_state_dict(state)
        return [step.optimizer for step in self.optim_steps.values()]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state of the gradient scalers."""
        checkpoint["scaler"] = {name: step.grad_scaler.state_dict() for name, step in self.optim_steps.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the state of the gradient scalers until Lightning configures the optimizers."""
        self.grad_scaler_states = checkpoint["scaler"]

    def validation_step(self, *_: Any) -> None:
        """Do nothing: `validation` evaluates the whole validation split at once."""

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's losses and, if validation is due, its metrics.

        Raises:
            TrainingError: a loss is not finite; the training diagnostics add the remedy.
        """
        for name in self.networks:
            loss, _, n_rows = self.epoch_averages[name].all_reduce(self)
            value = loss / n_rows if n_rows else 0.0
            if not math.isfinite(value):
                raise TrainingError(f"train/{name} must be finite, but is {value} in epoch {self.current_epoch}")
            self.log(f"train/{name}", value)
            self.epoch_averages[name] = EpochAverage()
        epochs_done = self.current_epoch + 1
        is_due = epochs_done % self.validate_every == 0 or epochs_done == self.max_epochs
        self.log_dict(
            self.validation(self.eval_generator) if is_due else dict.fromkeys(self.validation.metric_names, math.nan)
        )


@contextmanager
def freeze_parameters(parameters: list[Tensor]) -> Iterator[None]:
    """Disable gradients of `parameters` within the context: the discriminators' are not needed in a generator step."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@torch.no_grad()
def clip_weights(parameters: list[Tensor], clip_value: float) -> None:
    """Clamp every weight to [-clip_value, clip_value] in place."""
    torch._foreach_clamp_min_(parameters, -clip_value)
    torch._foreach_clamp_max_(parameters, clip_value)


DiscriminatorFn = Callable[[Tensor], Tensor]
"""Samples (b, ...) of known classes -> logits (b,)."""


def discriminator_loss(config: AdversarialLossConfig, real: Tensor, generated: Tensor) -> Tensor:
    """Return the mean discriminator loss, given its logits of real and of generated samples, each (b,)."""
    match config:
        case StandardGAN(label_smoothing=smoothing) | NonSaturatingGAN(label_smoothing=smoothing):
            return (functional.softplus(real) - (1 - smoothing) * real).mean() + functional.softplus(generated).mean()
        case LeastSquaresGAN(label_smoothing=smoothing):
            return ((real - (1 - smoothing)).square().mean() + generated.square().mean()) / 2
        case HingeGAN():
            return functional.relu(1 - real).mean() + functional.relu(1 + generated).mean()
        case WGANClip() | WGANGP():
            return generated.mean() - real.mean()


def generator_loss(config: AdversarialLossConfig, generated: Tensor) -> Tensor:
    """Return the mean generator loss, given the discriminator's logits of generated samples (b,)."""
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
    """Return the mean of (gradient norm - 1)^2 at random points between pairs of real and generated samples (b, ...).

    Source: Gulrajani et al. 2017.
    """
    weight = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    points = torch.lerp(real, generated, weight)
    norms = _squared_gradient_norms(discriminator, points).clamp_min(1e-12).sqrt()
    return (norms - 1).square().mean()


def r1_penalty(discriminator: DiscriminatorFn, real: Tensor) -> Tensor:
    """Return half of the mean squared gradient norm at real samples (b, ...).

    Source: Mescheder, Geiger & Nowozin 2018.
    """
    return _squared_gradient_norms(discriminator, real).mean() / 2


def _squared_gradient_norms(discriminator: DiscriminatorFn, x: Tensor) -> Tensor:
    """Return the squared norm (b,) of the gradient of each logit with respect to its sample."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)
