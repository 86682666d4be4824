"""Learning rate schedules equal those of PyTorch in each step."""

import json
from collections.abc import Callable

import pytest
import torch
from pydantic import TypeAdapter
from torch.optim import lr_scheduler

from fivefold.config.optimizers import ScheduleConfig
from fivefold.training.optimization import build_lr_lambda

EPOCHS, STEPS = 10, 7
SchedulerFactory = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def lr_factors(**block: object) -> list[float]:
    schedule: ScheduleConfig = TypeAdapter(ScheduleConfig).validate_json(json.dumps(block))
    lr_lambda = build_lr_lambda(schedule, EPOCHS, STEPS)
    return [lr_lambda(step) for step in range(EPOCHS * STEPS)]


def torch_factors(make: SchedulerFactory, unit: str) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = make(optimizer), []
    for step in range(EPOCHS * STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if unit == "step" or (step + 1) % STEPS == 0:
            schedule.step()
    return rates


@pytest.mark.parametrize(
    ("block", "make", "unit"),
    [
        ({"name": "constant"}, lambda o: lr_scheduler.ConstantLR(o, factor=1.0), "step"),
        ({"name": "step", "step_size": 3, "gamma": 0.5}, lambda o: lr_scheduler.StepLR(o, 3, gamma=0.5), "epoch"),
        ({"name": "exponential", "gamma": 0.8}, lambda o: lr_scheduler.ExponentialLR(o, 0.8), "epoch"),
        (
            {"name": "cosine", "min_lr_ratio": 0.1},
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
def test_schedule_equals_that_of_torch(block: dict[str, object], make: SchedulerFactory, unit: str) -> None:
    assert lr_factors(**block) == pytest.approx(torch_factors(make, unit), abs=1e-9)


def test_linear_warmup_is_followed_by_the_schedule() -> None:
    rates = lr_factors(name="cosine", warmup_epochs=2.0)
    assert rates[: 2 * STEPS] == pytest.approx([(i + 1) / 15 for i in range(14)])
    rest = torch_factors(lambda o: lr_scheduler.CosineAnnealingLR(o, 8 * STEPS), "step")
    assert rates[2 * STEPS :] == pytest.approx(rest[: 8 * STEPS], abs=1e-9)


@pytest.mark.parametrize("name", ["one_cycle", "cosine", "constant", "plateau"])
def test_training_of_one_step_has_a_positive_learning_rate(name: str) -> None:
    schedule: ScheduleConfig = TypeAdapter(ScheduleConfig).validate_json(json.dumps({"name": name}))
    assert 0 < build_lr_lambda(schedule, 1, 1)(0) <= 1
