"""Measurements of a step equal a computation with NumPy or autograd, and do not change the step."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.config.base import RecurrentCell
from fivefold.config.networks.rnn import Rnn
from fivefold.models.factory import InputSpec, build_network
from fivefold.training.diagnostics import probe
from fivefold.training.diagnostics.probe import MAX_LAYERS, Probe, find_activations, group_parameters

from ...models.helpers import STARTED, Case, features, network_of


def small(activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), activation(), nn.Linear(8, 1))


def data() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(12, 5), torch.randn(12, 1)


def measure_step(network: nn.Module, x: Tensor, y: Tensor, *, lr: float = 0.1) -> dict[str, dict]:
    step_probe = Probe(network, torch.optim.SGD(network.parameters(), lr=lr))
    step_probe.add_hooks()
    functional.mse_loss(network(x), y).backward()
    step_probe.measure()
    step_probe.optimizer.step()
    return step_probe.read()


def test_gradients_and_updates_equal_those_of_numpy() -> None:
    network, (x, y) = small(), data()
    w1, b1, w2, b2 = (p.detach().numpy().astype(np.float64) for p in network.parameters())
    rows, targets = x.numpy().astype(np.float64), y.numpy().astype(np.float64)
    # backpropagation of the squared error through a hidden layer with relu
    preactivation = rows @ w1.T + b1
    hidden = np.maximum(preactivation, 0)
    error = 2 * (hidden @ w2.T + b2 - targets) / len(rows)
    hidden_gradient = (error @ w2) * (preactivation > 0)
    first = np.sqrt(((hidden_gradient.T @ rows) ** 2).sum() + (hidden_gradient.sum(0) ** 2).sum())
    last = np.sqrt(((error.T @ hidden) ** 2).sum() + (error.sum(0) ** 2).sum())
    norms = [np.sqrt((w**2).sum() + (b**2).sum()) for w, b in ((w1, b1), (w2, b2))]
    values = measure_step(network, x, y, lr=0.1)
    assert values["gradient_norm"] == {"0": pytest.approx(first, rel=1e-3), "2": pytest.approx(last, rel=1e-3)}
    assert values["update_ratio"] == {
        "0": pytest.approx(0.1 * first / norms[0], rel=1e-3),
        "2": pytest.approx(0.1 * last / norms[1], rel=1e-3),
    }
    assert values["dead_fraction"] == {"1": pytest.approx((preactivation <= 0).all(0).mean(), abs=1e-4)}


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid, nn.Tanh])
def test_dead_units_are_counted(activation: type[nn.Module]) -> None:
    network, (x, y) = small(activation), data()
    bias = network[0].bias
    assert isinstance(bias, Tensor)
    with torch.no_grad():
        bias[:2] = -100.0
        bias[2] = -100.0 if activation is nn.ReLU else 100.0
    assert measure_step(network, x, y)["dead_fraction"]["1"] == pytest.approx(3 / 8)
    network[0].weight.data.fill_(0.0)
    bias.data.fill_(0.1)
    assert measure_step(network, x, y)["dead_fraction"]["1"] == 0.0


def test_units_after_convolutions_are_channels() -> None:
    dense = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    network = nn.Sequential(nn.Conv1d(2, 6, 1), nn.BatchNorm1d(6), nn.ReLU(), dense)
    assert {name: axis for name, (_, axis) in find_activations(network).items()} == {"2": 1, "3.1": -1}


def test_micro_batches_are_measured_as_one_batch() -> None:
    network, (x, y) = small(), data()
    full = measure_step(copy.deepcopy(network), x, y)
    step_probe = Probe(network, torch.optim.SGD(network.parameters(), lr=0.1))
    step_probe.add_hooks()
    for rows, targets in ((x[:4], y[:4]), (x[4:8], y[4:8]), (x[8:], y[8:])):
        (functional.mse_loss(network(rows), targets) / 3).backward()
    step_probe.measure()
    step_probe.optimizer.step()
    values = step_probe.read()
    assert values["dead_fraction"] == full["dead_fraction"]
    assert values["gradient_norm"] == pytest.approx(full["gradient_norm"], rel=1e-3)


def test_each_call_of_an_activation_is_measured() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last, self.activation = nn.Linear(5, 8), nn.Linear(8, 4), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.activation(self.last(self.activation(self.first(x))))
            return out

    network, (x, y) = Twice(), data()
    with torch.no_grad():
        network.first.bias[:2] = network.last.bias[:1] = -100.0
        network.first.bias[2:] = network.last.bias[1:] = 10.0
    step_probe = Probe(network, torch.optim.SGD(network.parameters(), lr=0.1))
    step_probe.add_hooks()
    for rows, targets in ((x[:4], y[:4]), (x[4:], y[4:])):
        functional.mse_loss(network(rows), targets.expand(-1, 4)).backward()
    step_probe.measure()
    assert step_probe.read()["dead_fraction"] == {"activation": 0.25}


def test_selected_layers_are_evenly_spaced() -> None:
    deep = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.ReLU()) for _ in range(40)))
    for names, last in ((group_parameters(deep), "39.0"), (find_activations(deep), "39.2")):
        depths = [int(name.partition(".")[0]) for name in names]
        assert len(depths) == MAX_LAYERS
        assert (next(iter(names))[0], [*names][-1]) == ("0", last)
        assert set(np.diff(depths)) <= {4, 5}


def test_frozen_layer_has_no_gradient_norm() -> None:
    network, (x, y) = small(), data()
    network[0].requires_grad_(False)
    values = measure_step(network, x, y)
    assert values["gradient_norm"]["0"] is None
    assert values["gradient_norm"]["2"] is not None


def test_gradient_that_is_not_finite_is_none() -> None:
    network, (x, y) = small(), data()
    assert measure_step(network, x * torch.inf, y)["gradient_norm"] == {"0": None, "2": None}


def test_update_of_a_large_tensor_is_measured_on_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    network, (x, y) = small(), data()
    full = measure_step(copy.deepcopy(network), x, y)
    monkeypatch.setattr(probe, "MAX_SAMPLE_SIZE", 10)  # two of eight rows of the first weights
    sampled = measure_step(network, x, y)
    assert sampled["gradient_norm"] == full["gradient_norm"]
    assert sampled["update_ratio"]["0"] != full["update_ratio"]["0"]
    assert sampled["update_ratio"]["0"] == pytest.approx(full["update_ratio"]["0"], rel=0.9)


@pytest.mark.parametrize("case", STARTED.values(), ids=STARTED)
def test_measured_step_equals_a_step_without_probe(case: Case) -> None:
    network, x = network_of(case), features(case)
    again = copy.deepcopy(network)
    optimizers = [torch.optim.AdamW(n.parameters(), lr=0.01) for n in (network, again)]
    step_probe = Probe(network, optimizers[0])
    for n, optimizer in zip((network, again), optimizers, strict=True):
        n.train()
        torch.manual_seed(3)
        if n is network:
            step_probe.add_hooks()
        n(x).square().mean().backward()
        if n is network:
            step_probe.measure()
        optimizer.step()
    values = step_probe.read()
    assert all(torch.equal(one, other) for one, other in zip(network.parameters(), again.parameters(), strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert not optimizers[0]._optimizer_step_post_hooks
    assert all(value is not None for kind in ("gradient_norm", "update_ratio") for value in values[kind].values())
    assert len(values["gradient_norm"]) >= 1


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_early_gradient_ratio_equals_that_of_autograd(cell: RecurrentCell) -> None:
    torch.manual_seed(0)
    network = build_network(Rnn(family="rnn", cell=cell, hidden=(4,)), InputSpec((30, 2), 1))
    x, y = torch.randn(8, 30, 2), torch.randn(8, 1)
    ratios = measure_step(copy.deepcopy(network), x, y)["early_gradient_ratio"]
    x.requires_grad_()
    functional.mse_loss(network(x), y).backward()
    assert x.grad is not None
    steps = x.grad.square().sum((0, 2)).numpy()
    assert ratios == {"layers.0.forward_rnn": pytest.approx(float(np.sqrt(steps[:3].mean() / steps.max())), rel=1e-3)}


def test_parametrized_layer_has_the_name_of_its_module() -> None:
    network = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(5, 8)), nn.ReLU(), nn.Linear(8, 1))
    assert {name: len(own) for name, own in group_parameters(network).items()} == {"0": 2, "2": 2}
