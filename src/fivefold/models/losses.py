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

from ..config.training import Auto, Bce, CrossEntropy, Fixed, Focal, Huber, Loss, Plain, Quantile, Tasks
from ..data.schema import Schema
from ..data.targets import Goal, goals


class Judge(nn.Module, ABC):
    """What a network gives for a batch, and targets (b, ...) -> the mean loss over rows.

    Attributes:
        classes: how many classes are told; 0 where there are none.
    """

    classes: int

    @abstractmethod
    def forward(self, out: Any, y: Tensor) -> Tensor:
        """Return the mean loss, a number."""

    @abstractmethod
    def hits(self, out: Any, y: Tensor) -> Tensor | None:
        """Return the share of rows that are told rightly; None where there is no such thing."""

    def learnt(self) -> dict[str, float]:
        """Return what the objective itself has learnt, by name: nothing, if not said otherwise."""
        return {}

    def at(self, epoch: int) -> None:
        """Learn which epoch begins, from 0; of no account, if not said otherwise."""


class Objective(Judge):
    """Outputs (b, k) and targets -> the mean loss over rows.

    Targets are class indices (b,) int64, or shares of classes (b, k) float32, or values (b, k) float32. For a text's
    next tokens outputs are (b, t, k) and targets (b, t).

    Args:
        weights: what a row of each class counts, (k,), the mean over training rows 1; None if all count alike.
    """

    weights: Tensor | None
    levels: Tensor

    def __init__(self, schema: Schema, loss: Loss, weights: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.loss = loss
        self.classes = len(schema.classes)
        levels = torch.tensor(loss.levels) if isinstance(loss, Quantile) else torch.empty(0)
        self.register_buffer("levels", levels, persistent=False)

    def forward(self, out: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss, a number."""
        if not self.classes:
            return self._of_values(out, y)
        if out.ndim == 3:
            out, y = out.flatten(0, 1), y.flatten()
        return self._of_classes(out, y)

    def hits(self, out: Tensor, y: Tensor) -> Tensor | None:
        """Return the share of rows (of all steps, for a text) whose class is told rightly; None for values."""
        if not self.classes:
            return None
        guess = (out[..., 0] > 0).long() if isinstance(self.loss, Bce) else out.argmax(-1)
        return (guess == y).float().mean()

    def _of_classes(self, out: Tensor, y: Tensor) -> Tensor:
        match self.loss:
            case Bce():
                truth = y[:, 1:] if y.is_floating_point() else y[:, None].to(out.dtype)
                losses = functional.binary_cross_entropy_with_logits(out, truth, reduction="none")[:, 0]
                return (losses * self._counts(y)).mean() if self.weights is not None else losses.mean()
            case Focal(gamma=gamma):
                shares = y if y.is_floating_point() else functional.one_hot(y, out.shape[1])
                log_p = functional.log_softmax(out, dim=1)
                losses = -(shares * (1 - log_p.exp()) ** gamma * log_p).sum(1)
                return (losses * self._counts(y)).mean() if self.weights is not None else losses.mean()
        smoothing = self.loss.smoothing if isinstance(self.loss, CrossEntropy) else 0.0
        if self.weights is None:
            return functional.cross_entropy(out, y, label_smoothing=smoothing)
        # over rows, not over their weights: so parts of a batch add up to the whole
        return functional.cross_entropy(out, y, self.weights, reduction="sum", label_smoothing=smoothing) / len(out)

    def _counts(self, y: Tensor) -> Tensor:
        """Return what each row counts, (b,)."""
        if self.weights is None:
            return torch.ones(len(y), device=y.device)
        return y @ self.weights if y.is_floating_point() else self.weights[y]

    def _of_values(self, out: Tensor, y: Tensor) -> Tensor:
        match self.loss:
            case Plain(name="mae"):
                return functional.l1_loss(out, y)
            case Huber(delta=delta):
                return functional.huber_loss(out, y, delta=delta)
            case Quantile():
                over = y[:, :, None] - out.reshape(*y.shape, -1)  # (b, k * q) -> (b, k, q)
                return torch.maximum(self.levels * over, (self.levels - 1) * over).mean()
        return functional.mse_loss(out, y)


def outputs_of(schema: Schema, loss: Loss) -> int:
    """Return how many numbers a network must give for a record."""
    match loss:
        case Bce():
            return 1
        case Quantile(levels=levels):
            return len(schema.values) * len(levels)
    return schema.n_outputs


USUAL = Auto(name="auto")


class Together(Judge):
    """Outputs (b, k) and targets (b, m) -> the mean over rows of what their targets cost, each times its weight.

    Targets are class indices or values, NaN where missing: what is missing costs nothing. A mean over rows is that of
    its parts, so a batch may be shared by devices.

    Uncertainty: of log variances s, which are learnt, a value costs exp(-s) / 2 * loss + s / 2, a class
    exp(-s) * loss + s / 2; the least is where exp(s) is the mean squared error, or twice the cross-entropy.

    Args:
        loss: of the leading target; the others have the usual one.
        weights: what a row of each class of the leading target counts; None if all count alike.
    """

    factors: Tensor

    def __init__(self, schema: Schema, loss: Loss, tasks: Tasks, weights: Tensor | None = None) -> None:
        super().__init__()
        self.goals = goals(schema)
        self.leading = Objective(self.goals[0].schema, loss, weights)
        self.classes = self.leading.classes
        self.further = nn.ModuleList(Objective(goal.schema, USUAL) for goal in self.goals[1:])
        factors, log_variances = torch.ones(len(self.goals)), None
        if isinstance(tasks, Fixed):
            factors = torch.tensor([tasks.weights.get(goal.schema.target, 1.0) for goal in self.goals])
        else:
            factors = torch.tensor([1.0 if goal.schema.classes else 0.5 for goal in self.goals])
            log_variances = nn.Parameter(torch.zeros(len(self.goals)))
        self.register_buffer("factors", factors, persistent=False)
        self.log_variances = log_variances

    def forward(self, out: Tensor, y: Tensor) -> Tensor:
        """Return the mean over rows, a number."""
        leading = self.leading(out[:, self.goals[0].columns], self.leading_of(y))
        rest = [
            _cost(objective, goal, out[:, goal.columns], y[:, i])
            for i, (objective, goal) in enumerate(zip(self.further, self.goals[1:], strict=True), start=1)
        ]
        total = (self.counts() * torch.stack([leading, *rest])).sum()
        if self.log_variances is None:
            return total
        return total + (self.log_variances * (~y.isnan()).float().mean(0)).sum() / 2

    def hits(self, out: Tensor, y: Tensor) -> Tensor | None:
        """Return the share of rows whose leading class is told rightly; None if that target is a value."""
        return self.leading.hits(out[:, self.goals[0].columns], self.leading_of(y))

    def counts(self) -> Tensor:
        """Return what the loss of each target counts, (m,)."""
        return self.factors if self.log_variances is None else self.factors * (-self.log_variances).exp()

    def learnt(self) -> dict[str, float]:
        """Return the weight of each target by name, if weights are learnt."""
        if self.log_variances is None:
            return {}
        names = [f"weight/{goal.schema.target}" for goal in self.goals]
        return dict(zip(names, self.counts().tolist(), strict=True))

    def leading_of(self, y: Tensor) -> Tensor:
        """Return the leading target of y (b, m): classes (b,), or values (b, 1)."""
        return y[:, 0].long() if self.classes else y[:, :1]


def _cost(objective: nn.Module, goal: Goal, out: Tensor, y: Tensor) -> Tensor:
    """Return the loss of one target, summed over the rows that have it and divided by all; out (b, c), y (b,)."""
    known = ~y.isnan()
    if goal.schema.classes:
        index = torch.where(known, y, 0.0).long()
        truth = functional.one_hot(index, len(goal.schema.classes)) * known[:, None]  # (b,) -> (b, c), 0 if missing
        return objective(out, truth.to(out.dtype))  # type: ignore[no-any-return]
    truth = torch.where(known, y, out[:, 0].detach())  # what is told is right: no loss, no gradient
    return objective(out, truth[:, None])  # type: ignore[no-any-return]


def objective_of(schema: Schema, loss: Loss, tasks: Tasks, weights: Tensor | None = None) -> Objective | Together:
    """Return the objective for as many targets as the schema has."""
    return Together(schema, loss, tasks, weights) if schema.also else Objective(schema, loss, weights)
