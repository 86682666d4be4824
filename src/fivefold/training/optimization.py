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
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    Optimizer,
    Plateau,
    Rmsprop,
    Schedule,
    Sgd,
    StepDown,
)
from ..config.training import Training
from ..models.precision import Portions
from ..models.transfer import layers_of
from .distributed import add_up


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


START, END = 1 / 25, 1 / 25 / 1e4
"""Of one_cycle: shares of the peak at its start and end, those of `torch.optim.lr_scheduler.OneCycleLR`."""


def share(schedule: Schedule, epochs: int, steps: int) -> Callable[[int], float]:
    """Return the function from a step, counted from 0 over all epochs, to the share of the peak learning rate.

    epochs: passes at most. steps: steps of one epoch.
    """
    if isinstance(schedule, OneCycle):
        return lambda step: _one_cycle(step, epochs * steps, schedule.rise)
    warm = round(schedule.warmup * steps)
    rest = max(epochs * steps - warm, 1)

    def at(step: int) -> float:
        if step < warm:
            return (step + 1) / (warm + 1)
        return _after_warmup(schedule, step - warm, rest, steps)

    return at


def _after_warmup(schedule: Schedule, step: int, total: int, steps: int) -> float:
    match schedule:
        case Constant() | Plateau():
            return 1.0
        case StepDown():
            return schedule.factor ** (step // steps // schedule.every)
        case Exponential():
            return schedule.factor ** (step // steps)
        case Cosine():
            return _cosine(1.0, schedule.floor, step / total)
        case _:
            raise AssertionError(schedule)


def _one_cycle(step: int, total: int, rise: float) -> float:
    top, last = rise * total - 1, total - 1
    if step <= top:
        return _cosine(START, 1.0, step / top if top > 0 else 1.0)
    return _cosine(1.0, END, (step - top) / (last - top))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


LossOf = Callable[[Tensor, Tensor], Tensor]


class Descent:
    """Moves a network's weights down its loss.

    Args:
        network: whose weights move; they lie on their device already.
        averaged: the same network, whose weights follow slowly; None if training.ema is 0.
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
        averaged: nn.Module | None,
        *,
        params: Training,
        steps: int,
        parts: int = 1,
        beside: Sequence[nn.Parameter] = (),
    ) -> None:
        self.network, self.averaged, self.params = network, averaged, params
        self.parts = parts
        self.optimizer = optimizer_of(network, params, beside)
        self.share = share(params.schedule, params.max_epochs, steps)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.weights: list[Tensor] = list(network.parameters())
        self.scaler = torch.amp.GradScaler(self.weights[0].device.type, enabled=params.precision == "16")
        self.decayed = decayed(network)
        self.number = 0
        self.scale = 1.0
        self.watch: Callable[[], None] | None = None
        self.portions = Portions(-(-params.batch_size // (params.accumulate * parts)))

    def step(self, x: Tensor, y: Tensor, n: int, loss_of: LossOf) -> Tensor:
        """Go one step; return the mean loss of the batch.

        x, y: the rows of this device, of which there may be none.
        n: rows of the batch over all devices; each device finds its rows' share of the gradient, and shares add up.
        """
        loss = self.portions(len(x), lambda rows: self._gradients(x, y, n, loss_of, rows))
        if self.parts > 1:
            add_up([weight for group in self.optimizer.param_groups for weight in group["params"]])
        if self.scaler.is_enabled():
            self.scaler.unscale_(self.optimizer)
        if self.params.l1:
            for weight in self.decayed:
                if weight.grad is not None:
                    weight.grad.add_(weight.detach().sign(), alpha=self.params.l1)
        if self.watch is not None:
            self.watch()
            self.watch = None
        if self.params.gradient_clip_value:
            nn.utils.clip_grad_value_(self.weights, self.params.gradient_clip_value)
        if self.params.gradient_clip:
            nn.utils.clip_grad_norm_(self.weights, self.params.gradient_clip)
        share = self.share(self.number) * self.scale
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * share
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.number += 1
        if self.averaged is not None:
            self._follow(self.averaged)
        return loss

    def _gradients(self, x: Tensor, y: Tensor, n: int, loss_of: LossOf, most: int) -> Tensor:
        """Leave these rows' share of the gradient of a batch's mean loss, at most so many rows at a time."""
        self.optimizer.zero_grad()
        if len(x) <= most and len(x) == n:
            loss = loss_of(x, y)
            torch.autograd.backward(self.scaler.scale(loss))
            return loss.detach()
        total = torch.zeros((), device=x.device)
        if not len(x):
            return total
        for rows, targets in zip(torch.split(x, most), torch.split(y, most), strict=True):
            loss = loss_of(rows, targets)
            total += loss.detach() * (len(rows) / len(x))
            torch.autograd.backward(self.scaler.scale(loss * (len(rows) / n)))
        return total

    @torch.no_grad()
    def _follow(self, averaged: nn.Module) -> None:
        """Move the average towards the weights; at first it follows faster, so that it forgets where it began."""
        memory = min(self.params.ema, (1 + self.number) / (10 + self.number))
        following: list[Tensor] = list(averaged.parameters())
        torch._foreach_lerp_(following, self.weights, 1 - memory)
        for mine, theirs in zip(averaged.buffers(), self.network.buffers(), strict=True):
            mine.copy_(theirs)
