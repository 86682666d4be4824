"""Optimisers and schedules by the names used in params.yaml."""

from typing import Any

import torch
from torch import nn

from ..params.training import Sgd, Training


def configure(network: nn.Module, params: Training, total_steps: int) -> dict[str, Any]:
    """Return what Lightning's `configure_optimizers` returns.

    Weight decay applies to matrices and filters, not to biases and norms (tensors of one dimension).
    """
    optimizer = _optimizer(network, params)
    if params.schedule == "constant":
        return {"optimizer": optimizer}
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        params.optimizer.lr,
        total_steps=total_steps,
        cycle_momentum=False,  # momentum stays what params.yaml says
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _optimizer(network: nn.Module, params: Training) -> torch.optim.Optimizer:
    chosen = params.optimizer
    weights = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": chosen.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    if isinstance(chosen, Sgd):
        return torch.optim.SGD(groups, lr=chosen.lr, momentum=chosen.momentum, nesterov=chosen.nesterov)
    kind = torch.optim.Adam if chosen.name == "adam" else torch.optim.AdamW
    # under mixed precision a fused step cannot be clipped
    return kind(groups, lr=chosen.lr, fused=params.precision == "32")
