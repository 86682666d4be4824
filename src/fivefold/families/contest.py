"""What the two players of a contest make small.

Source: gan/params.py, class by class.
Shapes: b rows; what a critic tells of one may also be a map of its patches, (b, 1, y, x) in place of (b,).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..config.networks.gan import Clipped, Contest, Hinge, LeastSquares, Minimax, NonSaturating, Penalised

Tell = Callable[[Tensor], Tensor]
"""A critic of records (b, ...), their classes being known -> (b,)."""


def critic_loss(loss: Contest, real: Tensor, made: Tensor) -> Tensor:
    """Return the critic's mean loss, of what it tells of real records (b,) and of made ones (b,)."""
    match loss:
        case Minimax(smoothing=short) | NonSaturating(smoothing=short):
            return (functional.softplus(real) - (1 - short) * real).mean() + functional.softplus(made).mean()
        case LeastSquares(smoothing=short):
            return ((real - (1 - short)).square().mean() + made.square().mean()) / 2
        case Hinge():
            return functional.relu(1 - real).mean() + functional.relu(1 + made).mean()
        case Clipped() | Penalised():
            return made.mean() - real.mean()


def generator_loss(loss: Contest, made: Tensor) -> Tensor:
    """Return the generator's mean loss, of what the critic tells of its records (b,)."""
    match loss:
        case Minimax():
            return -functional.softplus(made).mean()
        case NonSaturating():
            return functional.softplus(-made).mean()
        case LeastSquares():
            return (made - 1).square().mean() / 2
        case Hinge() | Clipped() | Penalised():
            return -made.mean()


def gradient_penalty(tell: Tell, real: Tensor, made: Tensor) -> Tensor:
    """Return the mean of (slope - 1)^2, the slope being taken between each real record and a made one, (b, ...)."""
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    return (_slopes(tell, torch.lerp(real, made, share)).clamp_min(1e-12).sqrt() - 1).square().mean()


def r1(tell: Tell, real: Tensor) -> Tensor:
    """Return half of the mean squared slope at real records (b, ...)."""
    return _slopes(tell, real).mean() / 2


def _slopes(tell: Tell, x: Tensor) -> Tensor:
    """Return the squared norm (b,) of what a critic tells of each record, by the record."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(tell(x).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)
