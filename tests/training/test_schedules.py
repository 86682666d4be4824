"""Schedules are those of PyTorch, step by step."""

import json
from collections.abc import Callable

import pytest
import torch
from pydantic import TypeAdapter
from torch.optim import lr_scheduler

from fivefold.config.optimizers import ScheduleConfig
from fivefold.training.optimization import build_lr_lambda

EPOCHS, STEPS = 10, 7
Made = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def ours(**block: object) -> list[float]:
    schedule: ScheduleConfig = TypeAdapter(ScheduleConfig).validate_json(json.dumps(block))
    at = build_lr_lambda(schedule, EPOCHS, STEPS)
    return [at(step) for step in range(EPOCHS * STEPS)]


def theirs(make: Made, each: str) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = make(optimizer), []
    for step in range(EPOCHS * STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if each == "step" or (step + 1) % STEPS == 0:
            schedule.step()
    return rates


@pytest.mark.parametrize(
    ("block", "make", "each"),
    [
        ({"name": "constant"}, lambda o: lr_scheduler.ConstantLR(o, factor=1.0), "step"),
        ({"name": "step", "every": 3, "factor": 0.5}, lambda o: lr_scheduler.StepLR(o, 3, gamma=0.5), "epoch"),
        ({"name": "exponential", "factor": 0.8}, lambda o: lr_scheduler.ExponentialLR(o, 0.8), "epoch"),
        (
            {"name": "cosine", "floor": 0.1},
            lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS * STEPS, eta_min=0.1),
            "step",
        ),
        ({"name": "one_cycle"}, lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=EPOCHS * STEPS), "step"),
        (
            {"name": "one_cycle", "pct_start": 0.5},
            lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=EPOCHS * STEPS, pct_start=0.5),
            "step",
        ),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_a_schedule_is_that_of_torch(block: dict[str, object], make: Made, each: str) -> None:
    assert ours(**block) == pytest.approx(theirs(make, each), abs=1e-9)


def test_warmup_rises_in_a_straight_line_and_the_rest_follows() -> None:
    rates = ours(name="cosine", warmup=2.0)
    assert rates[: 2 * STEPS] == pytest.approx([(i + 1) / 15 for i in range(14)])
    rest = theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, 8 * STEPS), "step")
    assert rates[2 * STEPS :] == pytest.approx(rest[: 8 * STEPS], abs=1e-9)


@pytest.mark.parametrize("name", ["one_cycle", "cosine", "constant", "plateau"])
def test_a_training_of_one_step_has_a_rate(name: str) -> None:
    schedule: ScheduleConfig = TypeAdapter(ScheduleConfig).validate_json(json.dumps({"name": name}))
    assert 0 < build_lr_lambda(schedule, 1, 1)(0) <= 1
