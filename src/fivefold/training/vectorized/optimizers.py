"""Optimisers of many networks at once, each with its own learning rate: PyTorch's own fused steps over flat weights.

Shapes: m networks, p numbers of their weights, of which the first d decay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ...config.optimizers import Adam, OptimizerConfig, Sgd
from .model import StackedTensors, StackedWeights

ModelTensors = Sequence[Tensor]
"""Parts of what an optimiser moves and remembers for one network: the weights, their gradient, its memories."""


@dataclass(frozen=True)
class OptimizerState(StackedTensors):
    """What optimisers remember: means (m, p) of gradients and of their squares, steps (m,) taken so far."""

    exp_avg: Tensor
    exp_avg_sq: Tensor
    steps: Tensor

    @classmethod
    def from_weights(cls, weights: StackedWeights) -> Self:
        """Return what is remembered before the first step."""
        now = weights.values
        return cls(torch.zeros_like(now), torch.zeros_like(now), torch.zeros(len(now), device=now.device))


class BatchedOptimizer:
    """The optimisers of networks, which differ in numbers only.

    Args:
        chosen: the optimiser of each.
        decaying: d.
    """

    def __init__(
        self, configs: Sequence[OptimizerConfig], weights: StackedWeights, state: OptimizerState, n_decayed: int
    ) -> None:
        self.configs, self.steps = configs, state.steps
        self.step_counts = state.steps.unbind()
        whole = (weights.values, weights.gradient, state.exp_avg, state.exp_avg_sq)
        self.all_tensors = _split_by_model(whole)
        self.matrices = _split_by_model([part[:, :n_decayed] for part in whole])
        self.vectors = _split_by_model([part[:, n_decayed:] for part in whole])

    def step(self, model_slice: slice, learning_rates: Sequence[float], *, is_first_step: bool) -> None:
        """Move the networks of a span by their gradients.

        rates: the learning rate of each network of the span.
        first: whether it is their first step.
        """
        self.steps[model_slice] += 1
        alike: dict[tuple[object, ...], list[int]] = {}
        for i, rate in zip(range(model_slice.start, model_slice.stop), learning_rates, strict=True):
            alike.setdefault((rate, *_hyperparameters(self.configs[i])), []).append(i)
        for which in alike.values():
            chosen, rate = self.configs[which[0]], learning_rates[which[0] - model_slice.start]
            steps = [self.step_counts[i] for i in which]
            if chosen.weight_decay:
                _apply_step(
                    chosen,
                    [self.matrices[i] for i in which],
                    steps,
                    rate,
                    chosen.weight_decay,
                    is_first_step=is_first_step,
                )
                _apply_step(chosen, [self.vectors[i] for i in which], steps, rate, 0.0, is_first_step=is_first_step)
            else:
                _apply_step(chosen, [self.all_tensors[i] for i in which], steps, rate, 0.0, is_first_step=is_first_step)


def _split_by_model(tensors: Sequence[Tensor]) -> list[ModelTensors]:
    return list(zip(*(tensor.unbind() for tensor in tensors), strict=True))


def _hyperparameters(config: OptimizerConfig) -> tuple[object, ...]:
    """Return what optimisers must share to take a step in one call, beside the learning rate."""
    if isinstance(config, Adam):
        return config.weight_decay, config.beta1, config.beta2
    return config.weight_decay, config.momentum, isinstance(config, Sgd) and config.nesterov


def _apply_step(
    config: OptimizerConfig,
    rows: Sequence[ModelTensors],
    steps: list[Tensor],
    learning_rate: float,
    weight_decay: float,
    *,
    is_first_step: bool,
) -> None:
    now, gradient, mean, square = (list(parts) for parts in zip(*rows, strict=True))
    match config:
        case Adam():
            move = torch._fused_adam_ if config.name == "adam" else torch._fused_adamw_
            move(
                now,
                gradient,
                mean,
                square,
                [],
                steps,
                lr=learning_rate,
                beta1=config.beta1,
                beta2=config.beta2,
                weight_decay=weight_decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )
        case Sgd():
            torch._fused_sgd_(
                now,
                gradient,
                mean if config.momentum else [],
                weight_decay=weight_decay,
                momentum=config.momentum,
                lr=learning_rate,
                dampening=0.0,
                nesterov=config.nesterov,
                maximize=False,
                is_first_step=is_first_step,
            )
        case _:
            raise AssertionError(config)
