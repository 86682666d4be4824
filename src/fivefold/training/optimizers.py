"""Optimisers by the names used in params.yaml."""

from collections.abc import Sequence

import torch
from torch import nn

from ..params.optimizers import Adam, Rmsprop, Sgd
from ..params.training import Training


def optimizer_of(network: nn.Module, params: Training, beside: Sequence[nn.Parameter] = ()) -> torch.optim.Optimizer:
    """Return the optimiser of a network's weights, and of those `beside` it, which do not decay.

    Weight decay applies to matrices and filters, not to biases and norms (tensors of one dimension).
    """
    chosen = params.optimizer
    groups = [
        {"params": decayed(network), "weight_decay": chosen.weight_decay},
        {"params": [*(p for p in network.parameters() if p.ndim <= 1), *beside], "weight_decay": 0.0},
    ]
    match chosen:
        case Adam():
            betas = (chosen.beta1, chosen.beta2)
            if chosen.name == "nadam":
                return torch.optim.NAdam(groups, lr=chosen.lr, betas=betas)
            kind = torch.optim.Adam if chosen.name == "adam" else torch.optim.AdamW
            return kind(groups, lr=chosen.lr, betas=betas, fused=True)
        case Sgd():
            return torch.optim.SGD(groups, lr=chosen.lr, momentum=chosen.momentum, nesterov=chosen.nesterov, fused=True)
        case Rmsprop():
            return torch.optim.RMSprop(groups, lr=chosen.lr, momentum=chosen.momentum, alpha=chosen.alpha)


def decayed(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights that decay and L1 apply to."""
    return [p for p in network.parameters() if p.ndim > 1]
