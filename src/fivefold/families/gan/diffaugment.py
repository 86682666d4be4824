"""Images altered on the device, alike for real and made ones, in ways that gradients pass through.

Source: Zhao et al. 2020, whose colours are brightness, saturation and contrast; here brightness alone.
Shapes: b images, c channels, y x x pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.gan import Augmentation


class DiffAugment(nn.Module):
    """(b, c, y, x) -> the same shape, each image altered by itself."""

    def __init__(self, params: Augmentation) -> None:
        super().__init__()
        self.params = params

    def forward(self, x: Tensor) -> Tensor:
        """Return altered images."""
        if self.params.brightness:
            x = x + (torch.rand(len(x), 1, 1, 1, device=x.device) - 0.5) * self.params.brightness
        if self.params.translation:
            x = self._moved(x)
        if self.params.cutout:
            x = x * self._left(x)
        return x

    def _moved(self, x: Tensor) -> Tensor:
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

    def _left(self, x: Tensor) -> Tensor:
        """Return 0 within a rectangle of each image and 1 beyond, (b, 1, y, x); it may reach over the edge."""
        inside = []
        for side in x.shape[2:]:
            width = round(side * self.params.cutout)
            start = torch.randint(side + (1 - width % 2), (len(x), 1), device=x.device) - width // 2
            place = torch.arange(side, device=x.device)
            inside.append((place >= start) & (place < start + width))
        return 1 - (inside[0][:, :, None] & inside[1][:, None, :]).to(x.dtype)[:, None]
