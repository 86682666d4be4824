"""What is measured of a step equals a computation by hand, and the step is the same as without."""

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


def measured(network: nn.Module, x: Tensor, y: Tensor, *, lr: float = 0.1, inside: bool = True) -> dict[str, dict]:
    looking = Probe(network, torch.optim.SGD(network.parameters(), lr=lr), probe_activations=inside)
    looking.add_hooks()
    functional.mse_loss(network(x), y).backward()
    looking.measure()
    looking.optimizer.step()
    return looking.read()


def test_gradients_and_updates_are_those_computed_by_hand() -> None:
    network, (x, y) = small(), data()
    w1, b1, w2, b2 = (p.detach().numpy().astype(np.float64) for p in network.parameters())
    rows, truth = x.numpy().astype(np.float64), y.numpy().astype(np.float64)
    # backpropagation by hand: squared error, relu
    before = rows @ w1.T + b1
    hidden = np.maximum(before, 0)
    error = 2 * (hidden @ w2.T + b2 - truth) / len(rows)
    back = (error @ w2) * (before > 0)
    first = np.sqrt(((back.T @ rows) ** 2).sum() + (back.sum(0) ** 2).sum())
    last = np.sqrt(((error.T @ hidden) ** 2).sum() + (error.sum(0) ** 2).sum())
    sizes = [np.sqrt((w**2).sum() + (b**2).sum()) for w, b in ((w1, b1), (w2, b2))]
    found = measured(network, x, y, lr=0.1)
    assert found["gradient"] == {"0": pytest.approx(first, rel=1e-3), "2": pytest.approx(last, rel=1e-3)}
    assert found["update"] == {
        "0": pytest.approx(0.1 * first / sizes[0], rel=1e-3),
        "2": pytest.approx(0.1 * last / sizes[1], rel=1e-3),
    }
    assert found["dead"] == {"1": pytest.approx((before <= 0).all(0).mean(), abs=1e-4)}


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid, nn.Tanh])
def test_dead_units_are_counted(activation: type[nn.Module]) -> None:
    network, (x, y) = small(activation), data()
    bias = network[0].bias
    assert isinstance(bias, Tensor)
    with torch.no_grad():
        bias[:2] = -100.0
        bias[2] = -100.0 if activation is nn.ReLU else 100.0
    assert measured(network, x, y)["dead"]["1"] == pytest.approx(3 / 8)
    network[0].weight.data.fill_(0.0)
    bias.data.fill_(0.1)
    assert measured(network, x, y)["dead"]["1"] == 0.0


def test_a_unit_behind_convolutions_is_a_channel() -> None:
    dense = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    network = nn.Sequential(nn.Conv1d(2, 6, 1), nn.BatchNorm1d(6), nn.ReLU(), dense)
    assert {name: axis for name, (_, axis) in find_activations(network).items()} == {"2": 1, "3.1": -1}


def test_a_batch_in_parts_is_one_batch() -> None:
    network, (x, y) = small(), data()
    whole = measured(copy.deepcopy(network), x, y)
    looking = Probe(network, torch.optim.SGD(network.parameters(), lr=0.1))
    looking.add_hooks()
    for rows, truth in ((x[:4], y[:4]), (x[4:8], y[4:8]), (x[8:], y[8:])):
        (functional.mse_loss(network(rows), truth) / 3).backward()
    looking.measure()
    looking.optimizer.step()
    parts = looking.read()
    assert parts["dead"] == whole["dead"]
    assert parts["gradient"] == pytest.approx(whole["gradient"], rel=1e-3)


def test_one_activation_in_two_places_is_two() -> None:
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
    looking = Probe(network, torch.optim.SGD(network.parameters(), lr=0.1))
    looking.add_hooks()
    for rows, truth in ((x[:4], y[:4]), (x[4:], y[4:])):
        functional.mse_loss(network(rows), truth.expand(-1, 4)).backward()
    looking.measure()
    assert looking.read()["dead"] == {"activation": 0.25}


def test_layers_between_the_first_and_the_last_are_left_out_evenly() -> None:
    deep = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.ReLU()) for _ in range(40)))
    for names, last in ((group_parameters(deep), "39.0"), (find_activations(deep), "39.2")):
        depths = [int(name.partition(".")[0]) for name in names]
        assert len(depths) == MAX_LAYERS
        assert (next(iter(names))[0], [*names][-1]) == ("0", last)
        assert set(np.diff(depths)) <= {4, 5}


def test_what_is_frozen_has_no_gradient() -> None:
    network, (x, y) = small(), data()
    network[0].requires_grad_(False)
    found = measured(network, x, y)
    assert found["gradient"]["0"] is None
    assert found["gradient"]["2"] is not None


def test_a_gradient_that_is_not_finite_is_none() -> None:
    network, (x, y) = small(), data()
    assert measured(network, x * torch.inf, y)["gradient"] == {"0": None, "2": None}


def test_of_large_tensors_a_part_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    network, (x, y) = small(), data()
    whole = measured(copy.deepcopy(network), x, y)
    monkeypatch.setattr(probe, "MAX_SAMPLE_SIZE", 10)  # two of eight rows of the first weights
    parts = measured(network, x, y)
    assert parts["gradient"] == whole["gradient"]
    assert parts["update"]["0"] != whole["update"]["0"]
    assert parts["update"]["0"] == pytest.approx(whole["update"]["0"], rel=0.9)


@pytest.mark.parametrize("case", STARTED.values(), ids=STARTED)
def test_a_step_that_is_looked_at_is_the_step(case: Case) -> None:
    network, x = network_of(case), features(case)
    again = copy.deepcopy(network)
    optimizers = [torch.optim.AdamW(n.parameters(), lr=0.01) for n in (network, again)]
    looking = Probe(network, optimizers[0])
    for n, optimizer in zip((network, again), optimizers, strict=True):
        n.train()
        torch.manual_seed(3)
        if n is network:
            looking.add_hooks()
        n(x).square().mean().backward()
        if n is network:
            looking.measure()
        optimizer.step()
    found = looking.read()
    assert all(torch.equal(one, other) for one, other in zip(network.parameters(), again.parameters(), strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert not optimizers[0]._optimizer_step_post_hooks
    assert all(value is not None for kind in ("gradient", "update") for value in found[kind].values())
    assert len(found["gradient"]) >= 1


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_how_far_back_a_cell_s_gradient_reaches(cell: RecurrentCell) -> None:
    torch.manual_seed(0)
    network = build_network(Rnn(family="rnn", cell=cell, hidden=(4,)), InputSpec((30, 2), 1))
    x, y = torch.randn(8, 30, 2), torch.randn(8, 1)
    found = measured(copy.deepcopy(network), x, y)["reach"]
    seen = x.clone().requires_grad_()
    functional.mse_loss(network(seen), y).backward()
    assert seen.grad is not None
    steps = seen.grad.square().sum((0, 2)).numpy()
    assert found == {"layers.0.ahead": pytest.approx(float(np.sqrt(steps[:3].mean() / steps.max())), rel=1e-3)}


def test_a_parametrized_layer_goes_by_its_own_name() -> None:
    network = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(5, 8)), nn.ReLU(), nn.Linear(8, 1))
    assert {name: len(own) for name, own in group_parameters(network).items()} == {"0": 2, "2": 2}
