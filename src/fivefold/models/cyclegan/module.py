"""Adversarial training of two image translators and their discriminators, and the pool of generated images.

Source: Zhu et al. 2017: the generators go first; each discriminator is then trained on the images that they generated
before their step, mixed with images of earlier steps. Pool: Shrivastava et al. 2017, section 2.3; Zhu et al. 2017,
section 4; images of one batch are stored at different positions.
Shapes: b images of each class, c channels, y x x pixels, s size of the pool.
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
    """Generated images (b, c, y, x) -> as many, half of them from earlier steps once the pool is full.

    It keeps a discriminator from forgetting what the generators produced earlier.

    Args:
        size: s, the number of images that it stores; 0 disables it.

    Attributes:
        images: the stored images, (at most s, c, y, x); None before the first call.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: Tensor | None = None

    def __call__(self, generated: Tensor) -> Tensor:
        """Return a batch for the discriminator: `generated`, some of its images swapped with stored ones."""
        stored = generated[:0] if self.images is None else self.images.to(generated.device)
        n_free = self.size - len(stored)
        self.images = torch.cat([stored, generated[:n_free]]) if n_free else stored
        rest = generated[n_free:]
        n = min(len(rest), self.size)  # each position is swapped at most once per call
        swapped = torch.nonzero(torch.rand(n, device=generated.device) < 0.5)[:, 0]
        positions = torch.randperm(self.size, device=generated.device)[: len(swapped)]
        batch = generated.clone()
        batch[n_free + swapped] = self.images[positions]
        self.images[positions] = rest[swapped]
        return batch


DISCRIMINATORS = ("discriminator_a", "discriminator_b")
"""Names of the discriminators of the first class (a) and of the second (b)."""


class Module(AdversarialModule):
    """Trains both generators with a single optimizer, and their discriminators.

    Logs `train/generator`, `train/discriminator_a` and `train/discriminator_b`.

    Args:
        network: all four networks.
        params: losses, their weights and schedule.
        pixel_scale: size of a unit of the features in pixels scaled to [-1, 1]; broadcasts to (b, c, y, x).
        optim_step_factories, validation, steps_per_epoch, max_epochs, use_ema, precision: see `AdversarialModule`.
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
        """Train on the batches of an epoch: features of images of the first and the second class (b, c, y, x)."""
        weights: list[Tensor] = list(self.network.discriminators.parameters())
        for optim_step in self.optim_steps.values():
            optim_step.global_step = self.current_epoch * self.steps_per_epoch
        for images_a, images_b, n in batches:
            # both generators
            self.generated_images = []
            with freeze_parameters(weights):
                loss = self.optim_steps["generator"].step(images_a, images_b, n, self._generator_loss)
            self.epoch_averages["generator"].update(loss, len(images_a))

            # each discriminator
            for i, (name, real) in enumerate(zip(DISCRIMINATORS, (images_a, images_b), strict=True)):
                generated = torch.cat([real[:0], *(pair[i] for pair in self.generated_images)])
                generated = generated[len(generated) - len(real) :]  # drop attempts that ran out of memory
                pooled = self.image_pools[i](generated)
                loss = self.optim_steps[name].step(
                    real, pooled, n, partial(self._discriminator_loss, self.network.discriminators[i])
                )
                self.epoch_averages[name].update(loss, len(real))
            if isinstance(self.params.loss, WGANClip):
                clip_weights(weights, self.params.loss.clip_value)

    def _generator_loss(self, images_a: Tensor, images_b: Tensor) -> Tensor:
        """Return the loss of both generators for images of both classes (b, c, y, x), and store what they generate."""
        params, discriminators = self.params, self.network.discriminators
        to_a, to_b = self.network.generator.by_target
        with autocast_context(self.device, self.precision):
            # translation
            fake_b, fake_a = to_b(images_a), to_a(images_b)
            logits = [d(images).float() for d, images in zip(discriminators, (fake_a, fake_b), strict=True)]
            # cycle consistency
            cycle = self._l1_distance(to_a(fake_b), images_a) + self._l1_distance(to_b(fake_a), images_b)
            loss = sum((generator_loss(params.loss, part) for part in logits), params.lambda_cycle * cycle)
            # identity
            if params.lambda_identity:
                identity = self._l1_distance(to_a(images_a), images_a) + self._l1_distance(to_b(images_b), images_b)
                loss = loss + params.lambda_cycle * params.lambda_identity * identity
        self.generated_images.append((fake_a.detach().float(), fake_b.detach().float()))
        return loss

    def _discriminator_loss(self, discriminator: nn.Module, real: Tensor, generated: Tensor) -> Tensor:
        """Return the loss of a discriminator for real and generated images (b, c, y, x)."""
        params = self.params
        with autocast_context(self.device, self.precision):
            logits = discriminator(real).float(), discriminator(generated).float()
        loss = discriminator_loss(params.loss, *logits)
        if isinstance(params.loss, WGANGP):
            penalty = gradient_penalty(lambda x: discriminator(x).mean((1, 2, 3)), real, generated)
            loss = loss + params.loss.lambda_gp * penalty
        return loss

    def _l1_distance(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the mean absolute difference of images, with pixels scaled to [-1, 1]."""
        return ((images.float() - targets).abs() * self.pixel_scale).mean()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the image pools; on several devices those of the first."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["image_pools"] = [pool.images for pool in self.image_pools]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the image pools."""
        super().on_load_checkpoint(checkpoint)
        for pool, images in zip(self.image_pools, checkpoint["image_pools"], strict=True):
            pool.images = images
