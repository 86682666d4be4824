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

from ..config.networks.gan import Clipped, Contest, Hinge, LeastSquares, Minimax, NonSaturating, Penalised
from ..errors import TrainingError
from .lightning import Stepper, Sums, Trained

StepperOf = Callable[[nn.Module, nn.Module | None], Stepper]
"""Called with a player and its moving average or None."""


class Looks(Protocol):
    """Looks at what a generator makes."""

    names: tuple[str, ...]
    """Of the numbers that are told."""

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Return the numbers by name."""


class Adversarial(Trained):
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
        players: Mapping[str, nn.Module],
        steppers: tuple[StepperOf, ...],
        looks: Looks,
        *,
        steps: int,
        epochs: int,
        every: int,
        average: bool,
        precision: str,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.players = dict(players)
        self.averaged = deepcopy(self.players["generator"]).requires_grad_(False) if average else None
        self.steppers_of = steppers
        self.looks = looks
        self.steps, self.epochs, self.every = steps, epochs, every
        self.precision = precision
        self.sums = {player: Sums() for player in players}
        self.scaled: dict[str, Any] = {}

    @property
    def kept(self) -> nn.Module:
        """The generator as it is kept."""
        return self.players["generator"] if self.averaged is None else self.averaged

    @property
    def judged(self) -> nn.Module:
        """All players, the generator as it is kept."""
        if self.averaged is None:
            return self.network
        network = deepcopy(self.network)
        network.get_submodule("generator").load_state_dict(self.averaged.state_dict())
        return network

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the players' optimisers, the generator's first; their learning rates are set at every step."""
        self.steppers = {
            name: stepper_of(player, self.averaged if name == "generator" else None)
            for (name, player), stepper_of in zip(self.players.items(), self.steppers_of, strict=True)
        }
        for name, state in self.scaled.items():
            self.steppers[name].scaler.load_state_dict(state)
        return [stepper.optimizer for stepper in self.steppers.values()]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add how gradients of 16 bits are scaled."""
        checkpoint["scaler"] = {name: stepper.scaler.state_dict() for name, stepper in self.steppers.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up; Lightning asks for the optimisers later."""
        self.scaled = checkpoint["scaler"]

    def validation_step(self, *_: Any) -> None:
        """Nothing is to be told of single rows: `looks` has them all."""

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's losses, and what there is to say of the generator, if it is time to look.

        Raises:
            TrainingError: a loss is not finite; what to do about it is for the doctor to say.
        """
        for player in self.players:
            loss, _, rows = self.sums[player].over(self)
            value = loss / rows if rows else 0.0
            if not math.isfinite(value):
                raise TrainingError(f"train/{player} must be finite, but is {value} in epoch {self.current_epoch}")
            self.log(f"train/{player}", value)
            self.sums[player] = Sums()
        done = self.current_epoch + 1
        due = done % self.every == 0 or done == self.epochs
        self.log_dict(self.looks(self.kept) if due else dict.fromkeys(self.looks.names, math.nan))


@contextmanager
def still(weights: list[Tensor]) -> Iterator[None]:
    """Have weights get no gradients: a critic's are of no use while a generator learns from it."""
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


@torch.no_grad()
def clip(weights: list[Tensor], most: float) -> None:
    """Bring every weight within -most to most."""
    torch._foreach_clamp_min_(weights, -most)
    torch._foreach_clamp_max_(weights, most)


Tell = Callable[[Tensor], Tensor]
"""A critic of records (b, ...), their classes being known -> (b,)."""


def critic_loss(loss: Contest, real: Tensor, made: Tensor) -> Tensor:
    """Return the critic's mean loss, of what it tells of real records (b,) and of made ones (b,)."""
    match loss:
        case Minimax(smoothing=short) | NonSaturating(smoothing=short):
            return (functional.softplus(real) - (1 - short) * real).mean() + functional.softplus(made).mean()
        case LeastSquares(smoothing=short):
            return ((real - (1 - short)).square().mean() + made.square().mean()) / 2
        case Hinge():
            return functional.relu(1 - real).mean() + functional.relu(1 + made).mean()
        case Clipped() | Penalised():
            return made.mean() - real.mean()


def generator_loss(loss: Contest, made: Tensor) -> Tensor:
    """Return the generator's mean loss, of what the critic tells of its records (b,)."""
    match loss:
        case Minimax():
            return -functional.softplus(made).mean()
        case NonSaturating():
            return functional.softplus(-made).mean()
        case LeastSquares():
            return (made - 1).square().mean() / 2
        case Hinge() | Clipped() | Penalised():
            return -made.mean()


def gradient_penalty(tell: Tell, real: Tensor, made: Tensor) -> Tensor:
    """Return the mean of (slope - 1)^2, the slope being taken between each real record and a made one, (b, ...)."""
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    return (_slopes(tell, torch.lerp(real, made, share)).clamp_min(1e-12).sqrt() - 1).square().mean()


def r1(tell: Tell, real: Tensor) -> Tensor:
    """Return half of the mean squared slope at real records (b, ...)."""
    return _slopes(tell, real).mean() / 2


def _slopes(tell: Tell, x: Tensor) -> Tensor:
    """Return the squared norm (b,) of what a critic tells of each record, by the record."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(tell(x).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)
