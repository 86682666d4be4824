"""Time warp, scaling and jitter of sequences.

Source: Um et al. 2017. There the speed is a cubic spline through normal numbers around 1, which may run backwards; here
its logarithm is a broken line through normal numbers around 0, so that time always runs forward.
Shapes: b sequences, t steps, f values a step; k knots.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.augmentation import Augmentation

KNOTS = 6
"""Of the line, both ends among them: four within, as in the paper."""


class SequenceAugmentation(nn.Module):
    """Alter sequences (b, t, f).

    Args:
        masked: whether the last value of a step is 1 for a step and 0 for padding, which comes last: the mask stays
            what it is, padding stays 0, and no step takes its values from padding.
    """

    def __init__(self, params: Augmentation, masked: bool) -> None:
        super().__init__()
        self.jitter, self.scaling, self.time_warp = params.jitter, params.scaling, params.time_warp
        self.masked = masked

    def forward(self, x: Tensor) -> Tensor:
        """Return sequences of the same shape: warped, then scaled, then with noise."""
        values, real = (x[..., :-1], x[..., -1:]) if self.masked else (x, x.new_ones(*x.shape[:2], 1))
        if self.time_warp:
            values = interpolate_steps(values, warp_times(real[..., 0], self.time_warp))
        if self.scaling:
            values = values * (1 + self.scaling * torch.randn_like(values[:, :1]))
        if self.jitter:
            values = values + self.jitter * torch.randn_like(values)
        return torch.cat([values * real, real], dim=-1) if self.masked else values


def warp_times(mask: Tensor, std: float) -> Tensor:
    """Return where in its sequence each step looks, in steps, (b, t): rising from 0 to the last step.

    real: (b, t), 1 for a step, 0 for padding.
    """
    steps = torch.arange(mask.shape[1], device=mask.device)
    last = (mask * steps).amax(1, keepdim=True)  # (b, 1)
    share = (steps / last.clamp_min(1)).clamp_max(1)
    knots = std * torch.randn(len(mask), KNOTS, 1, device=mask.device)
    speed = interpolate_steps(knots, share * (KNOTS - 1))[..., 0].exp()
    run = functional.pad(((speed[:, 1:] + speed[:, :-1]) / 2).cumsum(1), (1, 0))  # (b, t), from 0
    whole = run.gather(1, last.long())
    return torch.minimum(run * (last / whole.clamp_min(torch.finfo(run.dtype).tiny)), last)


def interpolate_steps(values: Tensor, positions: Tensor) -> Tensor:
    """Return values (b, t, f) at places (b, n) from 0 to t - 1, between steps linearly; (b, n, f)."""
    low = positions.long().clamp_max(max(values.shape[1] - 2, 0))
    high = (low + 1).clamp_max(values.shape[1] - 1)
    before, after = (torch.take_along_dim(values, index[..., None], dim=1) for index in (low, high))
    return torch.lerp(before, after, (positions - low)[..., None])
