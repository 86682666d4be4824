"""Losses by the names used in params.yaml, over batches.

Shapes: b rows, k classes or values, q quantile levels, t steps of a text.
"""

import torch
from torch import Tensor
from torch.nn import functional

from ..config.training import Bce, CrossEntropy, Focal, Huber, Loss, Plain, Quantile
from ..data.schema import Schema
from .judge import Judge


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
