"""Loss functions: the base class, the losses of params.yaml, and the weighted sum over several targets.

Source: Kendall, Gal & Cipolla 2018 for learned loss weights (homoscedastic uncertainty).
Shapes: b samples, k outputs (classes or values), q quantile levels, t steps of a text, m targets.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config.training import (
    AutoLoss,
    BCELoss,
    CrossEntropyLoss,
    FixedWeights,
    FocalLoss,
    HuberLoss,
    LossConfig,
    LossWeightsConfig,
    MeanErrorLoss,
    QuantileLoss,
)
from ..data.schema import Schema
from ..data.targets import TargetSpec, target_specs


class Loss(nn.Module, ABC):
    """Outputs of a network and targets (b, ...) -> the mean loss over samples.

    Attributes:
        n_classes: number of classes predicted; 0 for regression and reconstruction.
    """

    n_classes: int

    @abstractmethod
    def forward(self, outputs: Any, y: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""

    @abstractmethod
    def accuracy(self, outputs: Any, y: Tensor) -> Tensor | None:
        """Return the share of correct predictions; None if there are no classes."""

    def learned_weights(self) -> dict[str, float]:
        """Return the parameters that the loss has learned, by name; empty by default."""
        return {}

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the current epoch, from 0; ignored by default."""


class SupervisedLoss(Loss):
    """Outputs (b, k) and targets -> the mean loss over samples.

    Targets are class indices (b,) int64, soft labels (b, k) float32 or values (b, k) float32. For the next tokens of a
    text outputs are (b, t, k) and targets (b, t).

    Args:
        schema: of a single target.
        config: the configured loss.
        class_weights: weight of a sample of each class, (k,), with mean 1 over the training rows; None for equal
            weights.
    """

    class_weights: Tensor | None
    quantiles: Tensor

    def __init__(self, schema: Schema, config: LossConfig, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.config = config
        self.n_classes = len(schema.classes)
        levels = torch.tensor(config.quantiles) if isinstance(config, QuantileLoss) else torch.empty(0)
        self.register_buffer("quantiles", levels, persistent=False)

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        if not self.n_classes:
            return self._regression_loss(outputs, y)
        if outputs.ndim == 3:
            outputs, y = outputs.flatten(0, 1), y.flatten()
        return self._classification_loss(outputs, y)

    def accuracy(self, outputs: Tensor, y: Tensor) -> Tensor | None:
        """Return the share of rows (of all steps, for a text) with a correct prediction; None for regression."""
        if not self.n_classes:
            return None
        predicted = (outputs[..., 0] > 0).long() if isinstance(self.config, BCELoss) else outputs.argmax(-1)
        return (predicted == y).float().mean()

    def _classification_loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        match self.config:
            case BCELoss():
                target = y[:, 1:] if y.is_floating_point() else y[:, None].to(outputs.dtype)
                losses = functional.binary_cross_entropy_with_logits(outputs, target, reduction="none")[:, 0]
                return (losses * self._sample_weights(y)).mean() if self.class_weights is not None else losses.mean()
            case FocalLoss(gamma=gamma):
                probabilities = y if y.is_floating_point() else functional.one_hot(y, outputs.shape[1])
                log_p = functional.log_softmax(outputs, dim=1)
                losses = -(probabilities * (1 - log_p.exp()) ** gamma * log_p).sum(1)
                return (losses * self._sample_weights(y)).mean() if self.class_weights is not None else losses.mean()
        smoothing = self.config.label_smoothing if isinstance(self.config, CrossEntropyLoss) else 0.0
        if self.class_weights is None:
            return functional.cross_entropy(outputs, y, label_smoothing=smoothing)
        # divided by the number of rows, not by the sum of weights, so that micro-batches add up to the batch
        return functional.cross_entropy(
            outputs, y, self.class_weights, reduction="sum", label_smoothing=smoothing
        ) / len(outputs)

    def _sample_weights(self, y: Tensor) -> Tensor:
        """Return the weight of each row, (b,)."""
        if self.class_weights is None:
            return torch.ones(len(y), device=y.device)
        return y @ self.class_weights if y.is_floating_point() else self.class_weights[y]

    def _regression_loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        match self.config:
            case MeanErrorLoss(name="mae"):
                return functional.l1_loss(outputs, y)
            case HuberLoss(delta=delta):
                return functional.huber_loss(outputs, y, delta=delta)
            case QuantileLoss():
                error = y[:, :, None] - outputs.reshape(*y.shape, -1)  # (b, k * q) -> (b, k, q)
                return torch.maximum(self.quantiles * error, (self.quantiles - 1) * error).mean()
        return functional.mse_loss(outputs, y)


def output_size(schema: Schema, config: LossConfig) -> int:
    """Return the number of outputs per sample that a network needs."""
    match config:
        case BCELoss():
            return 1
        case QuantileLoss(quantiles=levels):
            return len(schema.values) * len(levels)
    return schema.n_outputs


DEFAULT_LOSS = AutoLoss(name="auto")


class MultiTaskLoss(Loss):
    """Outputs (b, k) and targets (b, m) -> the mean over rows of the weighted sum of the losses of all targets.

    Targets are class indices or values, NaN where missing: missing targets add nothing to the loss. The mean over a
    batch equals that over its parts, so that devices can share a batch.

    With learned log variances s, a numeric target adds exp(-s) / 2 * loss + s / 2 and a class exp(-s) * loss + s / 2;
    the minimum is where exp(s) is the mean squared error, or twice the cross-entropy.

    Args:
        schema: of all targets.
        config: loss of the primary target; the auxiliary ones use the default loss.
        loss_weights: fixed or learned weights of the targets.
        class_weights: weight of a row of each class of the primary target; None for equal weights.
    """

    base_weights: Tensor

    def __init__(
        self, schema: Schema, config: LossConfig, loss_weights: LossWeightsConfig, class_weights: Tensor | None = None
    ) -> None:
        super().__init__()
        self.target_specs = target_specs(schema)
        self.primary = SupervisedLoss(self.target_specs[0].schema, config, class_weights)
        self.n_classes = self.primary.n_classes
        self.auxiliary = nn.ModuleList(SupervisedLoss(spec.schema, DEFAULT_LOSS) for spec in self.target_specs[1:])
        log_variances = None
        if isinstance(loss_weights, FixedWeights):
            base_weights = torch.tensor(
                [loss_weights.weights.get(spec.schema.target, 1.0) for spec in self.target_specs]
            )
        else:
            base_weights = torch.tensor([1.0 if spec.schema.classes else 0.5 for spec in self.target_specs])
            log_variances = nn.Parameter(torch.zeros(len(self.target_specs)))
        self.register_buffer("base_weights", base_weights, persistent=False)
        self.log_variances = log_variances

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        primary = self.primary(outputs[:, self.target_specs[0].columns], self.primary_target(y))
        auxiliary = [
            _masked_loss(criterion, spec, outputs[:, spec.columns], y[:, i])
            for i, (criterion, spec) in enumerate(zip(self.auxiliary, self.target_specs[1:], strict=True), start=1)
        ]
        total = (self.task_weights() * torch.stack([primary, *auxiliary])).sum()
        if self.log_variances is None:
            return total
        return total + (self.log_variances * (~y.isnan()).float().mean(0)).sum() / 2

    def accuracy(self, outputs: Tensor, y: Tensor) -> Tensor | None:
        """Return the accuracy of the primary target; None if it is numeric."""
        return self.primary.accuracy(outputs[:, self.target_specs[0].columns], self.primary_target(y))

    def task_weights(self) -> Tensor:
        """Return the weight of each target's loss, (m,)."""
        return self.base_weights if self.log_variances is None else self.base_weights * (-self.log_variances).exp()

    def learned_weights(self) -> dict[str, float]:
        """Return the weight of each target by name if weights are learned, else an empty dict."""
        if self.log_variances is None:
            return {}
        names = [f"weight/{spec.schema.target}" for spec in self.target_specs]
        return dict(zip(names, self.task_weights().tolist(), strict=True))

    def primary_target(self, y: Tensor) -> Tensor:
        """Return the primary target of y (b, m): classes (b,), or values (b, 1)."""
        return y[:, 0].long() if self.n_classes else y[:, :1]


def _masked_loss(criterion: nn.Module, spec: TargetSpec, outputs: Tensor, y: Tensor) -> Tensor:
    """Return the loss of one target y (b,), summed over the rows that have it and divided by all; outputs (b, c)."""
    known = ~y.isnan()
    if spec.schema.classes:
        index = torch.where(known, y, 0.0).long()
        target = functional.one_hot(index, len(spec.schema.classes)) * known[:, None]  # (b,) -> (b, c), 0 if missing
        return criterion(outputs, target.to(outputs.dtype))  # type: ignore[no-any-return]
    target = torch.where(known, y, outputs[:, 0].detach())  # equal to the prediction: no loss, no gradient
    return criterion(outputs, target[:, None])  # type: ignore[no-any-return]


def build_loss(
    schema: Schema, config: LossConfig, loss_weights: LossWeightsConfig, class_weights: Tensor | None = None
) -> SupervisedLoss | MultiTaskLoss:
    """Return the loss for the targets of `schema`: `MultiTaskLoss` for several, else `SupervisedLoss`."""
    return (
        MultiTaskLoss(schema, config, loss_weights, class_weights)
        if schema.extra_targets
        else SupervisedLoss(schema, config, class_weights)
    )
