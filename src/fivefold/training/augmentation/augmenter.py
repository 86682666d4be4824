"""Augment training batches on the device: random transforms of images and sequences, mixup and cutmix.

Source of mixup and cutmix: Zhang et al. 2018; Yun et al. 2019. A row is mixed with the one before it in the batch,
which is in random order, and each pair has its own mixing weight. A cutmix box is entirely within the image, so that it
has the area that was drawn.
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
    """Mix pairs of rows and their targets; each row by mixup or cutmix, with equal probability if both are enabled.

    Args:
        classes: number of classes; 0 if targets are values.
        masked: whether x are sequences whose last feature is 1 for a step and 0 for padding. Where one row of a pair is
            padding, the values of the other are used unchanged.
    """

    alphas: Tensor

    def __init__(self, params: Augmentation, classes: int, masked: bool) -> None:
        super().__init__()
        self.mixup, self.cutmix = bool(params.mixup), bool(params.cutmix)
        self.classes, self.masked = classes, masked
        self.register_buffer("alphas", torch.tensor([params.mixup, params.cutmix]), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return mixed x (b, ...) and targets: soft labels (b, k) float32 for classes y (b,), else values like y."""
        weights = self._mixing_weights(x)
        target_weights = weights.flatten(1).mean(1)  # (b,)
        if self.classes:
            y = functional.one_hot(y, self.classes).to(x.dtype)
        targets = torch.lerp(y.roll(1, 0), y, target_weights.view(-1, *[1] * (y.ndim - 1)))
        partner = x.roll(1, 0)
        if self.masked:
            partner_mask, mask = partner[..., -1:] == 1, x[..., -1:] == 1
            x, partner = torch.where(mask, x, partner), torch.where(partner_mask, partner, x)
        return torch.lerp(partner, x, weights), targets

    def _mixing_weights(self, x: Tensor) -> Tensor:
        """Return the weight of the row itself for each of its values, broadcastable to x: (b, 1, ...)."""
        shape = (-1, *[1] * (x.ndim - 1))
        mixup = self._sample_beta(0, len(x)).view(shape) if self.mixup else None
        if not self.cutmix:
            assert mixup is not None
            return mixup
        area = 1 - self._sample_beta(1, len(x))
        cutmix = 1 - random_boxes(area, torch.ones_like(area), (x.shape[2], x.shape[3]))[:, None]
        if mixup is None:
            return cutmix
        return torch.where(torch.rand(len(x), device=x.device).view(shape) < 0.5, mixup, cutmix)

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
    """Augment a training batch (x, y) by transforms, then by mixup or cutmix.

    x: preprocessed images (b, c, y, x) or sequences (b, t, f), float32.

    Random numbers come from PyTorch's default generator of the device, which `EpochSeeding` seeds in each epoch. All
    computations are in float32, also within autocast. The module has no parameters and no persistent state. In `eval()`
    mode, or with all options disabled, it returns its input and draws no random numbers.

    Args:
        classes: number of classes if y are classes (b,) int64; 0 if y are values. Mixed classes are returned as soft
            labels (b, classes) float32, which `functional.cross_entropy` accepts in place of indices.
        masked: whether the last feature of each step of a sequence is 1 for a step, 0 for padding.
        fill_value: an image of constant `params.fill_value` after preprocessing; broadcasts to (c, y, x). None:
            `params.fill_value` itself.
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
        """Return the augmented batch."""
        if not (self.is_active and self.training):
            return x, y
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 is too coarse for pixel positions
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
