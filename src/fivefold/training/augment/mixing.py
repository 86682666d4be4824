"""Mixup and cutmix: rows blended in pairs, and their targets with them.

Source: Zhang et al. 2018; Yun et al. 2019. A row's partner is the one before it in the batch, which is shuffled anyway;
each pair has a share of its own. A rectangle lies within the image, so that it covers what was drawn.
Shapes: b rows, k classes or values.
"""

import torch
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn import functional

from ...config.augmentation import Augment
from .boxes import boxes


class Mixing(nn.Module):
    """Blend the rows of a batch; each gets mixup or cutmix, by a coin if both are on.

    Args:
        classes: how many there are; 0 if targets are values.
        masked: whether x are sequences whose last value of a step is 1 for a step and 0 for padding: where one row of a
            pair is padding, the other stands alone.
    """

    alphas: Tensor

    def __init__(self, params: Augment, classes: int, masked: bool) -> None:
        super().__init__()
        self.mixup, self.cutmix = bool(params.mixup), bool(params.cutmix)
        self.classes, self.masked = classes, masked
        self.register_buffer("alphas", torch.tensor([params.mixup, params.cutmix]), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return x (b, ...) and its targets: shares of classes (b, k) float32 for classes (b,), else values like y."""
        share = self._share(x)
        own = share.flatten(1).mean(1)  # (b,)
        if self.classes:
            y = functional.one_hot(y, self.classes).to(x.dtype)
        mixed = torch.lerp(y.roll(1, 0), y, own.view(-1, *[1] * (y.ndim - 1)))
        partner = x.roll(1, 0)
        if self.masked:
            there, here = partner[..., -1:] == 1, x[..., -1:] == 1
            x, partner = torch.where(here, x, partner), torch.where(there, partner, x)
        return torch.lerp(partner, x, share), mixed

    def _share(self, x: Tensor) -> Tensor:
        """Return what of each value is the row's own, (b, 1, ...)."""
        flat = (-1, *[1] * (x.ndim - 1))
        blend = self._beta(0, len(x)).view(flat) if self.mixup else None
        if not self.cutmix:
            assert blend is not None
            return blend
        area = 1 - self._beta(1, len(x))
        kept = 1 - boxes(area, torch.ones_like(area), (x.shape[2], x.shape[3]))[:, None]
        if blend is None:
            return kept
        return torch.where(torch.rand(len(x), device=x.device).view(flat) < 0.5, blend, kept)

    def _beta(self, which: int, n: int) -> Tensor:
        alpha = self.alphas[which]
        draws: Tensor = Beta(alpha, alpha, validate_args=False).sample(torch.Size([n]))
        return draws
