"""The learning rate as time goes by, as a share of its peak: plain functions of the step, so that resuming is exact."""

import math
from collections.abc import Callable

from ..config.optimizers import Constant, Cosine, Exponential, OneCycle, Plateau, Schedule, StepDown

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
