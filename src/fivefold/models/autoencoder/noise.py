"""Input noise of denoising autoencoders.

Source: Vincent et al. 2010.
Shapes: b samples; the last feature of masked steps is their mask.
"""

import torch
from torch import Tensor, nn

from ...config.networks.autoencoder import DenoisingVariant


class Noise(nn.Module):
    """(x, y) -> (x with noise, y), features (b, ...); the mask of steps and the padding are unchanged.

    Args:
        params: kind and amount of noise.
        has_mask: whether the last feature is a mask.
        low, high: smallest and largest feature of the training rows, the values of salt-and-pepper noise.
    """

    def __init__(self, params: DenoisingVariant, *, has_mask: bool, low: float, high: float) -> None:
        super().__init__()
        self.params, self.has_mask = params, has_mask
        self.low, self.high = low, high

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the batch with noisy inputs and clean targets."""
        return self.corrupt(x), y

    def corrupt(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return features x (b, ...) with noise."""
        values = x[..., :-1] if self.has_mask else x
        amount = self.params.amount
        if self.params.noise == "gaussian":
            noise = torch.empty_like(values, memory_format=torch.contiguous_format).normal_(generator=generator)
            noisy = values + noise * amount
        else:
            drawn = torch.empty_like(values, memory_format=torch.contiguous_format).uniform_(generator=generator)
            if self.params.noise == "masking":
                noisy = torch.where(drawn < amount, 0.0, values)
            else:
                noisy = torch.where(drawn < amount / 2, self.low, values)
                noisy = torch.where(drawn > 1 - amount / 2, self.high, noisy)
        if not self.has_mask:
            return noisy
        mask = x[..., -1:]
        return torch.cat([noisy * mask, mask], dim=-1)
