"""The loss of several targets, told by one network.

Source: Kendall, Gal & Cipolla 2018, Multi-Task Learning Using Uncertainty to Weigh Losses.
Shapes: b rows, m targets, k numbers that the network gives for a row.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config.training import Auto, Fixed, Loss, Tasks
from ..data.schema import Schema
from ..data.targets import Goal, goals
from .judge import Judge
from .objective import Objective

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
