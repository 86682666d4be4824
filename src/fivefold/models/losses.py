"""What every objective is: a module that says how far off a network is.

Losses by the names used in params.yaml, over batches.

Shapes: b rows, k classes or values, q quantile levels, t steps of a text.

The loss of several targets, told by one network.

Source: Kendall, Gal & Cipolla 2018, Multi-Task Learning Using Uncertainty to Weigh Losses.
Shapes: b rows, m targets, k numbers that the network gives for a row.
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
    """What a network gives for a batch, and targets (b, ...) -> the mean loss over rows.

    Attributes:
        classes: how many classes are told; 0 where there are none.
    """

    n_classes: int

    @abstractmethod
    def forward(self, outputs: Any, y: Tensor) -> Tensor:
        """Return the mean loss, a number."""

    @abstractmethod
    def accuracy(self, outputs: Any, y: Tensor) -> Tensor | None:
        """Return the share of rows that are told rightly; None where there is no such thing."""

    def learned_weights(self) -> dict[str, float]:
        """Return what the objective itself has learnt, by name: nothing, if not said otherwise."""
        return {}

    def set_epoch(self, epoch: int) -> None:
        """Learn which epoch begins, from 0; of no account, if not said otherwise."""


class SupervisedLoss(Loss):
    """Outputs (b, k) and targets -> the mean loss over rows.

    Targets are class indices (b,) int64, or shares of classes (b, k) float32, or values (b, k) float32. For a text's
    next tokens outputs are (b, t, k) and targets (b, t).

    Args:
        weights: what a row of each class counts, (k,), the mean over training rows 1; None if all count alike.
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
        """Return the mean loss, a number."""
        if not self.n_classes:
            return self._regression_loss(outputs, y)
        if outputs.ndim == 3:
            outputs, y = outputs.flatten(0, 1), y.flatten()
        return self._classification_loss(outputs, y)

    def accuracy(self, outputs: Tensor, y: Tensor) -> Tensor | None:
        """Return the share of rows (of all steps, for a text) whose class is told rightly; None for values."""
        if not self.n_classes:
            return None
        guess = (outputs[..., 0] > 0).long() if isinstance(self.config, BCELoss) else outputs.argmax(-1)
        return (guess == y).float().mean()

    def _classification_loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        match self.config:
            case BCELoss():
                truth = y[:, 1:] if y.is_floating_point() else y[:, None].to(outputs.dtype)
                losses = functional.binary_cross_entropy_with_logits(outputs, truth, reduction="none")[:, 0]
                return (losses * self._sample_weights(y)).mean() if self.class_weights is not None else losses.mean()
            case FocalLoss(gamma=gamma):
                shares = y if y.is_floating_point() else functional.one_hot(y, outputs.shape[1])
                log_p = functional.log_softmax(outputs, dim=1)
                losses = -(shares * (1 - log_p.exp()) ** gamma * log_p).sum(1)
                return (losses * self._sample_weights(y)).mean() if self.class_weights is not None else losses.mean()
        smoothing = self.config.label_smoothing if isinstance(self.config, CrossEntropyLoss) else 0.0
        if self.class_weights is None:
            return functional.cross_entropy(outputs, y, label_smoothing=smoothing)
        # over rows, not over their weights: so parts of a batch add up to the whole
        return functional.cross_entropy(
            outputs, y, self.class_weights, reduction="sum", label_smoothing=smoothing
        ) / len(outputs)

    def _sample_weights(self, y: Tensor) -> Tensor:
        """Return what each row counts, (b,)."""
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
                over = y[:, :, None] - outputs.reshape(*y.shape, -1)  # (b, k * q) -> (b, k, q)
                return torch.maximum(self.quantiles * over, (self.quantiles - 1) * over).mean()
        return functional.mse_loss(outputs, y)


def output_size(schema: Schema, config: LossConfig) -> int:
    """Return how many numbers a network must give for a record."""
    match config:
        case BCELoss():
            return 1
        case QuantileLoss(quantiles=levels):
            return len(schema.values) * len(levels)
    return schema.n_outputs


DEFAULT_LOSS = AutoLoss(name="auto")


class MultiTaskLoss(Loss):
    """Outputs (b, k) and targets (b, m) -> the mean over rows of what their targets cost, each times its weight.

    Targets are class indices or values, NaN where missing: what is missing costs nothing. A mean over rows is that of
    its parts, so a batch may be shared by devices.

    Uncertainty: of log variances s, which are learnt, a value costs exp(-s) / 2 * loss + s / 2, a class
    exp(-s) * loss + s / 2; the least is where exp(s) is the mean squared error, or twice the cross-entropy.

    Args:
        loss: of the leading target; the others have the usual one.
        weights: what a row of each class of the leading target counts; None if all count alike.
    """

    base_weights: Tensor

    def __init__(
        self, schema: Schema, config: LossConfig, loss_weights: LossWeightsConfig, class_weights: Tensor | None = None
    ) -> None:
        super().__init__()
        self.target_specs = target_specs(schema)
        self.primary = SupervisedLoss(self.target_specs[0].schema, config, class_weights)
        self.n_classes = self.primary.n_classes
        self.auxiliary = nn.ModuleList(SupervisedLoss(goal.schema, DEFAULT_LOSS) for goal in self.target_specs[1:])
        factors, log_variances = torch.ones(len(self.target_specs)), None
        if isinstance(loss_weights, FixedWeights):
            factors = torch.tensor([loss_weights.weights.get(goal.schema.target, 1.0) for goal in self.target_specs])
        else:
            factors = torch.tensor([1.0 if goal.schema.classes else 0.5 for goal in self.target_specs])
            log_variances = nn.Parameter(torch.zeros(len(self.target_specs)))
        self.register_buffer("base_weights", factors, persistent=False)
        self.log_variances = log_variances

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean over rows, a number."""
        leading = self.primary(outputs[:, self.target_specs[0].columns], self.primary_target(y))
        rest = [
            _masked_loss(objective, goal, outputs[:, goal.columns], y[:, i])
            for i, (objective, goal) in enumerate(zip(self.auxiliary, self.target_specs[1:], strict=True), start=1)
        ]
        total = (self.task_weights() * torch.stack([leading, *rest])).sum()
        if self.log_variances is None:
            return total
        return total + (self.log_variances * (~y.isnan()).float().mean(0)).sum() / 2

    def accuracy(self, outputs: Tensor, y: Tensor) -> Tensor | None:
        """Return the share of rows whose leading class is told rightly; None if that target is a value."""
        return self.primary.accuracy(outputs[:, self.target_specs[0].columns], self.primary_target(y))

    def task_weights(self) -> Tensor:
        """Return what the loss of each target counts, (m,)."""
        return self.base_weights if self.log_variances is None else self.base_weights * (-self.log_variances).exp()

    def learned_weights(self) -> dict[str, float]:
        """Return the weight of each target by name, if weights are learnt."""
        if self.log_variances is None:
            return {}
        names = [f"weight/{goal.schema.target}" for goal in self.target_specs]
        return dict(zip(names, self.task_weights().tolist(), strict=True))

    def primary_target(self, y: Tensor) -> Tensor:
        """Return the leading target of y (b, m): classes (b,), or values (b, 1)."""
        return y[:, 0].long() if self.n_classes else y[:, :1]


def _masked_loss(criterion: nn.Module, spec: TargetSpec, outputs: Tensor, y: Tensor) -> Tensor:
    """Return the loss of one target, summed over the rows that have it and divided by all; out (b, c), y (b,)."""
    known = ~y.isnan()
    if spec.schema.classes:
        index = torch.where(known, y, 0.0).long()
        truth = functional.one_hot(index, len(spec.schema.classes)) * known[:, None]  # (b,) -> (b, c), 0 if missing
        return criterion(outputs, truth.to(outputs.dtype))  # type: ignore[no-any-return]
    truth = torch.where(known, y, outputs[:, 0].detach())  # what is told is right: no loss, no gradient
    return criterion(outputs, truth[:, None])  # type: ignore[no-any-return]


def build_loss(
    schema: Schema, config: LossConfig, loss_weights: LossWeightsConfig, class_weights: Tensor | None = None
) -> SupervisedLoss | MultiTaskLoss:
    """Return the objective for as many targets as the schema has."""
    return (
        MultiTaskLoss(schema, config, loss_weights, class_weights)
        if schema.extra_targets
        else SupervisedLoss(schema, config, class_weights)
    )
