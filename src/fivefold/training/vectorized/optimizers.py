"""Batched optimizers of many networks, each with its own learning rate: PyTorch's fused steps on flat parameters.

Shapes: m networks, p parameters per network, to the first d of which weight decay applies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ...config.optimizers import Adam, OptimizerConfig, Sgd
from .model import StackedTensors, StackedWeights

ModelTensors = Sequence[Tensor]
"""Tensors of the optimizer of one network: parameters, gradient, and the two state tensors."""


@dataclass(frozen=True)
class OptimizerState(StackedTensors):
    """State of the optimizers: moving averages (m, p) of gradients and of their squares, and number of steps (m,)."""

    exp_avg: Tensor
    exp_avg_sq: Tensor
    steps: Tensor

    @classmethod
    def from_weights(cls, weights: StackedWeights) -> Self:
        """Return the state before the first step."""
        values = weights.values
        return cls(torch.zeros_like(values), torch.zeros_like(values), torch.zeros(len(values), device=values.device))


class BatchedOptimizer:
    """The optimizers of all networks, of one class but with different hyperparameters.

    Args:
        configs: the optimizer of each network.
        n_decayed: d, the number of parameters to which weight decay applies.
    """

    def __init__(
        self, configs: Sequence[OptimizerConfig], weights: StackedWeights, state: OptimizerState, n_decayed: int
    ) -> None:
        self.configs, self.steps = configs, state.steps
        self.step_counts = state.steps.unbind()
        tensors = (weights.values, weights.gradient, state.exp_avg, state.exp_avg_sq)
        self.all_tensors = _split_by_model(tensors)
        self.matrices = _split_by_model([tensor[:, :n_decayed] for tensor in tensors])
        self.vectors = _split_by_model([tensor[:, n_decayed:] for tensor in tensors])

    def step(self, model_slice: slice, learning_rates: Sequence[float], *, is_first_step: bool) -> None:
        """Do one optimizer step for the networks of a slice.

        learning_rates: the learning rate of each network of the slice.
        is_first_step: whether it is their first step.
        """
        self.steps[model_slice] += 1
        groups: dict[tuple[object, ...], list[int]] = {}
        for i, lr in zip(range(model_slice.start, model_slice.stop), learning_rates, strict=True):
            groups.setdefault((lr, *_hyperparameters(self.configs[i])), []).append(i)
        for indices in groups.values():
            config, lr = self.configs[indices[0]], learning_rates[indices[0] - model_slice.start]
            steps = [self.step_counts[i] for i in indices]
            if config.weight_decay:
                matrices, vectors = ([tensors[i] for i in indices] for tensors in (self.matrices, self.vectors))
                _apply_step(config, matrices, steps, lr, config.weight_decay, is_first_step=is_first_step)
                _apply_step(config, vectors, steps, lr, 0.0, is_first_step=is_first_step)
            else:
                tensors = [self.all_tensors[i] for i in indices]
                _apply_step(config, tensors, steps, lr, 0.0, is_first_step=is_first_step)


def _split_by_model(tensors: Sequence[Tensor]) -> list[ModelTensors]:
    return list(zip(*(tensor.unbind() for tensor in tensors), strict=True))


def _hyperparameters(config: OptimizerConfig) -> tuple[object, ...]:
    """Return the hyperparameters, in addition to the learning rate, that one fused step has in common."""
    if isinstance(config, Adam):
        return config.weight_decay, config.beta1, config.beta2
    return config.weight_decay, config.momentum, isinstance(config, Sgd) and config.nesterov


def _apply_step(
    config: OptimizerConfig,
    tensors: Sequence[ModelTensors],
    steps: list[Tensor],
    learning_rate: float,
    weight_decay: float,
    *,
    is_first_step: bool,
) -> None:
    values, gradients, exp_avgs, exp_avg_sqs = (list(column) for column in zip(*tensors, strict=True))
    match config:
        case Adam():
            fused_step = torch._fused_adam_ if config.name == "adam" else torch._fused_adamw_
            fused_step(
                values,
                gradients,
                exp_avgs,
                exp_avg_sqs,
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
                values,
                gradients,
                exp_avgs if config.momentum else [],
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
