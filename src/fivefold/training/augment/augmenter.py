"""All that is done to a training batch before its step."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ...config.augmentation import Augment
from .geometry import Geometry
from .mixing import Mixing
from .sequences import Sequences
from .values import Erasing, Rescale

GEOMETRY = {"rotation", "height_shift", "width_shift", "shear", "zoom", "horizontal_flip", "vertical_flip", "crop"}


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

    def __init__(self, params: Augment, *, classes: int = 0, masked: bool = False, blank: Tensor | None = None) -> None:
        super().__init__()
        blank = torch.tensor(params.constant) if blank is None else blank
        self.active = params.active
        self.steps = nn.Sequential(*_steps(params, masked, blank))
        self.mixing = Mixing(params, classes, masked) if params.mixes else None

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the batch as the network shall see it."""
        if not (self.active and self.training):
            return x, y
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 cannot tell one pixel's place from the next
            x = self.steps(x)
            return self.mixing(x, y) if self.mixing else (x, y)


def _steps(params: Augment, masked: bool, blank: Tensor) -> Iterator[nn.Module]:
    if GEOMETRY & set(params.of_images):
        yield Geometry(params, blank)
    if params.rescale:
        yield Rescale(params)
    if params.erasing:
        yield Erasing(params)
    if params.of_sequences:
        yield Sequences(params, masked)
