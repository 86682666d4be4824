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
from ...config.networks.gan import WGANGP, WGANClip
from ..adversarial import (
    AdversarialModule,
    GeneratorValidation,
    OptimizerStepFactory,
    clip_weights,
    discriminator_loss,
    freeze_parameters,
    generator_loss,
    gradient_penalty,
)
from ..precision import autocast_context
from .network import CycleganNetwork


class ImagePool:
    """Made images (b, c, y, x) -> as many, of which half are older ones once the pool is full.

    Attributes:
        images: that are kept, (at most s, c, y, x).
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: Tensor | None = None

    def __call__(self, generated: Tensor) -> Tensor:
        """Return what a critic is to see in the place of `made`, and keep some of that."""
        kept = generated[:0] if self.images is None else self.images.to(generated.device)
        room = self.size - len(kept)
        self.images = torch.cat([kept, generated[:room]]) if room else kept
        late = generated[room:]
        n = min(len(late), self.size)  # more cannot change places at once
        swapped = torch.nonzero(torch.rand(n, device=generated.device) < 0.5)[:, 0]
        places = torch.randperm(self.size, device=generated.device)[: len(swapped)]
        seen = generated.clone()
        seen[room + swapped] = self.images[places]
        self.images[places] = late[swapped]
        return seen


DISCRIMINATORS = ("critic_first", "critic_second")
"""By the class whose images they tell from made ones."""


class Module(AdversarialModule):
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
        optim_step_factories: tuple[OptimizerStepFactory, ...],
        validation: GeneratorValidation,
        pixel_scale: Tensor,
        *,
        steps_per_epoch: int,
        max_epochs: int,
        use_ema: bool = False,
        precision: str = "32",
    ) -> None:
        super().__init__(
            network,
            {"generator": network.generator, **dict(zip(DISCRIMINATORS, network.discriminators, strict=True))},
            optim_step_factories,
            validation,
            steps_per_epoch=steps_per_epoch,
            max_epochs=max_epochs,
            validate_every=params.validate_every,
            use_ema=use_ema,
            precision=precision,
        )
        self.network: CycleganNetwork = network
        self.params, self.pixel_scale = params, pixel_scale
        self.image_pools = [ImagePool(params.pool_size) for _ in DISCRIMINATORS]
        self.generated_images: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batches: Iterable[tuple[Tensor, Tensor, int]], _: int) -> None:
        """Go through the batches of an epoch: features of images of the first class and of the second, (b, c, y, x)."""
        judges: list[Tensor] = list(self.network.discriminators.parameters())
        for stepper in self.optim_steps.values():
            stepper.global_step = self.current_epoch * self.steps_per_epoch
        for first, second, n in batches:
            # both generators
            self.generated_images = []
            with freeze_parameters(judges):
                loss = self.optim_steps["generator"].step(first, second, n, self._generator_loss)
            self.epoch_averages["generator"].update(loss, len(first))

            # each critic
            for i, (name, real) in enumerate(zip(DISCRIMINATORS, (first, second), strict=True)):
                made = torch.cat([real[:0], *(pair[i] for pair in self.generated_images)])
                seen = self.image_pools[i](
                    made[len(made) - len(real) :]
                )  # before them: of an attempt that memory ended
                loss = self.optim_steps[name].step(
                    real, seen, n, partial(self._discriminator_loss, self.network.discriminators[i])
                )
                self.epoch_averages[name].update(loss, len(real))
            if isinstance(self.params.loss, WGANClip):
                clip_weights(judges, self.params.loss.clip_value)

    def _generator_loss(self, images_a: Tensor, images_b: Tensor) -> Tensor:
        """Return the generators' loss of as many images of each class, and keep what they made of them."""
        params, (into_first, into_second), critics = (
            self.params,
            self.network.generator.by_target,
            self.network.discriminators,
        )
        with autocast_context(self.device, self.precision):
            # into the other class
            in_second, in_first = into_second(images_a), into_first(images_b)
            told = [critic(made).float() for critic, made in zip(critics, (in_first, in_second), strict=True)]
            # and back
            back = self._l1_distance(into_first(in_second), images_a) + self._l1_distance(
                into_second(in_first), images_b
            )
            loss = sum((generator_loss(params.loss, each) for each in told), params.lambda_cycle * back)
            # into the class that they are of
            if params.lambda_identity:
                same = self._l1_distance(into_first(images_a), images_a) + self._l1_distance(
                    into_second(images_b), images_b
                )
                loss = loss + params.lambda_cycle * params.lambda_identity * same
        self.generated_images.append((in_first.detach().float(), in_second.detach().float()))
        return loss

    def _discriminator_loss(self, discriminator: nn.Module, real: Tensor, generated: Tensor) -> Tensor:
        """Return a critic's loss of real and made images (b, c, y, x)."""
        params = self.params
        with autocast_context(self.device, self.precision):
            told = discriminator(real).float(), discriminator(generated).float()
        loss = discriminator_loss(params.loss, *told)
        if isinstance(params.loss, WGANGP):
            slope = gradient_penalty(lambda seen: discriminator(seen).mean((1, 2, 3)), real, generated)
            loss = loss + params.loss.lambda_gp * slope
        return loss

    def _l1_distance(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the mean absolute difference of images, pixels being between -1 and 1."""
        return ((images.float() - targets).abs() * self.pixel_scale).mean()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the pools: of several devices those of the first."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["pools"] = [pool.images for pool in self.image_pools]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them up."""
        super().on_load_checkpoint(checkpoint)
        for pool, images in zip(self.image_pools, checkpoint["pools"], strict=True):
            pool.images = images
