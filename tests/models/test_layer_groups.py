"""Layer groups of every network: all of its state in order of computation; blocks are not split, norms included."""

import pytest
import torch
from torch import nn

from fivefold.models.transfer import layer_groups

from .helpers import STARTED, Case, features, network_of


@pytest.mark.parametrize("case", STARTED.values(), ids=STARTED)
class TestFamily:
    def test_every_parameter_is_in_exactly_one_group(self, case: Case) -> None:
        network = network_of(case)
        parameter_ids = [id(p) for layer in layer_groups(network) for p in layer.parameters()]
        assert sorted(parameter_ids) == sorted(id(p) for p in network.parameters())
        assert sum(len(layer.named_tensors()) for layer in layer_groups(network)) == len(network.state_dict())

    def test_the_last_group_computes_the_outputs_only(self, case: Case) -> None:
        network = network_of(case)
        *before, last = layer_groups(network)
        outputs = case.classes or case.values
        assert [p.shape[0] for p in last.parameters()] == [outputs] * len(last.parameters())
        assert before

    def test_groups_are_in_order_of_computation(self, case: Case) -> None:
        network, order = network_of(case), []
        groups = layer_groups(network)
        for i, layer in enumerate(groups):
            module = next(iter(layer.modules.values()))
            module.register_forward_hook(lambda *_, i=i: order.append(i))  # type: ignore[misc]
        with torch.no_grad():
            network.eval()(features(case))
        assert order == list(range(len(groups)))


class Block(nn.Module):
    """A module with children that is not a container, such as a residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 3))


class DeepNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 2, 3, bias=False),
            nn.BatchNorm2d(2),
            nn.ReLU(),
            nn.ModuleList([Block(), Block()]),
            nn.Flatten(),
        )
        self.head = nn.Sequential(nn.Dropout(), nn.Linear(8, 3))


def test_a_block_is_one_group_and_a_norm_belongs_to_the_layer_before_it() -> None:
    names = [list(layer.modules) for layer in layer_groups(nn.Sequential(nn.Embedding(5, 2), DeepNetwork()))]
    assert names == [["0"], ["1.layers.0", "1.layers.1"], ["1.layers.3.0"], ["1.layers.3.1"], ["1.head.1"]]


def test_a_frozen_group_has_no_gradient_and_its_norm_keeps_its_statistics() -> None:
    network = DeepNetwork().train()
    first, *others = layer_groups(network)
    first.set_frozen(True)
    assert [p.requires_grad for p in first.parameters()] == [False] * 3
    norm = network.layers[1]
    assert isinstance(norm, nn.BatchNorm2d)
    before = norm.running_mean.clone() if norm.running_mean is not None else None
    norm(torch.randn(4, 2, 5, 5) + 3)
    assert before is not None
    assert norm.running_mean is not None
    assert torch.equal(norm.running_mean, before)
    assert all(p.requires_grad for layer in others for p in layer.parameters())
    first.set_frozen(False)
    norm(torch.randn(4, 2, 5, 5) + 3)
    assert not torch.equal(norm.running_mean, before)
    assert all(p.requires_grad for p in network.parameters())
