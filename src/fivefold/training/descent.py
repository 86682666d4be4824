"""One step of training: parts of a batch, backward, clipping, the optimiser, the moving average.

Lightning's manual optimisation: it calls once an epoch, and every step happens here.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..params.training import Training
from .optimizers import decayed, optimizer_of
from .schedules import share

LossOf = Callable[[Tensor, Tensor], Tensor]


class Descent:
    """Moves a network's weights down its loss.

    Args:
        network: whose weights move; they lie on their device already.
        averaged: the same network, whose weights follow slowly; None if training.ema is 0.
        backward: what finds the gradients of a loss.
        params: how.
        steps: batches of an epoch.
        parts: devices that share a batch.
        beside: weights of the objective, which move as well, but neither decay nor are clipped or averaged.

    Attributes:
        number: of the next step, counted over all epochs from 0.
        scale: what the schedule's learning rate is multiplied by.
        watch: called once, with the gradients of the next step, before they are clipped; None: not.
        rows: most rows that go through the network at a time; halved where memory does not suffice.
    """

    def __init__(
        self,
        network: nn.Module,
        averaged: nn.Module | None,
        backward: Callable[[Tensor], None],
        *,
        params: Training,
        steps: int,
        parts: int = 1,
        beside: Sequence[nn.Parameter] = (),
    ) -> None:
        self.network, self.averaged, self.params = network, averaged, params
        self.parts, self.backward = parts, backward
        self.optimizer = optimizer_of(network, params, beside)
        self.share = share(params.schedule, params.max_epochs, steps)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.weights: list[Tensor] = list(network.parameters())
        self.scaler = torch.amp.GradScaler(self.weights[0].device.type, enabled=params.precision == "16")
        self.decayed = decayed(network)
        self.number = 0
        self.scale = 1.0
        self.watch: Callable[[], None] | None = None
        self.rows = -(-params.batch_size // params.accumulate)

    def step(self, x: Tensor, y: Tensor, n: int, loss_of: LossOf) -> Tensor:
        """Go one step; return the mean loss of the batch.

        n: rows of the batch over all devices; the devices' gradients are averaged, so that each counts by its rows.
        """
        loss = self._gradients(x, y, n, loss_of)
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

    def _gradients(self, x: Tensor, y: Tensor, n: int, loss_of: LossOf) -> Tensor:
        """Leave the gradients of the batch's mean loss; go through it in smaller parts where memory ends."""
        while True:
            self.optimizer.zero_grad()
            try:
                return self._in_parts(x, y, n, loss_of)
            except torch.OutOfMemoryError:
                if self.rows == 1:
                    raise
            self.rows = -(-min(self.rows, len(x)) // 2)
            torch.cuda.empty_cache()
            print(f"memory does not suffice: rows go through the network {self.rows} at a time, a step stays the same")

    def _in_parts(self, x: Tensor, y: Tensor, n: int, loss_of: LossOf) -> Tensor:
        if len(x) <= self.rows and len(x) == n:
            loss = loss_of(x, y)
            self.backward(self.scaler.scale(loss))
            return loss.detach()
        total = torch.zeros((), device=x.device)
        for rows, targets in zip(torch.split(x, self.rows), torch.split(y, self.rows), strict=True):
            loss = loss_of(rows, targets)
            total += loss.detach() * (len(rows) / len(x))
            self.backward(self.scaler.scale(loss * (len(rows) * self.parts / n)))
        return total

    @torch.no_grad()
    def _follow(self, averaged: nn.Module) -> None:
        """Move the average towards the weights; at first it follows faster, so that it forgets where it began."""
        memory = min(self.params.ema, (1 + self.number) / (10 + self.number))
        following: list[Tensor] = list(averaged.parameters())
        torch._foreach_lerp_(following, self.weights, 1 - memory)
        for mine, theirs in zip(averaged.buffers(), self.network.buffers(), strict=True):
            mine.copy_(theirs)
