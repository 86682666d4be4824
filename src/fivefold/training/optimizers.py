"""Optimisers by the names used in params.yaml."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..config.optimizers import Adam, Optimizer, Rmsprop, Sgd
from ..config.training import Training
from ..models.transfer import layers_of


def optimizer_of(network: nn.Module, params: Training, beside: Sequence[nn.Parameter] = ()) -> torch.optim.Optimizer:
    """Return the optimiser of a network's weights, and of those `beside` it, which do not decay.

    Its first group has the learning rate of the last layer.

    Weight decay applies to matrices and filters, not to biases and norms (tensors of one dimension).
    """
    chosen = params.optimizer
    groups: list[dict[str, Any]] = []
    for weights, share in _shares(network, params.start.decay if params.start else 1.0):
        plain = {"params": weights, "weight_decay": 0.0, "lr": share * chosen.lr}
        if chosen.weight_decay:
            decaying = {**plain, "params": _matrices(weights), "weight_decay": chosen.weight_decay}
            groups += [decaying, {**plain, "params": [p for p in weights if p.ndim <= 1]}]
        else:  # one group is one call a step
            groups.append(plain)
    groups.append({"params": list(beside), "weight_decay": 0.0, "lr": chosen.lr})
    optimizer = _optimizer([group for group in groups if group["params"]], chosen)
    optimizer.register_load_state_dict_post_hook(_lay_like_weights)
    return optimizer


def _optimizer(groups: list[dict[str, Any]], chosen: Optimizer) -> torch.optim.Optimizer:
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


def _lay_like_weights(optimizer: torch.optim.Optimizer) -> None:
    """Have what an optimiser keeps of each weight lie in memory as the weight does: fused steps take it for granted.

    Convolutions have their channels last, but a checkpoint is written in the order of rows.
    """
    for weight, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                kept[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


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
