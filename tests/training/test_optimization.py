"""A step is what its parts add up to: of batches, of devices, of memory."""

import copy
import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.config.training import Training
from fivefold.training.optimization import OptimizerStep

STEPS = 4


def training(**changes: Any) -> Training:
    block = {"batch_size": 12, "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.0}, **changes}
    return Training.model_validate_json(json.dumps(block))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def data(n: int = 12) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(n, 5), torch.arange(n) % 3


def descended(
    steps: int = STEPS, *, average: bool = False, **changes: Any
) -> tuple[nn.Module, nn.Module | None, list[float]]:
    net = network()
    averaged = copy.deepcopy(net).requires_grad_(False) if average else None
    descent = OptimizerStep(net, averaged, params=training(**changes), steps_per_epoch=steps)
    x, y = data()

    def loss_of(rows: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(net(rows), targets)

    return net, averaged, [float(descent.step(x, y, len(x), loss_of)) for _ in range(steps)]


def weights(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def by_hand(optimizer: torch.optim.Optimizer, net: nn.Module, steps: int = STEPS) -> Tensor:
    x, y = data()
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return weights(net)


@pytest.mark.parametrize(
    ("block", "make"),
    [
        ({"name": "sgd", "lr": 0.1, "momentum": 0.0}, lambda p: torch.optim.SGD(p, lr=0.1)),
        (
            {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        ),
        ({"name": "adam", "lr": 0.01}, lambda p: torch.optim.Adam(p, lr=0.01)),
        ({"name": "adamw", "lr": 0.01, "beta1": 0.5}, lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.5, 0.999))),
        ({"name": "nadam", "lr": 0.01}, lambda p: torch.optim.NAdam(p, lr=0.01)),
        (
            {"name": "rmsprop", "lr": 0.01, "momentum": 0.5},
            lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5),
        ),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_an_optimizer_is_that_of_torch(block: dict[str, Any], make: Any) -> None:
    block = {"weight_decay": 0.0, **block}
    net = network()
    reference = by_hand(make(net.parameters()) if block["name"] != "adamw" else _undecayed(make(net.parameters())), net)
    torch.testing.assert_close(weights(descended(optimizer=block)[0]), reference, rtol=1e-5, atol=1e-6)


def _undecayed(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0  # AdamW's own default is 0.01
    return optimizer


def test_decay_spares_biases() -> None:
    net = network()
    chosen = training(optimizer={"name": "adamw", "lr": 0.1, "weight_decay": 0.5})
    optimizer = OptimizerStep(net, None, params=chosen, steps_per_epoch=1).optimizer
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decays == {id(p): 0.5 if p.ndim == 2 else 0.0 for p in net.parameters()}


@pytest.mark.parametrize("accumulate_grad_batches", [2, 3, 5, 12])
def test_parts_of_a_batch_are_the_batch(accumulate: int) -> None:
    whole, _, losses = descended()
    parts, _, of_parts = descended(accumulate=accumulate)
    torch.testing.assert_close(weights(parts), weights(whole))
    assert of_parts == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize(("n", "devices"), [(7, 2), (12, 3), (2, 3)])
def test_devices_of_unequal_parts_are_the_batch(n: int, devices: int) -> None:
    net, (x, y) = network(), data(n)
    functional.cross_entropy(net(x), y).backward()
    whole = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    shares = []
    for part in range(devices):
        net = network()
        descent = OptimizerStep(net, None, params=training(), steps_per_epoch=1, world_size=devices)
        own = (x[part::devices], y[part::devices])
        descent._accumulate_gradients(
            *own, n, lambda rows, targets, net=net: functional.cross_entropy(net(rows), targets), 2
        )
        if len(own[0]):
            shares.append([p.grad for p in net.parameters() if p.grad is not None])
    for expected, *found in zip(whole, *shares, strict=True):
        torch.testing.assert_close(torch.stack(found).sum(0), expected)


def test_where_memory_ends_a_batch_goes_through_in_halves(capsys: pytest.CaptureFixture[str]) -> None:
    whole, _, _ = descended()
    net, (x, y) = network(), data()
    descent = OptimizerStep(net, None, params=training(), steps_per_epoch=STEPS)

    def loss_of(rows: Tensor, targets: Tensor) -> Tensor:
        if len(rows) > 4:
            raise torch.OutOfMemoryError
        return functional.cross_entropy(net(rows), targets)

    for _ in range(STEPS):
        descent.step(x, y, len(x), loss_of)
    torch.testing.assert_close(weights(net), weights(whole))
    assert capsys.readouterr().out.splitlines() == [
        f"out of memory: micro-batch reduced to {rows} (effective batch size unchanged)" for rows in (6, 3)
    ]


def test_a_single_row_that_does_not_fit_is_no_loop_without_end() -> None:
    def loss_of(rows: Tensor, targets: Tensor) -> Tensor:
        raise torch.OutOfMemoryError

    descent = OptimizerStep(network(), None, params=training(), steps_per_epoch=1)
    with pytest.raises(torch.OutOfMemoryError):
        descent.step(*data(), 12, loss_of)


def test_l1_pulls_weights_and_not_biases_towards_zero() -> None:
    x = torch.zeros(12, 5)
    net = network()
    start = weights(net)
    descent = OptimizerStep(net, None, params=training(l1=0.01), steps_per_epoch=1)
    descent.step(x, torch.zeros(12), 12, lambda rows, _: 0 * net(rows).sum())
    decayed = torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in net.parameters()])
    torch.testing.assert_close(weights(net), start - 0.1 * 0.01 * start.sign() * decayed)


@pytest.mark.parametrize("clip", [{"gradient_clip_norm": 1e-3}, {"gradient_clip_value": 1e-4}])
def test_clipping_bounds_a_step(clip: dict[str, float]) -> None:
    moved = weights(descended(1, **clip)[0]) - weights(network())
    if "gradient_clip_norm" in clip:
        assert float(moved.norm()) == pytest.approx(0.1 * 1e-3, rel=1e-2)
    else:
        assert float(moved.abs().max()) == pytest.approx(0.1 * 1e-4, rel=1e-2)


def test_the_average_follows_the_weights_and_its_memory_grows() -> None:
    net, (x, y) = network(), data()
    averaged = copy.deepcopy(net).requires_grad_(False)
    expected = weights(net)
    descent = OptimizerStep(net, averaged, params=training(ema=0.5), steps_per_epoch=20)
    for step in range(1, 21):
        descent.step(x, y, 12, lambda rows, targets: functional.cross_entropy(net(rows), targets))
        memory = min(0.5, (1 + step) / (10 + step))
        expected = memory * expected + (1 - memory) * weights(net)
    torch.testing.assert_close(weights(averaged), expected)
    assert not torch.equal(weights(averaged), weights(net))


def test_who_watches_sees_the_gradients_of_one_step_before_they_are_clipped() -> None:
    net, (x, y) = network(), data()
    descent = OptimizerStep(net, None, params=training(gradient_clip=1e-9), steps_per_epoch=2)
    seen: list[float] = []
    descent.gradient_hook = lambda: seen.append(
        sum(float(p.grad.norm()) for p in net.parameters() if p.grad is not None)
    )
    for _ in range(2):
        descent.step(x, y, 12, lambda rows, targets: functional.cross_entropy(net(rows), targets))
    assert len(seen) == 1
    assert seen[0] > 1e-3
