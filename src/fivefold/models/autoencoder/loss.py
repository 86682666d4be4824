"""What an autoencoder's training makes small: what it tells wrongly, and what its variant asks of its codes.

Source: see params.py; a Gaussian likelihood has the variance of its errors (Rybkin, Daniilidis & Levine 2021).
Shapes: b rows, l numbers of a code, r what is told of a record, n numbers of it, g categories of it.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from ...config.networks.autoencoder import Autoencoder, Sparse, Variational
from ...config.training import Bce, Huber, Loss, Plain
from ..factory import Shape
from ..losses import Judge
from .network import Parts

MEMORY = 0.95
"""Of the variance of a Gaussian likelihood, a step."""


class Rebuilding(Judge):
    """Parts of a batch and its features (b, ...) -> the mean loss over rows, per number or category told.

    Attributes:
        epoch: of the training, from 0; moves the warm-up of beta.
    """

    classes = 0
    variance: Tensor

    def __init__(self, params: Autoencoder, loss: Loss, shape: Shape) -> None:
        super().__init__()
        self.variant, self.loss = params.variant, loss
        self.squashes = params.output == "sigmoid"
        self.masked, self.categories = shape.masked, shape.categories
        self.epoch = 0
        self.register_buffer("variance", torch.tensor(0.0))

    def forward(self, parts: Parts, y: Tensor) -> Tensor:
        """Return the mean loss, a number."""
        if not self.masked and not self.categories:  # every record has as many numbers
            return self._of_numbers(parts.told, y, None, mean=True) + self._asked(parts, y[0].numel())
        losses, count = self._lost(parts.told, y)
        return (losses / count).mean() + self._asked(parts, count.mean())

    def hits(self, parts: Parts, y: Tensor) -> None:
        """Nothing is told rightly or wrongly."""

    def at(self, epoch: int) -> None:
        """Learn which epoch begins: beta's warm-up follows it."""
        self.epoch = epoch

    @torch.no_grad()
    def constant(self, train: Tensor, held_out: Tensor) -> float:
        """Return the loss if the mean of the training features were told for every row of `held_out`."""
        told = _mean(train, self.masked)
        sizes = [len(told) - sum(self.categories), *self.categories] if self.categories else []
        if self.squashes or isinstance(self.loss, Bce):
            numbers = told[: sizes[0]] if sizes else told
            numbers.clamp_(1e-6, 1 - 1e-6).logit_()
        if sizes:
            told[sizes[0] :].clamp_(min=1e-6).log_()
        losses, count = self._lost(told.expand(len(held_out), *told.shape), held_out, fixed=True)
        return float((losses / count).mean())

    def _lost(self, told: Tensor, y: Tensor, *, fixed: bool = False) -> tuple[Tensor, Tensor]:
        """Return the loss of each record, (b,), and how many numbers and categories it has, (b,)."""
        real = y[:, :, -1:] if self.masked else None
        truth = y[:, :, :-1] if self.masked else y
        numbers, *blocks = (
            torch.split(told, [told.shape[1] - sum(self.categories), *self.categories], dim=1)
            if self.categories
            else (told,)
        )
        each = self._of_numbers(numbers, truth[:, : numbers.shape[1]] if blocks else truth, real, fixed=fixed)
        if real is not None:
            each = each * real
            count = real.sum((1, 2)) * truth.shape[2]
        else:
            count = torch.full((len(y),), float(math.prod(numbers.shape[1:])), device=y.device)
        losses, start = each.flatten(1).sum(1), numbers.shape[1]
        for block in blocks:
            end = start + block.shape[1]
            losses = losses + functional.cross_entropy(block, truth[:, start:end], reduction="none")
            start = end
        return losses, (count + len(blocks)).clamp_min(1)

    def _of_numbers(
        self, told: Tensor, y: Tensor, real: Tensor | None, *, fixed: bool = False, mean: bool = False
    ) -> Tensor:
        """Return the loss of each number, in the shape of y, or their mean."""
        over = "mean" if mean else "none"
        if isinstance(self.loss, Bce):
            return functional.binary_cross_entropy_with_logits(told, y.clamp(0, 1), reduction=over)
        told = told.sigmoid() if self.squashes else told
        match self.loss:
            case Plain(name="mae"):
                return functional.l1_loss(told, y, reduction=over)
            case Huber(delta=delta):
                return functional.huber_loss(told, y, reduction=over, delta=delta)
        square = functional.mse_loss(told, y, reduction=over)
        if not isinstance(self.variant, Variational):
            return square
        variance = self._spread(square.detach(), real, fixed)
        return (variance.log() + square / variance + math.log(2 * math.pi)) / 2

    def _spread(self, square: Tensor, real: Tensor | None, fixed: bool) -> Tensor:
        """Return the variance of a Gaussian likelihood: the mean squared error, which training follows."""
        mean = square.mean() if real is None else (square * real).sum() / (real.sum() * square.shape[2])
        mean = mean.clamp_min(1e-6)
        if fixed or not self.variance:
            if self.training and not fixed:
                self.variance.copy_(mean)
            return mean
        if self.training:
            self.variance.lerp_(mean, 1 - MEMORY)
        return self.variance.clone()

    def _asked(self, parts: Parts, count: Tensor | int) -> Tensor | float:
        """Return what the variant asks of the codes beside; count: numbers of a record."""
        match self.variant:
            case Sparse(penalty="l1", weight=weight):
                return weight * parts.code.abs().mean()
            case Sparse(weight=weight, target=target):
                mean = parts.code.mean(0).clamp(1e-6, 1 - 1e-6)
                return weight * _divergence_of_shares(target, mean).sum()
            case Variational(beta=beta, warmup=warmup, free_bits=free):
                assert parts.log_variance is not None
                nats = divergence(parts.code, parts.log_variance).mean(0).clamp_min(free).sum()
                share = min(1.0, (self.epoch + 1) / (warmup + 1)) if self.training else 1.0
                return beta * share * nats / count
        if parts.slope is None:
            return 0.0
        return self.variant.weight * parts.slope.mean()  # type: ignore[union-attr]


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the divergence of each number's normal distribution from the standard one, in nats; (b, l)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2


def _divergence_of_shares(target: float, mean: Tensor) -> Tensor:
    return target * (target / mean).log() + (1 - target) * ((1 - target) / (1 - mean)).log()


def _mean(y: Tensor, masked: bool) -> Tensor:
    """Return the mean of features over rows, of masked steps over those that are real: (*r)."""
    if not masked:
        return y.mean(0)
    real = y[:, :, -1:]
    return (y[:, :, :-1] * real).sum(0) / real.sum(0).clamp_min(1)
