"""Two players that learn from each other, step by step.

Source: Goodfellow et al. 2014, algorithm 1: the critic goes first, so many steps for one of the generator.
Shapes: b rows, l numbers of noise, k classes (0: none are asked for), r what a record is.
"""

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import TrainingError
from ..precision import mixed
from ..supervised import Stepper
from ..trained import Sums, Trained
from .diffaugment import DiffAugment
from .looks import LOOKED, Looks
from .losses import critic_loss, generator_loss, gradient_penalty, r1
from .network import GanNetwork
from .params import Clipped, Gan, Penalised

PLAYERS = ("generator", "critic")


class Module(Trained):
    """Trains a generator and its critic.

    Logs per epoch `train/critic` and `train/generator`, and `LOOKED` every `evaluate_every` epochs and after the last
    one; NaN between. Sums stay on the device until the epoch ends.

    Args:
        network: both players.
        params: what they are after.
        steppers: called with a player and its moving average or None: that of the generator, that of the critic.
        looks: at the generator that is kept.
        steps, epochs: batches of an epoch, and epochs, at most.
        average: whether to keep a moving average of the generator's weights, and judge that.
        precision: 32, bf16 or 16.
    """

    def __init__(
        self,
        network: GanNetwork,
        params: Gan,
        steppers: tuple[Callable[[nn.Module, nn.Module | None], Stepper], ...],
        looks: Looks,
        *,
        steps: int,
        epochs: int,
        average: bool = False,
        precision: str = "32",
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.params = network, params
        self.averaged = deepcopy(network.generator).requires_grad_(False) if average else None
        self.steppers_of = steppers
        self.looks = looks
        self.steps, self.epochs = steps, epochs
        self.precision = precision
        self.augment = DiffAugment(params.augment) if params.augment else None
        self.sums = {player: Sums() for player in PLAYERS}
        self.scaled: dict[str, Any] = {}

    @property
    def kept(self) -> nn.Module:
        """The generator as it is kept."""
        return self.network.generator if self.averaged is None else self.averaged

    @property
    def judged(self) -> nn.Module:
        """Both players, the generator as it is kept."""
        if self.averaged is None:
            return self.network
        network = deepcopy(self.network)
        network.generator.load_state_dict(self.averaged.state_dict())
        return network

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return both optimisers, the generator's first; their learning rates are set at every step."""
        by_generator, by_critic = self.steppers_of
        self.by_generator = by_generator(self.network.generator, self.averaged)
        self.by_critic = by_critic(self.network.critic, None)
        for player, stepper in zip(PLAYERS, (self.by_generator, self.by_critic), strict=True):
            if self.scaled:
                stepper.scaler.load_state_dict(self.scaled[player])
        return [self.by_generator.optimizer, self.by_critic.optimizer]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add how gradients of 16 bits are scaled."""
        scalers = (self.by_generator.scaler, self.by_critic.scaler)
        checkpoint["scaler"] = {player: s.state_dict() for player, s in zip(PLAYERS, scalers, strict=True)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take it up; Lightning asks for the optimisers later."""
        self.scaled = checkpoint["scaler"]

    def training_step(self, epoch: Iterable[tuple[Tensor, Tensor, int]], _: int) -> None:
        """Go through the batches of an epoch: features (b, *r), and classes (b, k)."""
        judges: list[Tensor] = list(self.network.critic.parameters())
        self.by_critic.number = self.current_epoch * self.steps
        for x, c, n in epoch:
            # the critic
            loss = self.by_critic.step(x, c, n, self._of_critic)
            self.sums["critic"].add(loss, len(x))
            if isinstance(self.params.loss, Clipped):
                _clip(judges, self.params.loss.clip)

            # the generator
            if self.by_critic.number % self.params.n_critic:
                continue
            self.by_generator.number = self.by_critic.number - 1
            _learn(judges, False)
            loss = self.by_generator.step(x, c, n, self._of_generator)
            _learn(judges, True)
            self.sums["generator"].add(loss, len(x))

    def _of_critic(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the critic's loss of real records x (b, *r) of classes c (b, k), and as many made ones."""
        params, critic = self.params, self.network.critic
        with mixed(self.device, self.precision):
            with torch.no_grad():
                made = self.network.generator(self._noise(c))
            real, made, c = self._seen(x), self._seen(made), self._packed(c)
            told = critic(real, c).float(), critic(made, c).float()
        loss = critic_loss(params.loss, *told)
        if isinstance(params.loss, Penalised):
            loss = loss + params.loss.penalty * gradient_penalty(lambda seen: critic(seen, c), real, made)
        if params.r1 and self.by_critic.number % params.r1_every == 0:
            loss = loss + params.r1 * params.r1_every * r1(lambda seen: critic(seen, c), real)
        return loss

    def _of_generator(self, _: Tensor, c: Tensor) -> Tensor:
        """Return the generator's loss of made records of classes c (b, k)."""
        with mixed(self.device, self.precision):
            told = self.network.critic(self._seen(self.network.generator(self._noise(c))), self._packed(c))
        return generator_loss(self.params.loss, told.float())

    def _noise(self, c: Tensor) -> Tensor:
        """Return what the generator makes records of classes c (b, k) of, (b, l + k)."""
        drawn = torch.randn(len(c), self.network.latent, device=c.device)
        return torch.cat([drawn, c], dim=1) if self.network.classes else drawn

    def _seen(self, x: Tensor) -> Tensor:
        """Return records as the critic sees them."""
        if self.params.instance_noise:
            left = max(0.0, 1 - self.by_critic.number / (self.steps * self.epochs))
            x = x + torch.randn_like(x) * (self.params.instance_noise * left)
        if self.augment is not None:
            x = self.augment(x)
        return self._packed(x)

    def _packed(self, x: Tensor) -> Tensor:
        """Return records (b, d, ...) as (b / pac, pac d, ...)."""
        pac = self.params.pac
        return x.reshape(len(x) // pac, pac * x.shape[1], *x.shape[2:]) if pac > 1 else x

    def validation_step(self, *_: Any) -> None:
        """Nothing is to be told of single rows: `looks` has them all."""

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's losses, and how like real records the generator's are, if it is time to look.

        Raises:
            TrainingError: a loss is not finite; what to do about it is for the doctor to say.
        """
        for player in PLAYERS:
            loss, _, rows = self.sums[player].over(self)
            value = loss / rows if rows else 0.0
            if not math.isfinite(value):
                raise TrainingError(f"train/{player} must be finite, but is {value} in epoch {self.current_epoch}")
            self.log(f"train/{player}", value)
            self.sums[player] = Sums()
        done = self.current_epoch + 1
        due = done % self.params.evaluate_every == 0 or done == self.epochs
        self.log_dict(self.looks(self.kept) if due else dict.fromkeys(LOOKED, math.nan))


def _learn(weights: list[Tensor], learn: bool) -> None:
    """Have weights get gradients, or none: the critic's are of no use while the generator learns from it."""
    for weight in weights:
        weight.requires_grad_(learn)


@torch.no_grad()
def _clip(weights: list[Tensor], most: float) -> None:
    """Bring every weight within -most to most."""
    torch._foreach_clamp_min_(weights, -most)
    torch._foreach_clamp_max_(weights, most)
