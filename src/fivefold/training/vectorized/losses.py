"""Batched losses of many networks with explicit gradients; autograd would take longer than a training step.

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
"""(outputs (m, b, k), targets) -> loss of each row (m, b), and its gradient with respect to the outputs (m, b, k).

Targets are soft labels (m, b, c), multiplied by class weights, or values (m, b, v).
"""


def build_row_loss(params: Model, classes: int) -> RowLossFn:
    """Return the function of the losses of rows, whose mean is the criterion of a training by `params`.

    classes: number of classes; 0 for values.
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
            loss_fn: RowLossFn = _absolute_error
        case HuberLoss(delta=delta):
            loss_fn = partial(_huber, delta=delta)
        case QuantileLoss(quantiles=quantiles):
            return partial(_pinball, quantiles=quantiles)
        case _:
            loss_fn = _squared_error
    has_sigmoid_output = isinstance(network, Autoencoder) and network.output_activation == "sigmoid"
    return partial(_sigmoid_loss, loss_fn) if has_sigmoid_output else loss_fn


def soft_targets(params: Model, y: Tensor, classes: int, weights: Tensor | None) -> Tensor:
    """Return soft labels (n, c) of classes y (n,), with label smoothing and multiplied by class weights."""
    loss = params.training.loss
    labels = functional.one_hot(y, classes).float()
    if isinstance(loss, CrossEntropyLoss) and loss.label_smoothing:
        labels = labels * (1 - loss.label_smoothing) + loss.label_smoothing / classes
    return labels if weights is None else labels * weights


def _cross_entropy(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    log_p = out.log_softmax(2)
    losses = -(t * log_p).sum(2)
    return losses, log_p.exp_().mul_(t.sum(2, keepdim=True)).sub_(t)


def _focal(out: Tensor, t: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    log_p = out.log_softmax(2)
    p = log_p.exp()
    q = 1 - p
    weighted = t * q**gamma
    by_log_p = gamma * t * q ** (gamma - 1) * p * log_p - weighted
    return -(weighted * log_p).sum(2), by_log_p - p * by_log_p.sum(2, keepdim=True)


def _binary_cross_entropy(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    negative, positive = t[..., :1], t[..., 1:]
    losses = negative * functional.softplus(out) + positive * functional.softplus(-out)  # (m, b, 1)
    return losses[..., 0], out.sigmoid() * (negative + positive) - positive


def _pixel_cross_entropy(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    t = t.clamp(0, 1)
    losses = functional.binary_cross_entropy_with_logits(out, t, reduction="none").mean(2)
    return losses, (out.sigmoid() - t) / out.shape[2]


def _squared_error(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    error = out - t
    return error.square().mean(2), error * (2 / error.shape[2])


def _absolute_error(out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    error = out - t
    return error.abs().mean(2), error.sign() / error.shape[2]


def _huber(out: Tensor, t: Tensor, delta: float) -> tuple[Tensor, Tensor]:
    losses = functional.huber_loss(out, t, reduction="none", delta=delta).mean(2)
    return losses, (out - t).clamp_(-delta, delta) / out.shape[2]


def _pinball(out: Tensor, t: Tensor, quantiles: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    q = out.new_tensor(quantiles)
    error = t[..., None] - out.reshape(*t.shape, len(quantiles))  # (m, b, v * q) -> (m, b, v, q)
    losses = torch.maximum(q * error, (q - 1) * error).flatten(2).mean(2)
    is_below = torch.heaviside(-error, out.new_tensor(0.5))
    return losses, (is_below - q).flatten(2) / out.shape[2]


def _sigmoid_loss(loss_fn: RowLossFn, out: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    p = out.sigmoid()
    losses, by_p = loss_fn(p, t)
    return losses, by_p * p * (1 - p)
