"""One step of training: parts of a batch, backward, clipping, the optimiser, the moving average.

Lightning's manual optimisation: it calls once an epoch, and every step happens here.

Optimisers by the names used in params.yaml.

The learning rate as time goes by, as a share of its peak: plain functions of the step, so that resuming is exact.
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
    """Return the optimiser of a network's weights, and of those `beside` it, which do not decay.

    Its first group has the learning rate of the last layer.

    Weight decay applies to matrices and filters, not to biases and norms (tensors of one dimension).
    """
    chosen = params.optimizer
    groups: list[dict[str, Any]] = []
    for weights, share in _layerwise_lr_factors(
        network, params.pretrained.layer_lr_decay if params.pretrained else 1.0
    ):
        plain = {"params": weights, "weight_decay": 0.0, "lr": share * chosen.lr}
        if chosen.weight_decay:
            decaying = {**plain, "params": _matrices(weights), "weight_decay": chosen.weight_decay}
            groups += [decaying, {**plain, "params": [p for p in weights if p.ndim <= 1]}]
        else:  # one group is one call a step
            groups.append(plain)
    groups.append({"params": list(extra_parameters), "weight_decay": 0.0, "lr": chosen.lr})
    optimizer = _create_optimizer([group for group in groups if group["params"]], chosen)
    optimizer.register_load_state_dict_post_hook(_match_memory_format)
    return optimizer


def _create_optimizer(groups: list[dict[str, Any]], config: OptimizerConfig) -> torch.optim.Optimizer:
    match config:
        case Adam():
            betas = (config.beta1, config.beta2)
            if config.name == "nadam":
                return torch.optim.NAdam(groups, lr=config.lr, betas=betas)
            kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
            return kind(groups, lr=config.lr, betas=betas, fused=True)
        case Sgd():
            return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov, fused=True)
        case Rmsprop():
            return torch.optim.RMSprop(groups, lr=config.lr, momentum=config.momentum, alpha=config.alpha)


def _match_memory_format(optimizer: torch.optim.Optimizer) -> None:
    """Have what an optimiser keeps of each weight lie in memory as the weight does: fused steps take it for granted.

    Convolutions have their channels last, but a checkpoint is written in the order of rows.
    """
    for weight, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                kept[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


def _layerwise_lr_factors(network: nn.Module, layer_lr_decay: float) -> list[tuple[list[nn.Parameter], float]]:
    """Return weights with their share of the learning rate, layer by layer, from the last one on (`Start.decay`)."""
    if layer_lr_decay == 1:
        return [(list(network.parameters()), 1.0)]
    layers = reversed(layer_groups(network))
    return [(layer.parameters(), layer_lr_decay**behind) for behind, layer in enumerate(layers)]


def decay_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights that decay and L1 apply to."""
    return _matrices(network.parameters())


def _matrices(weights: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [p for p in weights if p.ndim > 1]


ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 25 / 1e4
"""Of one_cycle: shares of the peak at its start and end, those of `torch.optim.lr_scheduler.OneCycleLR`."""


def build_lr_lambda(schedule: ScheduleConfig, max_epochs: int, steps_per_epoch: int) -> Callable[[int], float]:
    """Return the function from a step, counted from 0 over all epochs, to the share of the peak learning rate.

    epochs: passes at most. steps: steps of one epoch.
    """
    if isinstance(schedule, OneCycleSchedule):
        return lambda step: _one_cycle(step, max_epochs * steps_per_epoch, schedule.pct_start)
    warm = round(schedule.warmup_epochs * steps_per_epoch)
    rest = max(max_epochs * steps_per_epoch - warm, 1)

    def at(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        return _after_warmup(schedule, step - warm, rest, steps_per_epoch)

    return at


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
    top, last = pct_start * total_steps - 1, total_steps - 1
    if step <= top:
        return _cosine(ONE_CYCLE_START, 1.0, step / top if top > 0 else 1.0)
    return _cosine(1.0, ONE_CYCLE_END, (step - top) / (last - top))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(fraction, 1.0))) / 2


LossFn = Callable[[Tensor, Tensor], Tensor]


class OptimizerStep:
    """Moves a network's weights down its loss.

    Args:
        network: whose weights move; they lie on their device already.
        averaged: the same network, whose weights follow slowly; None if training.ema_decay is 0.
        params: how.
        steps: batches of an epoch.
        parts: devices that share a batch.
        beside: weights of the objective, which move as well, but neither decay nor are clipped or averaged.

    Attributes:
        number: of the next step, counted over all epochs from 0.
        scale: what the schedule's learning rate is multiplied by.
        watch: called once, with the gradients of the next step, before they are clipped; None: not.
        portions: how many rows go through the network at a time.
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
        """Go one step; return the mean loss of the batch.

        x, y: the rows of this device, of which there may be none.
        n: rows of the batch over all devices; each device finds its rows' share of the gradient, and shares add up.
        """
        loss = self.micro_batcher(len(x), lambda rows: self._accumulate_gradients(x, y, n, loss_fn, rows))
        if self.world_size > 1:
            all_reduce_gradients([weight for group in self.optimizer.param_groups for weight in group["params"]])
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
        share = self.lr_lambda(self.global_step) * self.lr_scale
        for group, peak in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = peak * share
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
        """Leave these rows' share of the gradient of a batch's mean loss, at most so many rows at a time."""
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
        """Move the average towards the weights; at first it follows faster, so that it forgets where it began."""
        memory = min(self.params.ema_decay, (1 + self.global_step) / (10 + self.global_step))
        following: list[Tensor] = list(ema_network.parameters())
        torch._foreach_lerp_(following, self.parameters, 1 - memory)
        for mine, theirs in zip(ema_network.buffers(), self.network.buffers(), strict=True):
            mine.copy_(theirs)
