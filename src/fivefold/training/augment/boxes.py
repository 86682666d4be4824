"""Rectangles within images, for erasing and for cutmix.

Shapes: b images of y x x pixels.
"""

import torch
from torch import Tensor


def boxes(area: Tensor, stretch: Tensor, size: tuple[int, int]) -> Tensor:
    """Return 1 where a rectangle lies in each image and 0 beside it, (b, y, x): whole pixels, within the image.

    Args:
        area: (b,), its share of the image; 0 is no rectangle.
        stretch: (b,), its height over its width, both as shares; from area to 1 / area, or it would not fit.
        size: y and x.
    """
    draws = torch.rand(2, len(area), device=area.device)
    sides = ((area * stretch).sqrt(), (area / stretch).sqrt())
    rows, columns = (_stretch(*axis) for axis in zip(sides, size, draws, strict=True))
    return rows[:, :, None] * columns[:, None]


def _stretch(side: Tensor, length: int, draw: Tensor) -> Tensor:
    """Return 1 where a side (b,), a share, covers an axis and 0 beside it, (b, length)."""
    extent = (side * length).round().clamp_max(length)
    start = (draw * (length - extent + 1)).floor()
    pixels = torch.arange(length, device=side.device)
    return ((pixels >= start[:, None]) & (pixels < (start + extent)[:, None])).to(side.dtype)
