"""Two players that learn from each other, step by step.

Source: Goodfellow et al. 2014, algorithm 1: the critic goes first, so many steps for one of the generator.
Shapes: b rows, l numbers of noise, k classes (0: none are asked for), r what a record is.

Images altered on the device, alike for real and made ones, in ways that gradients pass through.

Source: Zhao et al. 2020, whose colours are brightness, saturation and contrast; here brightness alone.
Shapes: b images, c channels, y x x pixels.
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
    """(b, c, y, x) -> the same shape, each image altered by itself."""

    def __init__(self, params: DiffAugmentation) -> None:
        super().__init__()
        self.params = params

    def forward(self, x: Tensor) -> Tensor:
        """Return altered images."""
        if self.params.brightness:
            x = x + (torch.rand(len(x), 1, 1, 1, device=x.device) - 0.5) * self.params.brightness
        if self.params.translation:
            x = self._translate(x)
        if self.params.cutout:
            x = x * self._cutout_mask(x)
        return x

    def _translate(self, x: Tensor) -> Tensor:
        """Return images moved by whole pixels, 0 where nothing was."""
        most = [max(1, round(side * self.params.translation)) for side in x.shape[2:]]
        padded = functional.pad(x, (most[1], most[1], most[0], most[0]))
        rows, columns = (
            torch.randint(2 * far + 1, (len(x), 1), device=x.device) + torch.arange(side, device=x.device)
            for far, side in zip(most, x.shape[2:], strict=True)
        )  # (b, y), (b, x)
        image = torch.arange(len(x), device=x.device)[:, None, None]
        # an index between the slices puts channels last: (b, y, x, c) -> (b, c, y, x)
        return padded[image, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)

    def _cutout_mask(self, x: Tensor) -> Tensor:
        """Return 0 within a rectangle of each image and 1 beyond, (b, 1, y, x); it may reach over the edge."""
        inside = []
        for side in x.shape[2:]:
            width = round(side * self.params.cutout)
            start = torch.randint(side + (1 - width % 2), (len(x), 1), device=x.device) - width // 2
            place = torch.arange(side, device=x.device)
            inside.append((place >= start) & (place < start + width))
        return 1 - (inside[0][:, :, None] & inside[1][:, None, :]).to(x.dtype)[:, None]


class Module(AdversarialModule):
    """Trains a generator and its critic, `train/generator` and `train/critic`.

    Args:
        params: what they are after.
        others: those of `Adversarial`.
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
            {"generator": network.generator, "critic": network.discriminator},
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
        """Go through the batches of an epoch: features (b, *r), and classes (b, k)."""
        generator, critic = self.optim_steps.values()
        judges: list[Tensor] = list(self.network.discriminator.parameters())
        critic.global_step = self.current_epoch * self.steps_per_epoch
        for x, c, n in batches:
            # the critic
            loss = critic.step(x, c, n, self._discriminator_loss)
            self.epoch_averages["critic"].update(loss, len(x))
            if isinstance(self.params.loss, WGANClip):
                clip_weights(judges, self.params.loss.clip_value)

            # the generator
            if critic.global_step % self.params.discriminator_steps:
                continue
            generator.global_step = critic.global_step - 1
            with freeze_parameters(judges):
                loss = generator.step(x, c, n, self._generator_loss)
            self.epoch_averages["generator"].update(loss, len(x))

    def _discriminator_loss(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the critic's loss of real records x (b, *r) of classes c (b, k), and as many made ones."""
        params, critic = self.params, self.network.discriminator
        with autocast_context(self.device, self.precision):
            with torch.no_grad():
                made = self.network.generator(self._sample_noise(c))
            real, made, c = self._prepare_discriminator_input(x), self._prepare_discriminator_input(made), self._pack(c)
            told = critic(real, c).float(), critic(made, c).float()
        loss = discriminator_loss(params.loss, *told)
        if isinstance(params.loss, WGANGP):
            loss = loss + params.loss.lambda_gp * gradient_penalty(lambda seen: critic(seen, c), real, made)
        if params.r1 and self.optim_steps["critic"].global_step % params.r1_every == 0:
            loss = loss + params.r1 * params.r1_every * r1_penalty(lambda seen: critic(seen, c), real)
        return loss

    def _generator_loss(self, _: Tensor, c: Tensor) -> Tensor:
        """Return the generator's loss of made records of classes c (b, k)."""
        with autocast_context(self.device, self.precision):
            told = self.network.discriminator(
                self._prepare_discriminator_input(self.network.generator(self._sample_noise(c))), self._pack(c)
            )
        return generator_loss(self.params.loss, told.float())

    def _sample_noise(self, c: Tensor) -> Tensor:
        """Return what the generator makes records of classes c (b, k) of, (b, l + k)."""
        drawn = torch.randn(len(c), self.network.latent_dim, device=c.device)
        return torch.cat([drawn, c], dim=1) if self.network.n_classes else drawn

    def _prepare_discriminator_input(self, x: Tensor) -> Tensor:
        """Return records as the critic sees them."""
        if self.params.instance_noise:
            left = max(0.0, 1 - self.optim_steps["critic"].global_step / (self.steps_per_epoch * self.max_epochs))
            x = x + torch.randn_like(x) * (self.params.instance_noise * left)
        if self.augment is not None:
            x = self.augment(x)
        return self._pack(x)

    def _pack(self, x: Tensor) -> Tensor:
        """Return records (b, d, ...) as (b / pac, pac d, ...)."""
        pac = self.params.pac
        return x.reshape(len(x) // pac, pac * x.shape[1], *x.shape[2:]) if pac > 1 else x
