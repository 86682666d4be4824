"""Optimisers of many networks at once, each with its own learning rate: PyTorch's own fused steps over flat weights.

Shapes: m networks, p numbers of their weights, of which the first d decay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ...config.optimizers import Adam, Optimizer, Sgd
from .model import Side, Weights

Row = Sequence[Tensor]
"""Parts of what an optimiser moves and remembers for one network: the weights, their gradient, its memories."""


@dataclass(frozen=True)
class Memory(Side):
    """What optimisers remember: means (m, p) of gradients and of their squares, steps (m,) taken so far."""

    mean: Tensor
    square: Tensor
    steps: Tensor

    @classmethod
    def of(cls, weights: Weights) -> Self:
        """Return what is remembered before the first step."""
        now = weights.now
        return cls(torch.zeros_like(now), torch.zeros_like(now), torch.zeros(len(now), device=now.device))


class Movers:
    """The optimisers of networks, which differ in numbers only.

    Args:
        chosen: the optimiser of each.
        decaying: d.
    """

    def __init__(self, chosen: Sequence[Optimizer], weights: Weights, memory: Memory, decaying: int) -> None:
        self.chosen, self.steps = chosen, memory.steps
        self.taken = memory.steps.unbind()
        whole = (weights.now, weights.gradient, memory.mean, memory.square)
        self.whole = _rows(whole)
        self.matrices = _rows([part[:, :decaying] for part in whole])
        self.rest = _rows([part[:, decaying:] for part in whole])

    def step(self, span: slice, rates: Sequence[float], *, first: bool) -> None:
        """Move the networks of a span by their gradients.

        rates: the learning rate of each network of the span.
        first: whether it is their first step.
        """
        self.steps[span] += 1
        alike: dict[tuple[object, ...], list[int]] = {}
        for i, rate in zip(range(span.start, span.stop), rates, strict=True):
            alike.setdefault((rate, *_numbers(self.chosen[i])), []).append(i)
        for which in alike.values():
            chosen, rate = self.chosen[which[0]], rates[which[0] - span.start]
            steps = [self.taken[i] for i in which]
            if chosen.weight_decay:
                _move(chosen, [self.matrices[i] for i in which], steps, rate, chosen.weight_decay, first=first)
                _move(chosen, [self.rest[i] for i in which], steps, rate, 0.0, first=first)
            else:
                _move(chosen, [self.whole[i] for i in which], steps, rate, 0.0, first=first)


def _rows(tensors: Sequence[Tensor]) -> list[Row]:
    return list(zip(*(tensor.unbind() for tensor in tensors), strict=True))


def _numbers(chosen: Optimizer) -> tuple[object, ...]:
    """Return what optimisers must share to take a step in one call, beside the learning rate."""
    if isinstance(chosen, Adam):
        return chosen.weight_decay, chosen.beta1, chosen.beta2
    return chosen.weight_decay, chosen.momentum, isinstance(chosen, Sgd) and chosen.nesterov


def _move(
    chosen: Optimizer, rows: Sequence[Row], steps: list[Tensor], rate: float, decay: float, *, first: bool
) -> None:
    now, gradient, mean, square = (list(parts) for parts in zip(*rows, strict=True))
    match chosen:
        case Adam():
            move = torch._fused_adam_ if chosen.name == "adam" else torch._fused_adamw_
            move(
                now,
                gradient,
                mean,
                square,
                [],
                steps,
                lr=rate,
                beta1=chosen.beta1,
                beta2=chosen.beta2,
                weight_decay=decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )
        case Sgd():
            torch._fused_sgd_(
                now,
                gradient,
                mean if chosen.momentum else [],
                weight_decay=decay,
                momentum=chosen.momentum,
                lr=rate,
                dampening=0.0,
                nesterov=chosen.nesterov,
                maximize=False,
                is_first_step=first,
            )
        case _:
            raise AssertionError(chosen)
