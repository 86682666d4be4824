"""How records are spoilt for a denoising autoencoder.

Source: Vincent et al. 2010.
Shapes: b rows, f features; the last feature of masked steps is their mask.
"""

import torch
from torch import Tensor, nn

from ...config.networks.autoencoder import DenoisingVariant


class Noise(nn.Module):
    """(x, y) -> (x spoilt, y), features (b, ...); the mask of steps, and padding, stay as they are.

    Args:
        low, high: smallest and largest feature of the training rows, which salt_and_pepper sets.
    """

    def __init__(self, params: DenoisingVariant, *, has_mask: bool, low: float, high: float) -> None:
        super().__init__()
        self.params, self.has_mask = params, has_mask
        self.low, self.high = low, high

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the batch as the network shall see it, and what it shall tell."""
        return self.corrupt(x), y

    def corrupt(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return features x (b, ...) with noise."""
        values = x[..., :-1] if self.has_mask else x
        amount = self.params.amount
        if self.params.noise == "gaussian":
            noise = torch.empty_like(values, memory_format=torch.contiguous_format).normal_(generator=generator)
            spoilt = values + noise * amount
        else:
            drawn = torch.empty_like(values, memory_format=torch.contiguous_format).uniform_(generator=generator)
            if self.params.noise == "masking":
                spoilt = torch.where(drawn < amount, 0.0, values)
            else:
                spoilt = torch.where(drawn < amount / 2, self.low, values)
                spoilt = torch.where(drawn > 1 - amount / 2, self.high, spoilt)
        if not self.has_mask:
            return spoilt
        real = x[..., -1:]
        return torch.cat([spoilt * real, real], dim=-1)
