"""Optimisers by the names used in params.yaml."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from ..families.depth import layers_of
from ..params.optimizers import Adam, Rmsprop, Sgd
from ..params.training import Training


def optimizer_of(network: nn.Module, params: Training, beside: Sequence[nn.Parameter] = ()) -> torch.optim.Optimizer:
    """Return the optimiser of a network's weights, and of those `beside` it, which do not decay.

    Its first group has the learning rate of the last layer.

    Weight decay applies to matrices and filters, not to biases and norms (tensors of one dimension).
    """
    chosen = params.optimizer
    groups = []
    for weights, share in _shares(network, params.start.decay if params.start else 1.0):
        rest = {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0, "lr": share * chosen.lr}
        groups += [{**rest, "params": _matrices(weights), "weight_decay": chosen.weight_decay}, rest]
    groups.append({"params": list(beside), "weight_decay": 0.0, "lr": chosen.lr})
    groups = [group for group in groups if group["params"]]
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


def _shares(network: nn.Module, decay: float) -> list[tuple[list[nn.Parameter], float]]:
    """Return weights with their share of the learning rate, layer by layer, from the last one on (`Start.decay`)."""
    if decay == 1:
        return [(list(network.parameters()), 1.0)]
    layers = reversed(layers_of(network))
    return [(layer.parameters(), decay**behind) for behind, layer in enumerate(layers)]


def decayed(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights that decay and L1 apply to."""
    return _matrices(network.parameters())


def _matrices(weights: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [p for p in weights if p.ndim > 1]
