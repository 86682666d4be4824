"""Augment sequences: time warping, scaling and jitter.

Source: Um et al. 2017. There the speed is a cubic spline through normal variates around 1, which may become negative;
here its logarithm is a piecewise linear function through normal variates around 0, so that time is never reversed.
Shapes: b sequences, t steps, f features per step.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.augmentation import Augmentation

KNOTS = 6
"""Number of knots of the speed, including both ends; four are within, as in the paper."""


class SequenceAugmentation(nn.Module):
    """Augment sequences (b, t, f).

    Args:
        masked: whether the last feature is 1 for a step and 0 for padding, which follows the steps. The mask is not
            changed, padding remains 0, and no step is interpolated from padding.
    """

    def __init__(self, params: Augmentation, masked: bool) -> None:
        super().__init__()
        self.jitter, self.scaling, self.time_warp = params.jitter, params.scaling, params.time_warp
        self.masked = masked

    def forward(self, x: Tensor) -> Tensor:
        """Return sequences of the same shape: warped, then scaled, then with added noise."""
        values, mask = (x[..., :-1], x[..., -1:]) if self.masked else (x, x.new_ones(*x.shape[:2], 1))
        if self.time_warp:
            values = interpolate_steps(values, warp_times(mask[..., 0], self.time_warp))
        if self.scaling:
            values = values * (1 + self.scaling * torch.randn_like(values[:, :1]))
        if self.jitter:
            values = values + self.jitter * torch.randn_like(values)
        return torch.cat([values * mask, mask], dim=-1) if self.masked else values


def warp_times(mask: Tensor, std: float) -> Tensor:
    """Return the position in the input of each output step, in steps, (b, t): from 0 to the last step, monotonic.

    mask: (b, t), 1 for a step, 0 for padding. std: standard deviation of the logarithm of the speed.
    """
    steps = torch.arange(mask.shape[1], device=mask.device)
    last = (mask * steps).amax(1, keepdim=True)  # (b, 1)
    fraction = (steps / last.clamp_min(1)).clamp_max(1)
    knots = std * torch.randn(len(mask), KNOTS, 1, device=mask.device)
    speed = interpolate_steps(knots, fraction * (KNOTS - 1))[..., 0].exp()
    time = functional.pad(((speed[:, 1:] + speed[:, :-1]) / 2).cumsum(1), (1, 0))  # (b, t), from 0
    duration = time.gather(1, last.long())
    return torch.minimum(time * (last / duration.clamp_min(torch.finfo(time.dtype).tiny)), last)


def interpolate_steps(values: Tensor, positions: Tensor) -> Tensor:
    """Return values (b, t, f), interpolated linearly at positions (b, n) from 0 to t - 1; (b, n, f)."""
    low = positions.long().clamp_max(max(values.shape[1] - 2, 0))
    high = (low + 1).clamp_max(values.shape[1] - 1)
    before, after = (torch.take_along_dim(values, index[..., None], dim=1) for index in (low, high))
    return torch.lerp(before, after, (positions - low)[..., None])
