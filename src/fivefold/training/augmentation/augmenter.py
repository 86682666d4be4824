"""All that is done to a training batch before its step.

Mixup and cutmix: rows blended in pairs, and their targets with them.

Source: Zhang et al. 2018; Yun et al. 2019. A row's partner is the one before it in the batch, which is shuffled anyway;
each pair has a share of its own. A rectangle lies within the image, so that it covers what was drawn.
Shapes: b rows, k classes or values.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn import functional

from ...config.augmentation import Augmentation
from .images import RandomAffine, RandomErasing, RandomRescale, random_boxes
from .sequences import SequenceAugmentation


class MixupCutmix(nn.Module):
    """Blend the rows of a batch; each gets mixup or cutmix, by a coin if both are on.

    Args:
        classes: how many there are; 0 if targets are values.
        masked: whether x are sequences whose last value of a step is 1 for a step and 0 for padding: where one row of a
            pair is padding, the other stands alone.
    """

    alphas: Tensor

    def __init__(self, params: Augmentation, classes: int, masked: bool) -> None:
        super().__init__()
        self.mixup, self.cutmix = bool(params.mixup), bool(params.cutmix)
        self.classes, self.masked = classes, masked
        self.register_buffer("alphas", torch.tensor([params.mixup, params.cutmix]), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return x (b, ...) and its targets: shares of classes (b, k) float32 for classes (b,), else values like y."""
        share = self._mixing_weights(x)
        own = share.flatten(1).mean(1)  # (b,)
        if self.classes:
            y = functional.one_hot(y, self.classes).to(x.dtype)
        mixed = torch.lerp(y.roll(1, 0), y, own.view(-1, *[1] * (y.ndim - 1)))
        partner = x.roll(1, 0)
        if self.masked:
            there, here = partner[..., -1:] == 1, x[..., -1:] == 1
            x, partner = torch.where(here, x, partner), torch.where(there, partner, x)
        return torch.lerp(partner, x, share), mixed

    def _mixing_weights(self, x: Tensor) -> Tensor:
        """Return what of each value is the row's own, (b, 1, ...)."""
        flat = (-1, *[1] * (x.ndim - 1))
        blend = self._sample_beta(0, len(x)).view(flat) if self.mixup else None
        if not self.cutmix:
            assert blend is not None
            return blend
        area = 1 - self._sample_beta(1, len(x))
        kept = 1 - random_boxes(area, torch.ones_like(area), (x.shape[2], x.shape[3]))[:, None]
        if blend is None:
            return kept
        return torch.where(torch.rand(len(x), device=x.device).view(flat) < 0.5, blend, kept)

    def _sample_beta(self, index: int, n: int) -> Tensor:
        alpha = self.alphas[index]
        draws: Tensor = Beta(alpha, alpha, validate_args=False).sample(torch.Size([n]))
        return draws


GEOMETRIC_OPTIONS = {
    "rotation",
    "height_shift",
    "width_shift",
    "shear",
    "zoom",
    "horizontal_flip",
    "vertical_flip",
    "crop_padding",
}


class Augmenter(nn.Module):
    """(x, y) -> (x, y) on their device, for preprocessed x: images (b, c, y, x) or sequences (b, t, f), float32.

    Numbers are drawn from PyTorch's own generator, so what `Seeded` makes of an epoch holds here too; in float32, also
    within autocast. Has no parameters and nothing to save. In `eval()` and with every option off it returns what it
    got and draws nothing.

    Args:
        classes: how many there are if y are classes (b,) int64; 0 if y are values. Blended classes come back as shares
            (b, classes) float32, which `functional.cross_entropy` takes in place of indices.
        masked: whether the last value of each step of a sequence is 1 for a step, 0 for padding.
        blank: what an image full of `params.constant` is after preprocessing; broadcasts to (c, y, x). Left out: the
            constant itself.
    """

    def __init__(
        self, params: Augmentation, *, classes: int = 0, masked: bool = False, fill_value: Tensor | None = None
    ) -> None:
        super().__init__()
        fill_value = torch.tensor(params.fill_value) if fill_value is None else fill_value
        self.is_active = params.is_active
        self.transforms = nn.Sequential(*_build_transforms(params, masked, fill_value))
        self.mixing = MixupCutmix(params, classes, masked) if params.mixing_options else None

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the batch as the network shall see it."""
        if not (self.is_active and self.training):
            return x, y
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 cannot tell one pixel's place from the next
            x = self.transforms(x)
            return self.mixing(x, y) if self.mixing else (x, y)


def _build_transforms(params: Augmentation, masked: bool, fill_value: Tensor) -> Iterator[nn.Module]:
    if GEOMETRIC_OPTIONS & set(params.image_options):
        yield RandomAffine(params, fill_value)
    if params.intensity_scale:
        yield RandomRescale(params)
    if params.erasing:
        yield RandomErasing(params)
    if params.sequence_options:
        yield SequenceAugmentation(params, masked)
