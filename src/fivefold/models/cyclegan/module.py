"""Two generators and two critics that learn from each other, step by step.

Source: Zhu et al. 2017: the generators go first; each critic then sees what they made before they learnt, some of it in
earlier steps.
Shapes: b images of each class, c channels, y x x pixels.

Images of earlier steps, which keep a critic from forgetting what generators used to make.

Source: Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4. Images of one batch go to different places.
Shapes: b images, s places of the pool.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...config.networks.cyclegan import Cyclegan
from ...config.networks.gan import Clipped, Penalised
from ..adversarial import Adversarial, Looks, StepperOf, clip, critic_loss, generator_loss, gradient_penalty, still
from ..precision import mixed
from .network import CycleganNetwork


class Pool:
    """Made images (b, c, y, x) -> as many, of which half are older ones once the pool is full.

    Attributes:
        images: that are kept, (at most s, c, y, x).
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: Tensor | None = None

    def __call__(self, made: Tensor) -> Tensor:
        """Return what a critic is to see in the place of `made`, and keep some of that."""
        kept = made[:0] if self.images is None else self.images.to(made.device)
        room = self.size - len(kept)
        self.images = torch.cat([kept, made[:room]]) if room else kept
        late = made[room:]
        n = min(len(late), self.size)  # more cannot change places at once
        swapped = torch.nonzero(torch.rand(n, device=made.device) < 0.5)[:, 0]
        places = torch.randperm(self.size, device=made.device)[: len(swapped)]
        seen = made.clone()
        seen[room + swapped] = self.images[places]
        self.images[places] = late[swapped]
        return seen


CRITICS = ("critic_first", "critic_second")
"""By the class whose images they tell from made ones."""


class Module(Adversarial):
    """Trains two generators as one player, and their critics, `train/generator`, `train/critic_first` and `_second`.

    Args:
        params: what they are after.
        unit: what a feature's unit is, pixels being between -1 and 1; broadcasts to (b, c, y, x).
        others: those of `Adversarial`.
    """

    def __init__(
        self,
        network: CycleganNetwork,
        params: Cyclegan,
        steppers: tuple[StepperOf, ...],
        looks: Looks,
        unit: Tensor,
        *,
        steps: int,
        epochs: int,
        average: bool = False,
        precision: str = "32",
    ) -> None:
        super().__init__(
            network,
            {"generator": network.generator, **dict(zip(CRITICS, network.critics, strict=True))},
            steppers,
            looks,
            steps=steps,
            epochs=epochs,
            every=params.evaluate_every,
            average=average,
            precision=precision,
        )
        self.network: CycleganNetwork = network
        self.params, self.unit = params, unit
        self.pools = [Pool(params.pool) for _ in CRITICS]
        self.made: list[tuple[Tensor, Tensor]] = []

    def training_step(self, epoch: Iterable[tuple[Tensor, Tensor, int]], _: int) -> None:
        """Go through the batches of an epoch: features of images of the first class and of the second, (b, c, y, x)."""
        judges: list[Tensor] = list(self.network.critics.parameters())
        for stepper in self.steppers.values():
            stepper.number = self.current_epoch * self.steps
        for first, second, n in epoch:
            # both generators
            self.made = []
            with still(judges):
                loss = self.steppers["generator"].step(first, second, n, self._of_generators)
            self.sums["generator"].add(loss, len(first))

            # each critic
            for i, (name, real) in enumerate(zip(CRITICS, (first, second), strict=True)):
                made = torch.cat([real[:0], *(pair[i] for pair in self.made)])
                seen = self.pools[i](made[len(made) - len(real) :])  # before them: of an attempt that memory ended
                loss = self.steppers[name].step(real, seen, n, partial(self._of_critic, self.network.critics[i]))
                self.sums[name].add(loss, len(real))
            if isinstance(self.params.loss, Clipped):
                clip(judges, self.params.loss.clip)

    def _of_generators(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the generators' loss of as many images of each class, and keep what they made of them."""
        params, (into_first, into_second), critics = self.params, self.network.generator.into, self.network.critics
        with mixed(self.device, self.precision):
            # into the other class
            in_second, in_first = into_second(first), into_first(second)
            told = [critic(made).float() for critic, made in zip(critics, (in_first, in_second), strict=True)]
            # and back
            back = self._apart(into_first(in_second), first) + self._apart(into_second(in_first), second)
            loss = sum((generator_loss(params.loss, each) for each in told), params.cycle * back)
            # into the class that they are of
            if params.identity:
                same = self._apart(into_first(first), first) + self._apart(into_second(second), second)
                loss = loss + params.cycle * params.identity * same
        self.made.append((in_first.detach().float(), in_second.detach().float()))
        return loss

    def _of_critic(self, critic: nn.Module, real: Tensor, made: Tensor) -> Tensor:
        """Return a critic's loss of real and made images (b, c, y, x)."""
        params = self.params
        with mixed(self.device, self.precision):
            told = critic(real).float(), critic(made).float()
        loss = critic_loss(params.loss, *told)
        if isinstance(params.loss, Penalised):
            slope = gradient_penalty(lambda seen: critic(seen).mean((1, 2, 3)), real, made)
            loss = loss + params.loss.penalty * slope
        return loss

    def _apart(self, told: Tensor, truth: Tensor) -> Tensor:
        """Return the mean absolute difference of images, pixels being between -1 and 1."""
        return ((told.float() - truth).abs() * self.unit).mean()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the pools: of several devices those of the first."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["pools"] = [pool.images for pool in self.pools]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them up."""
        super().on_load_checkpoint(checkpoint)
        for pool, images in zip(self.pools, checkpoint["pools"], strict=True):
            pool.images = images
