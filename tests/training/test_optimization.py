"""Optimizer steps equal those of torch, also with micro-batches, several devices and insufficient memory."""

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


def train(steps: int = STEPS, **changes: Any) -> tuple[nn.Module, list[float]]:
    """Return a network after some steps, and its losses."""
    net = network()
    optim_step = OptimizerStep(net, None, params=training(**changes), steps_per_epoch=steps)
    x, y = data()

    def loss_of(rows: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(net(rows), targets)

    return net, [float(optim_step.step(x, y, len(x), loss_of)) for _ in range(steps)]


def weights(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def train_with_torch(optimizer: torch.optim.Optimizer, net: nn.Module, steps: int = STEPS) -> Tensor:
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
def test_optimizers_equal_those_of_torch(block: dict[str, Any], make: Any) -> None:
    block = {"weight_decay": 0.0, **block}
    net = network()
    expected = train_with_torch(
        make(net.parameters()) if block["name"] != "adamw" else _without_decay(make(net.parameters())), net
    )
    torch.testing.assert_close(weights(train(optimizer=block)[0]), expected, rtol=1e-5, atol=1e-6)


def _without_decay(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0  # the default of AdamW is 0.01
    return optimizer


def test_weight_decay_does_not_apply_to_biases() -> None:
    net = network()
    chosen = training(optimizer={"name": "adamw", "lr": 0.1, "weight_decay": 0.5})
    optimizer = OptimizerStep(net, None, params=chosen, steps_per_epoch=1).optimizer
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decays == {id(p): 0.5 if p.ndim == 2 else 0.0 for p in net.parameters()}


@pytest.mark.parametrize("accumulate_grad_batches", [2, 3, 5, 12])
def test_accumulated_gradients_equal_those_of_the_batch(accumulate_grad_batches: int) -> None:
    expected, losses = train()
    actual, actual_losses = train(accumulate_grad_batches=accumulate_grad_batches)
    torch.testing.assert_close(weights(actual), weights(expected))
    assert actual_losses == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize(("n", "devices"), [(7, 2), (12, 3), (2, 3)])
def test_gradients_of_devices_with_unequal_rows_sum_to_that_of_the_batch(n: int, devices: int) -> None:
    net, (x, y) = network(), data(n)
    functional.cross_entropy(net(x), y).backward()
    batch_gradient = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    contributions = []
    for rank in range(devices):
        net = network()
        optim_step = OptimizerStep(net, None, params=training(), steps_per_epoch=1, world_size=devices)
        own = (x[rank::devices], y[rank::devices])
        optim_step._accumulate_gradients(
            *own, n, lambda rows, targets, net=net: functional.cross_entropy(net(rows), targets), 2
        )
        if len(own[0]):
            contributions.append([p.grad for p in net.parameters() if p.grad is not None])
    for expected, *gradients in zip(batch_gradient, *contributions, strict=True):
        torch.testing.assert_close(torch.stack(gradients).sum(0), expected)


def test_out_of_memory_halves_the_micro_batch(capsys: pytest.CaptureFixture[str]) -> None:
    expected, _ = train()
    net, (x, y) = network(), data()
    optim_step = OptimizerStep(net, None, params=training(), steps_per_epoch=STEPS)

    def loss_of(rows: Tensor, targets: Tensor) -> Tensor:
        if len(rows) > 4:
            raise torch.OutOfMemoryError
        return functional.cross_entropy(net(rows), targets)

    for _ in range(STEPS):
        optim_step.step(x, y, len(x), loss_of)
    torch.testing.assert_close(weights(net), weights(expected))
    assert capsys.readouterr().out.splitlines() == [
        f"out of memory: micro-batch reduced to {rows} (effective batch size unchanged)" for rows in (6, 3)
    ]


def test_single_row_that_does_not_fit_raises() -> None:
    def loss_of(rows: Tensor, targets: Tensor) -> Tensor:
        raise torch.OutOfMemoryError

    optim_step = OptimizerStep(network(), None, params=training(), steps_per_epoch=1)
    with pytest.raises(torch.OutOfMemoryError):
        optim_step.step(*data(), 12, loss_of)


def test_l1_penalty_applies_to_weights_and_not_to_biases() -> None:
    x = torch.zeros(12, 5)
    net = network()
    start = weights(net)
    optim_step = OptimizerStep(net, None, params=training(l1=0.01), steps_per_epoch=1)
    optim_step.step(x, torch.zeros(12), 12, lambda rows, _: 0 * net(rows).sum())
    decayed = torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in net.parameters()])
    torch.testing.assert_close(weights(net), start - 0.1 * 0.01 * start.sign() * decayed)


@pytest.mark.parametrize("clip", [{"gradient_clip_norm": 1e-3}, {"gradient_clip_value": 1e-4}])
def test_clipping_bounds_the_update(clip: dict[str, float]) -> None:
    update = weights(train(1, **clip)[0]) - weights(network())
    if "gradient_clip_norm" in clip:
        assert float(update.norm()) == pytest.approx(0.1 * 1e-3, rel=1e-2)
    else:
        assert float(update.abs().max()) == pytest.approx(0.1 * 1e-4, rel=1e-2)


def test_moving_average_has_an_increasing_decay() -> None:
    net, (x, y) = network(), data()
    averaged = copy.deepcopy(net).requires_grad_(False)
    expected = weights(net)
    optim_step = OptimizerStep(net, averaged, params=training(ema_decay=0.5), steps_per_epoch=20)
    for step in range(1, 21):
        optim_step.step(x, y, 12, lambda rows, targets: functional.cross_entropy(net(rows), targets))
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weights(net)
    torch.testing.assert_close(weights(averaged), expected)
    assert not torch.equal(weights(averaged), weights(net))


def test_gradient_hook_is_called_once_before_clipping() -> None:
    net, (x, y) = network(), data()
    optim_step = OptimizerStep(net, None, params=training(gradient_clip_norm=1e-9), steps_per_epoch=2)
    norms: list[float] = []
    optim_step.gradient_hook = lambda: norms.append(
        sum(float(p.grad.norm()) for p in net.parameters() if p.grad is not None)
    )
    for _ in range(2):
        optim_step.step(x, y, 12, lambda rows, targets: functional.cross_entropy(net(rows), targets))
    assert len(norms) == 1
    assert norms[0] > 1e-3
