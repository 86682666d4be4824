"""Optimizers, learning rate schedules, and the optimizer step: micro-batches, backward, clipping, step, average.

Lightning's manual optimization is used: Lightning calls the module once per epoch, and `OptimizerStep` does each step.
A schedule is a plain function of the step, so that a resumed training is exact.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..config.optimizers import (
    Adam,
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    OneCycleSchedule,
    OptimizerConfig,
    PlateauSchedule,
    Rmsprop,
    ScheduleConfig,
    Sgd,
    StepSchedule,
)
from ..config.training import Training
from ..models.precision import MicroBatcher
from ..models.transfer import layer_groups
from .distributed import all_reduce_gradients


def build_optimizer(
    network: nn.Module, params: Training, extra_parameters: Sequence[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """Return the optimizer of a network's parameters and of `extra_parameters`, to which weight decay does not apply.

    Weight decay applies to matrices and filters, not to biases and norms (tensors of one dimension). The first group
    has the learning rate of the last layer.
    """
    config = params.optimizer
    groups: list[dict[str, Any]] = []
    for parameters, factor in _layerwise_lr_factors(
        network, params.pretrained.layer_lr_decay if params.pretrained else 1.0
    ):
        group = {"params": parameters, "weight_decay": 0.0, "lr": factor * config.lr}
        if config.weight_decay:
            decayed = {**group, "params": _matrices(parameters), "weight_decay": config.weight_decay}
            groups += [decayed, {**group, "params": [p for p in parameters if p.ndim <= 1]}]
        else:  # a single group, because each group costs one kernel call per step
            groups.append(group)
    groups.append({"params": list(extra_parameters), "weight_decay": 0.0, "lr": config.lr})
    optimizer = _create_optimizer([group for group in groups if group["params"]], config)
    optimizer.register_load_state_dict_post_hook(_match_memory_format)
    return optimizer


def _create_optimizer(groups: list[dict[str, Any]], config: OptimizerConfig) -> torch.optim.Optimizer:
    match config:
        case Adam():
            betas = (config.beta1, config.beta2)
            if config.name == "nadam":
                return torch.optim.NAdam(groups, lr=config.lr, betas=betas)
            optimizer_class = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
            return optimizer_class(groups, lr=config.lr, betas=betas, fused=True)
        case Sgd():
            return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov, fused=True)
        case Rmsprop():
            return torch.optim.RMSprop(groups, lr=config.lr, momentum=config.momentum, alpha=config.alpha)


def _match_memory_format(optimizer: torch.optim.Optimizer) -> None:
    """Give the state tensors of an optimizer the memory format of their parameters, which fused steps require.

    Weights of convolutions are in channels-last format, but a checkpoint stores contiguous tensors.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _layerwise_lr_factors(network: nn.Module, layer_lr_decay: float) -> list[tuple[list[nn.Parameter], float]]:
    """Return the parameters of each layer with the factor of their learning rate, from the last layer to the first."""
    if layer_lr_decay == 1:
        return [(list(network.parameters()), 1.0)]
    layers = reversed(layer_groups(network))
    return [(layer.parameters(), layer_lr_decay**depth) for depth, layer in enumerate(layers)]


def decay_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters to which weight decay and the L1 penalty apply."""
    return _matrices(network.parameters())


def _matrices(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [p for p in parameters if p.ndim > 1]


ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 25 / 1e4
"""First and last learning rate of `one_cycle` as factors of the peak, as in `torch.optim.lr_scheduler.OneCycleLR`."""


def build_lr_lambda(schedule: ScheduleConfig, max_epochs: int, steps_per_epoch: int) -> Callable[[int], float]:
    """Return the function from a step, counted from 0 over all epochs, to the factor of the peak learning rate."""
    if isinstance(schedule, OneCycleSchedule):
        return lambda step: _one_cycle(step, max_epochs * steps_per_epoch, schedule.pct_start)
    warmup_steps = round(schedule.warmup_epochs * steps_per_epoch)
    remaining_steps = max(max_epochs * steps_per_epoch - warmup_steps, 1)

    def lr_factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        return _after_warmup(schedule, step - warmup_steps, remaining_steps, steps_per_epoch)

    return lr_factor


def _after_warmup(schedule: ScheduleConfig, step: int, total_steps: int, steps_per_epoch: int) -> float:
    match schedule:
        case ConstantSchedule() | PlateauSchedule():
            return 1.0
        case StepSchedule():
            return schedule.gamma ** (step // steps_per_epoch // schedule.step_size)
        case ExponentialSchedule():
            return schedule.gamma ** (step // steps_per_epoch)
        case CosineSchedule():
            return _cosine(1.0, schedule.min_lr_ratio, step / total_steps)
        case _:
            raise AssertionError(schedule)


def _one_cycle(step: int, total_steps: int, pct_start: float) -> float:
    peak, last = pct_start * total_steps - 1, total_steps - 1
    if step <= peak:
        return _cosine(ONE_CYCLE_START, 1.0, step / peak if peak > 0 else 1.0)
    return _cosine(1.0, ONE_CYCLE_END, (step - peak) / (last - peak))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(fraction, 1.0))) / 2


LossFn = Callable[[Tensor, Tensor], Tensor]


class OptimizerStep:
    """Minimize a loss by gradient descent, one batch at a time.

    Args:
        network: the network that is trained, on its device.
        ema_network: a copy of it, whose weights are the moving average; None if `training.ema_decay` is 0.
        params: the training parameters.
        steps_per_epoch: number of batches per epoch.
        world_size: number of processes that share each batch.
        extra_parameters: trainable parameters of the loss; they are not decayed, clipped or averaged.

    Attributes:
        global_step: index of the next step, counted from 0 over all epochs.
        lr_scale: additional factor of the learning rate, set by `ReduceOnPlateau`.
        gradient_hook: called once, in the next step, after the backward pass and before clipping; None: not called.
        micro_batcher: splits batches that do not fit into memory.
    """

    def __init__(
        self,
        network: nn.Module,
        ema_network: nn.Module | None,
        *,
        params: Training,
        steps_per_epoch: int,
        world_size: int = 1,
        extra_parameters: Sequence[nn.Parameter] = (),
    ) -> None:
        self.network, self.ema_network, self.params = network, ema_network, params
        self.world_size = world_size
        self.optimizer = build_optimizer(network, params, extra_parameters)
        self.lr_lambda = build_lr_lambda(params.schedule, params.max_epochs, steps_per_epoch)
        self.base_lrs = [group["lr"] for group in self.optimizer.param_groups]
        self.parameters: list[Tensor] = list(network.parameters())
        self.grad_scaler = torch.amp.GradScaler(self.parameters[0].device.type, enabled=params.precision == "16")
        self.decay_parameters = decay_parameters(network)
        self.global_step = 0
        self.lr_scale = 1.0
        self.gradient_hook: Callable[[], None] | None = None
        self.micro_batcher = MicroBatcher(-(-params.batch_size // (params.accumulate_grad_batches * world_size)))

    def step(self, x: Tensor, y: Tensor, n: int, loss_fn: LossFn) -> Tensor:
        """Do one optimizer step and return the mean loss of the rows of this device.

        x, y: the rows of this device; may be empty.
        n: number of rows of the batch over all devices. Each device computes the contribution of its rows to the
            gradient, and the contributions are summed.
        """
        loss = self.micro_batcher(len(x), lambda size: self._accumulate_gradients(x, y, n, loss_fn, size))
        if self.world_size > 1:
            all_reduce_gradients([p for group in self.optimizer.param_groups for p in group["params"]])
        if self.grad_scaler.is_enabled():
            self.grad_scaler.unscale_(self.optimizer)
        if self.params.l1:
            for weight in self.decay_parameters:
                if weight.grad is not None:
                    weight.grad.add_(weight.detach().sign(), alpha=self.params.l1)
        if self.gradient_hook is not None:
            self.gradient_hook()
            self.gradient_hook = None
        if self.params.gradient_clip_value:
            nn.utils.clip_grad_value_(self.parameters, self.params.gradient_clip_value)
        if self.params.gradient_clip_norm:
            nn.utils.clip_grad_norm_(self.parameters, self.params.gradient_clip_norm)
        factor = self.lr_lambda(self.global_step) * self.lr_scale
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base_lr * factor
        if self.grad_scaler.is_enabled():
            self.grad_scaler.step(self.optimizer)
            self.grad_scaler.update()
        else:
            self.optimizer.step()
        self.global_step += 1
        if self.ema_network is not None:
            self._update_ema(self.ema_network)
        return loss

    def _accumulate_gradients(self, x: Tensor, y: Tensor, n: int, loss_fn: LossFn, micro_batch_size: int) -> Tensor:
        """Compute the contribution of rows x to the gradient of a batch of n rows; return the mean loss of the rows."""
        self.optimizer.zero_grad()
        if len(x) <= micro_batch_size and len(x) == n:
            loss = loss_fn(x, y)
            torch.autograd.backward(self.grad_scaler.scale(loss))
            return loss.detach()
        total = torch.zeros((), device=x.device)
        if not len(x):
            return total
        for rows, targets in zip(torch.split(x, micro_batch_size), torch.split(y, micro_batch_size), strict=True):
            loss = loss_fn(rows, targets)
            total += loss.detach() * (len(rows) / len(x))
            torch.autograd.backward(self.grad_scaler.scale(loss * (len(rows) / n)))
        return total

    @torch.no_grad()
    def _update_ema(self, ema_network: nn.Module) -> None:
        """Update the moving average; the decay is smaller in the first steps, so that initial weights are forgotten."""
        decay = min(self.params.ema_decay, (1 + self.global_step) / (10 + self.global_step))
        averages: list[Tensor] = list(ema_network.parameters())
        torch._foreach_lerp_(averages, self.parameters, 1 - decay)
        for average, buffer in zip(ema_network.buffers(), self.network.buffers(), strict=True):
            average.copy_(buffer)
