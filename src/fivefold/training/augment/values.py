"""What changes the values of images and leaves them in their place.

Shapes: b images, c channels, y x x pixels.
"""

import math

import torch
from torch import Tensor, nn

from ...config.augmentation import Augment
from .boxes import boxes

SLIMMEST = 0.3
"""A rectangle's shorter side over its longer one, at least: as in the paper."""


class Rescale(nn.Module):
    """Values of each image times one factor."""

    def __init__(self, params: Augment) -> None:
        super().__init__()
        self.share = params.rescale

    def forward(self, x: Tensor) -> Tensor:
        """Return images (b, c, y, x)."""
        return x * (1 + self.share * (2 * torch.rand(len(x), 1, 1, 1, device=x.device) - 1))


class Erasing(nn.Module):
    """A rectangle of some images becomes the mean of the image, channel by channel.

    Source: Zhong et al. 2020. The mean and not noise, since it suits every `normalize`; the shape is drawn evenly on a
    logarithmic scale among those that fit, so that each rectangle has the area that was drawn.
    """

    def __init__(self, params: Augment) -> None:
        super().__init__()
        self.probability = params.erasing
        self.low, self.high = params.erasing_area

    def forward(self, x: Tensor) -> Tensor:
        """Return images (b, c, y, x)."""
        chance, size, shape = torch.rand(3, len(x), device=x.device)
        area = self.low + (self.high - self.low) * size
        widest = (-area.log()).clamp(0, -math.log(SLIMMEST))
        stretch = (widest * (2 * shape - 1)).exp()
        erased = boxes(area * (chance < self.probability), stretch, (x.shape[2], x.shape[3]))
        return torch.lerp(x, x.mean((2, 3), keepdim=True), erased[:, None])
