"""One step of training: parts of a batch, backward, clipping, the optimiser, the moving average.

Lightning's manual optimisation: it calls once an epoch, and every step happens here.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..config.training import Training
from ..models.precision import Portions
from .devices import add_up
from .optimizers import decayed, optimizer_of
from .schedules import share

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
