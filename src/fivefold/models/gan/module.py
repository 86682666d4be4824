"""Adversarial training of a generator and its discriminator, and differentiable augmentation.

Source: Goodfellow et al. 2014, algorithm 1: the discriminator goes first, `discriminator_steps` times per generator
step.
Augmentation: Zhao et al. 2020, whose color transforms are brightness, saturation and contrast; here brightness only.
Shapes: b samples, l latent dimensions, k classes (0: unconditional), r shape of a sample, c channels, y x x pixels.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.gan import WGANGP, DiffAugmentation, Gan, WGANClip
from ..adversarial import (
    AdversarialModule,
    GeneratorValidation,
    OptimizerStepFactory,
    clip_weights,
    discriminator_loss,
    freeze_parameters,
    generator_loss,
    gradient_penalty,
    r1_penalty,
)
from ..precision import autocast_context
from .network import GanNetwork


class DiffAugment(nn.Module):
    """Images (b, c, y, x) -> the same shape, each image transformed independently; differentiable.

    It is applied to real and generated images alike.
    """

    def __init__(self, params: DiffAugmentation) -> None:
        super().__init__()
        self.params = params

    def forward(self, x: Tensor) -> Tensor:
        """Return the transformed images."""
        if self.params.brightness:
            x = x + (torch.rand(len(x), 1, 1, 1, device=x.device) - 0.5) * self.params.brightness
        if self.params.translation:
            x = self._translate(x)
        if self.params.cutout:
            x = x * self._cutout_mask(x)
        return x

    def _translate(self, x: Tensor) -> Tensor:
        """Return images shifted by whole pixels, filled with zeros."""
        max_shifts = [max(1, round(side * self.params.translation)) for side in x.shape[2:]]
        padded = functional.pad(x, (max_shifts[1], max_shifts[1], max_shifts[0], max_shifts[0]))
        rows, columns = (
            torch.randint(2 * max_shift + 1, (len(x), 1), device=x.device) + torch.arange(side, device=x.device)
            for max_shift, side in zip(max_shifts, x.shape[2:], strict=True)
        )  # (b, y), (b, x)
        image = torch.arange(len(x), device=x.device)[:, None, None]
        # an index between the slices puts channels last: (b, y, x, c) -> (b, c, y, x)
        return padded[image, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)

    def _cutout_mask(self, x: Tensor) -> Tensor:
        """Return a mask (b, 1, y, x): 0 within a rectangle, which may overlap the edge, and 1 elsewhere."""
        inside = []
        for side in x.shape[2:]:
            width = round(side * self.params.cutout)
            start = torch.randint(side + (1 - width % 2), (len(x), 1), device=x.device) - width // 2
            position = torch.arange(side, device=x.device)
            inside.append((position >= start) & (position < start + width))
        return 1 - (inside[0][:, :, None] & inside[1][:, None, :]).to(x.dtype)[:, None]


class Module(AdversarialModule):
    """Trains a generator and its discriminator; logs `train/generator` and `train/discriminator`.

    Args:
        network: both networks.
        params: loss, penalties and schedule.
        optim_step_factories, validation, steps_per_epoch, max_epochs, use_ema, precision: see `AdversarialModule`.
    """

    def __init__(
        self,
        network: GanNetwork,
        params: Gan,
        optim_step_factories: tuple[OptimizerStepFactory, ...],
        validation: GeneratorValidation,
        *,
        steps_per_epoch: int,
        max_epochs: int,
        use_ema: bool = False,
        precision: str = "32",
    ) -> None:
        super().__init__(
            network,
            {"generator": network.generator, "discriminator": network.discriminator},
            optim_step_factories,
            validation,
            steps_per_epoch=steps_per_epoch,
            max_epochs=max_epochs,
            validate_every=params.validate_every,
            use_ema=use_ema,
            precision=precision,
        )
        self.network: GanNetwork = network
        self.params = params
        self.augment = DiffAugment(params.augment) if params.augment else None

    def training_step(self, batches: Iterable[tuple[Tensor, Tensor, int]], _: int) -> None:
        """Train on the batches of an epoch: features (b, *r) and one-hot classes (b, k)."""
        generator, discriminator = self.optim_steps.values()
        weights: list[Tensor] = list(self.network.discriminator.parameters())
        discriminator.global_step = self.current_epoch * self.steps_per_epoch
        for x, c, n in batches:
            # discriminator
            loss = discriminator.step(x, c, n, self._discriminator_loss)
            self.epoch_averages["discriminator"].update(loss, len(x))
            if isinstance(self.params.loss, WGANClip):
                clip_weights(weights, self.params.loss.clip_value)

            # generator
            if discriminator.global_step % self.params.discriminator_steps:
                continue
            generator.global_step = discriminator.global_step - 1
            with freeze_parameters(weights):
                loss = generator.step(x, c, n, self._generator_loss)
            self.epoch_averages["generator"].update(loss, len(x))

    def _discriminator_loss(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the discriminator's loss of real samples x (b, *r) of classes c (b, k), and as many generated ones."""
        params, discriminator = self.params, self.network.discriminator
        with autocast_context(self.device, self.precision):
            with torch.no_grad():
                generated = self.network.generator(self._sample_noise(c))
            real = self._prepare_discriminator_input(x)
            generated = self._prepare_discriminator_input(generated)
            c = self._pack(c)
            logits = discriminator(real, c).float(), discriminator(generated, c).float()
        loss = discriminator_loss(params.loss, *logits)
        if isinstance(params.loss, WGANGP):
            penalty = gradient_penalty(lambda x: discriminator(x, c), real, generated)
            loss = loss + params.loss.lambda_gp * penalty
        if params.r1 and self.optim_steps["discriminator"].global_step % params.r1_every == 0:
            loss = loss + params.r1 * params.r1_every * r1_penalty(lambda x: discriminator(x, c), real)
        return loss

    def _generator_loss(self, _: Tensor, c: Tensor) -> Tensor:
        """Return the generator's loss of generated samples of classes c (b, k)."""
        with autocast_context(self.device, self.precision):
            generated = self.network.generator(self._sample_noise(c))
            logits = self.network.discriminator(self._prepare_discriminator_input(generated), self._pack(c))
        return generator_loss(self.params.loss, logits.float())

    def _sample_noise(self, c: Tensor) -> Tensor:
        """Return the generator's input for classes c (b, k): noise, plus the classes if conditional, (b, l + k)."""
        noise = torch.randn(len(c), self.network.latent_dim, device=c.device)
        return torch.cat([noise, c], dim=1) if self.network.n_classes else noise

    def _prepare_discriminator_input(self, x: Tensor) -> Tensor:
        """Return samples with instance noise and augmentation, packed."""
        if self.params.instance_noise:
            step, n_steps = self.optim_steps["discriminator"].global_step, self.steps_per_epoch * self.max_epochs
            x = x + torch.randn_like(x) * (self.params.instance_noise * max(0.0, 1 - step / n_steps))
        if self.augment is not None:
            x = self.augment(x)
        return self._pack(x)

    def _pack(self, x: Tensor) -> Tensor:
        """Return samples (b, d, ...) as packs (b / pac, pac * d, ...)."""
        pac = self.params.pac
        return x.reshape(len(x) // pac, pac * x.shape[1], *x.shape[2:]) if pac > 1 else x
