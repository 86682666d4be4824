"""The loss of autoencoders: reconstruction, and the regularization of the variant.

Source: the papers cited in `config.networks.autoencoder`; the variance of a Gaussian likelihood is that of its errors
(Rybkin, Daniilidis & Levine 2021).
Shapes: b samples, l latent dimensions, r the shape of a reconstruction.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from ...config.networks.autoencoder import Autoencoder, SparseVariant, VariationalVariant
from ...config.training import BCELoss, HuberLoss, LossConfig, MeanErrorLoss
from ..factory import InputSpec
from ..losses import Loss
from .network import AutoencoderOutput

VARIANCE_DECAY = 0.95
"""Decay per step of the running variance of a Gaussian likelihood."""


class AutoencoderLoss(Loss):
    """Training outputs and features (b, ...) -> the mean loss over samples, per reconstructed number or category.

    Attributes:
        epoch: current epoch of the training, from 0; drives the warm-up of beta.
        variance: running variance of a Gaussian likelihood, 0 before the first step.
    """

    n_classes = 0
    variance: Tensor

    def __init__(self, params: Autoencoder, config: LossConfig, spec: InputSpec) -> None:
        super().__init__()
        self.variant, self.config = params.variant, config
        self.uses_sigmoid = params.output_activation == "sigmoid"
        self.has_mask, self.one_hot_sizes = spec.has_mask, spec.one_hot_sizes
        self.epoch = 0
        self.register_buffer("variance", torch.tensor(0.0))

    def forward(self, outputs: AutoencoderOutput, y: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        if not self.has_mask and not self.one_hot_sizes:  # all samples have the same number of values
            return self._numeric_loss(outputs.reconstruction, y, None, reduce_mean=True) + self._regularization(
                outputs, y[0].numel()
            )
        losses, count = self._sample_losses(outputs.reconstruction, y)
        return (losses / count).mean() + self._regularization(outputs, count.mean())

    def accuracy(self, outputs: AutoencoderOutput, y: Tensor) -> None:
        """Return None: there are no classes."""

    def set_epoch(self, epoch: int) -> None:
        """Set the current epoch, which drives the warm-up of beta."""
        self.epoch = epoch

    @torch.no_grad()
    def constant_prediction_loss(self, train: Tensor, validation: Tensor) -> float:
        """Return the validation loss of predicting the mean of the training features for every row."""
        constant = _masked_mean(train, self.has_mask)
        sizes = [len(constant) - sum(self.one_hot_sizes), *self.one_hot_sizes] if self.one_hot_sizes else []
        if self.uses_sigmoid or isinstance(self.config, BCELoss):
            numeric = constant[: sizes[0]] if sizes else constant
            numeric.clamp_(1e-6, 1 - 1e-6).logit_()
        if sizes:
            constant[sizes[0] :].clamp_(min=1e-6).log_()
        losses, count = self._sample_losses(
            constant.expand(len(validation), *constant.shape), validation, use_batch_variance=True
        )
        return float((losses / count).mean())

    def _sample_losses(
        self, reconstruction: Tensor, y: Tensor, *, use_batch_variance: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of elementwise sample, (b,), and its number of values and categories, (b,)."""
        mask = y[:, :, -1:] if self.has_mask else None
        target = y[:, :, :-1] if self.has_mask else y
        numeric, *blocks = (
            torch.split(reconstruction, [reconstruction.shape[1] - sum(self.one_hot_sizes), *self.one_hot_sizes], dim=1)
            if self.one_hot_sizes
            else (reconstruction,)
        )
        elementwise = self._numeric_loss(
            numeric, target[:, : numeric.shape[1]] if blocks else target, mask, use_batch_variance=use_batch_variance
        )
        if mask is not None:
            elementwise = elementwise * mask
            count = mask.sum((1, 2)) * target.shape[2]
        else:
            count = torch.full((len(y),), float(math.prod(numeric.shape[1:])), device=y.device)
        losses, start = elementwise.flatten(1).sum(1), numeric.shape[1]
        for block in blocks:
            end = start + block.shape[1]
            losses = losses + functional.cross_entropy(block, target[:, start:end], reduction="none")
            start = end
        return losses, (count + len(blocks)).clamp_min(1)

    def _numeric_loss(
        self,
        reconstruction: Tensor,
        y: Tensor,
        mask: Tensor | None,
        *,
        use_batch_variance: bool = False,
        reduce_mean: bool = False,
    ) -> Tensor:
        """Return the loss of each value, in the shape of y, or their mean."""
        reduction = "mean" if reduce_mean else "none"
        if isinstance(self.config, BCELoss):
            return functional.binary_cross_entropy_with_logits(reconstruction, y.clamp(0, 1), reduction=reduction)
        reconstruction = reconstruction.sigmoid() if self.uses_sigmoid else reconstruction
        match self.config:
            case MeanErrorLoss(name="mae"):
                return functional.l1_loss(reconstruction, y, reduction=reduction)
            case HuberLoss(delta=delta):
                return functional.huber_loss(reconstruction, y, reduction=reduction, delta=delta)
        square = functional.mse_loss(reconstruction, y, reduction=reduction)
        if not isinstance(self.variant, VariationalVariant):
            return square
        variance = self._track_variance(square.detach(), mask, use_batch_variance)
        return (variance.log() + square / variance + math.log(2 * math.pi)) / 2

    def _track_variance(self, squared_errors: Tensor, mask: Tensor | None, use_batch_variance: bool) -> Tensor:
        """Return the variance of a Gaussian likelihood: the running mean squared error of the training."""
        mean = (
            squared_errors.mean()
            if mask is None
            else (squared_errors * mask).sum() / (mask.sum() * squared_errors.shape[2])
        )
        mean = mean.clamp_min(1e-6)
        if use_batch_variance or not self.variance:
            if self.training and not use_batch_variance:
                self.variance.copy_(mean)
            return mean
        if self.training:
            self.variance.lerp_(mean, 1 - VARIANCE_DECAY)
        return self.variance.clone()

    def _regularization(self, outputs: AutoencoderOutput, n_values: Tensor | int) -> Tensor | float:
        """Return the regularization term of the variant; `n_values` is the number of values of a sample."""
        match self.variant:
            case SparseVariant(penalty="l1", weight=weight):
                return weight * outputs.latent.abs().mean()
            case SparseVariant(weight=weight, target_activation=target):
                mean = outputs.latent.mean(0).clamp(1e-6, 1 - 1e-6)
                return weight * _bernoulli_kl(target, mean).sum()
            case VariationalVariant(beta=beta, warmup_epochs=warmup_epochs, free_bits=free_bits):
                assert outputs.log_variance is not None
                kl = kl_divergence(outputs.latent, outputs.log_variance).mean(0).clamp_min(free_bits).sum()
                warmup = min(1.0, (self.epoch + 1) / (warmup_epochs + 1)) if self.training else 1.0
                return beta * warmup * kl / n_values
        if outputs.jacobian_norm is None:
            return 0.0
        return self.variant.weight * outputs.jacobian_norm.mean()  # type: ignore[union-attr]


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence of each latent dimension from the standard normal distribution, in nats; (b, l)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2


def _bernoulli_kl(target: float, mean: Tensor) -> Tensor:
    """Return the KL divergence between Bernoulli distributions of probability `target` and `mean`."""
    return target * (target / mean).log() + (1 - target) * ((1 - target) / (1 - mean)).log()


def _masked_mean(y: Tensor, has_mask: bool) -> Tensor:
    """Return the mean of features over rows, over mask steps only if they are masked: (*r)."""
    if not has_mask:
        return y.mean(0)
    mask = y[:, :, -1:]
    return (y[:, :, :-1] * mask).sum(0) / mask.sum(0).clamp_min(1)
