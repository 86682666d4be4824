"""Losses of many networks at once, with their gradients written out: backward through them would cost more than a step.

Shapes: m networks, b rows, k outputs, c classes, v values, q quantile levels.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from ...config.models import Model
from ...config.networks.autoencoder import Autoencoder
from ...config.training import BCELoss, CrossEntropyLoss, FocalLoss, HuberLoss, MeanErrorLoss, QuantileLoss

RowLossFn = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Outputs (m, b, k) and what is to be told -> the loss of each row (m, b), and its gradient by the outputs (m, b, k).

Of classes shares are to be told, (m, b, c), each times what its class counts; of values (m, b, v) themselves.
"""


def build_row_loss(params: Model, classes: int) -> RowLossFn:
    """Return the loss of rows whose mean is what the objective of a training by `params` gives.

    classes: how many are told; 0 for values.
    """
    loss, network = params.training.loss, params.network
    if classes:
        match loss:
            case BCELoss():
                return _binary_cross_entropy
            case FocalLoss(gamma=gamma) if gamma:
                return partial(_focal, gamma=gamma)
        return _cross_entropy
    match loss:
        case BCELoss():
            return _pixel_cross_entropy
        case MeanErrorLoss(name="mae"):
            found: RowLossFn = _absolute_error
        case HuberLoss(delta=delta):
            found = partial(_huber, delta=delta)
        case QuantileLoss(quantiles=levels):
            return partial(_pinball, levels=levels)
        case _:
            found = _squared_error
    squashes = isinstance(network, Autoencoder) and network.output_activation == "sigmoid"
    return partial(_sigmoid_loss, found) if squashes else found


def soft_targets(params: Model, y: Tensor, classes: int, weights: Tensor | None) -> Tensor:
    """Return what is to be told of rows whose classes are y (n,): shares (n, c), each times what its class counts."""
    loss = params.training.loss
    told = functional.one_hot(y, classes).float()
    if isinstance(loss, CrossEntropyLoss) and loss.label_smoothing:
        told = told * (1 - loss.label_smoothing) + loss.label_smoothing / classes
    return told if weights is None else told * weights


def _cross_entropy(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    log_p = out.log_softmax(2)
    losses = -(t * log_p).sum(2)
    return losses, log_p.exp_().mul_(t.sum(2, keepdim=True)).sub_(t)


def _focal(out: Tensor, t: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    log_p = out.log_softmax(2)
    p = log_p.exp()
    rest = 1 - p
    less = t * rest**gamma
    by_log_p = gamma * t * rest ** (gamma - 1) * p * log_p - less
    return -(less * log_p).sum(2), by_log_p - p * by_log_p.sum(2, keepdim=True)


def _binary_cross_entropy(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    no, yes = t[..., :1], t[..., 1:]
    losses = no * functional.softplus(out) + yes * functional.softplus(-out)  # (m, b, 1)
    return losses[..., 0], out.sigmoid() * (no + yes) - yes


def _pixel_cross_entropy(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    t = t.clamp(0, 1)
    losses = functional.binary_cross_entropy_with_logits(out, t, reduction="none").mean(2)
    return losses, (out.sigmoid() - t) / out.shape[2]


def _squared_error(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    off = out - t
    return off.square().mean(2), off * (2 / off.shape[2])


def _absolute_error(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    off = out - t
    return off.abs().mean(2), off.sign() / off.shape[2]


def _huber(out: Tensor, t: Tensor, delta: float) -> tuple[Tensor, Tensor]:
    losses = functional.huber_loss(out, t, reduction="none", delta=delta).mean(2)
    return losses, (out - t).clamp_(-delta, delta) / out.shape[2]


def _pinball(out: Tensor, t: Tensor, levels: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    shares = out.new_tensor(levels)
    over = t[..., None] - out.reshape(*t.shape, len(levels))  # (m, b, v * q) -> (m, b, v, q)
    losses = torch.maximum(shares * over, (shares - 1) * over).flatten(2).mean(2)
    below = torch.heaviside(-over, out.new_tensor(0.5))
    return losses, (below - shares).flatten(2) / out.shape[2]


def _sigmoid_loss(loss_fn: RowLossFn, out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    told = out.sigmoid()
    losses, by_told = loss_fn(told, t)
    return losses, by_told * told * (1 - told)
