"""Weight initialization against its sources, batch norm of single values, and the order of pooling and activation."""

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from fivefold.config.base import Activation, Initialization
from fivefold.config.models import NetworkConfig
from fivefold.config.networks.cnn import Fcn, PlainCnn, ResNet, ResNet1d, Tcn, Vgg
from fivefold.config.networks.mlp import Mlp
from fivefold.models.factory import InputSpec, build_network
from fivefold.models.layers import ACTIVATIONS, MONOTONIC_ACTIVATIONS, BatchNorm, BatchNorm2d, initialize_weights

CNN: Any = {"family": "cnn"}


def layers() -> dict[str, tuple[nn.Module, int, int]]:
    """Return a layer of each kind that `init` initializes, with its fan-in and fan-out."""
    torch.manual_seed(0)
    return {
        "dense": (nn.Linear(300, 200), 300, 200),
        "over time": (nn.Conv1d(60, 100, 5), 300, 500),
        "of images": (nn.Conv2d(30, 100, 3), 270, 900),
    }


@pytest.mark.parametrize("layer", layers())
class TestInit:
    def weights(self, layer: str, init: Initialization, activation: Activation = "relu") -> tuple[Tensor, int, int]:
        module, fan_in, fan_out = layers()[layer]
        initialize_weights(module, init, activation)
        assert init == "default" or not module.get_parameter("bias").any()
        return module.get_parameter("weight").detach(), fan_in, fan_out

    def test_default_is_pytorchs_own(self, layer: str) -> None:
        assert torch.equal(self.weights(layer, "default")[0], layers()[layer][0].get_parameter("weight"))

    def test_zero(self, layer: str) -> None:
        assert not self.weights(layer, "zeros")[0].any()

    def test_normal_has_the_standard_deviation_of_keras(self, layer: str) -> None:
        weights, _, _ = self.weights(layer, "normal")
        assert weights.std() == pytest.approx(0.05, rel=0.02)
        assert weights.abs().max() > 0.15

    def test_uniform_has_the_bounds_of_keras(self, layer: str) -> None:
        weights, _, _ = self.weights(layer, "uniform")
        assert weights.abs().max() == pytest.approx(0.05, rel=0.01)
        assert weights.std() == pytest.approx(0.05 / math.sqrt(3), rel=0.02)

    def test_xavier_bound_depends_on_fan_in_and_fan_out(self, layer: str) -> None:
        weights, fan_in, fan_out = self.weights(layer, "xavier")
        assert weights.abs().max() == pytest.approx(math.sqrt(6 / (fan_in + fan_out)), rel=0.01)

    @pytest.mark.parametrize(("activation", "gain"), [("relu", math.sqrt(2)), ("tanh", 5 / 3), ("silu", math.sqrt(2))])
    def test_kaiming_depends_on_fan_in(self, layer: str, activation: Activation, gain: float) -> None:
        weights, fan_in, _ = self.weights(layer, "kaiming", activation)
        assert weights.std() == pytest.approx(gain / math.sqrt(fan_in), rel=0.02)

    def test_orthogonal_units_are_orthonormal(self, layer: str) -> None:
        weights = self.weights(layer, "orthogonal")[0].flatten(1)
        torch.testing.assert_close(weights @ weights.T, torch.eye(len(weights)), rtol=0, atol=1e-4)


def test_units_initialized_with_zeros_stay_equal() -> None:
    """Equal units have equal gradients (here of sigmoids, whose output is not 0), so initial weights must differ."""
    torch.manual_seed(0)
    network = build_network(Mlp(family="mlp", hidden=(8,), activation="sigmoid", init="zeros"), InputSpec((5,), 2))
    x = torch.randn(64, 5)
    y = (x[:, 0] > 0.5).long()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    weights = network.get_parameter("layers.1.weight")  # (8, 5)
    assert weights.abs().min() > 1e-3
    torch.testing.assert_close(weights, weights[:1].expand(8, 5), rtol=1e-4, atol=1e-5)  # up to rounding


@pytest.mark.parametrize("init", get_args(Initialization))
@pytest.mark.parametrize(
    ("params", "shape"),
    [
        (lambda init: ResNet(**CNN, architecture="resnet", depth=8, init=init), InputSpec((1, 8, 8), 3)),
        (lambda init: ResNet1d(**CNN, architecture="resnet1d", channels=(8, 8), init=init), InputSpec((9, 2), 3)),
        (lambda init: Mlp(family="mlp", norm="layer", residual=True, init=init), InputSpec((9,), 3)),
        (lambda init: Tcn(**CNN, architecture="tcn", channels=(8, 8), init=init), InputSpec((9, 2), 3)),
    ],
    ids=["resnet", "resnet1d", "mlp", "tcn"],
)
def test_init_does_not_change_norms(params: Any, shape: InputSpec, init: Initialization) -> None:
    network = build_network(params(init), shape)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
    out = network(torch.randn(4, *shape.shape))
    out.sum().backward()
    assert out.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_weight_norm_preserves_the_initial_weights() -> None:
    torch.manual_seed(3)
    normed = build_network(Tcn(**CNN, architecture="tcn", channels=(8, 8)), InputSpec((9, 2), 3))
    torch.manual_seed(3)
    plain = build_network(Tcn(**CNN, architecture="tcn", channels=(8, 8), norm="none"), InputSpec((9, 2), 3))
    x = torch.randn(4, 9, 2)
    torch.testing.assert_close(normed(x), plain(x))


def plain_cnn(activation: Activation) -> NetworkConfig:
    return PlainCnn(**CNN, architecture="plain", channels=(4, 6), norm="batch", activation=activation, dense=())


def order(network: nn.Module) -> list[type[nn.Module]]:
    return [type(module) for module in network.get_submodule("layers")]


@pytest.mark.parametrize("activation", sorted(MONOTONIC_ACTIVATIONS))
def test_pooling_before_a_monotonic_activation_has_equal_gradients(activation: Activation) -> None:
    torch.manual_seed(0)
    network = build_network(plain_cnn(activation), InputSpec((2, 9, 8), 3))
    found = order(network)
    assert found[2:4] == [nn.MaxPool2d, ACTIVATIONS[activation]]
    after = nn.Sequential(*network.get_submodule("layers"))
    for at in (2, 6):
        after[at], after[at + 1] = after[at + 1], after[at]
    x = torch.randn(5, 2, 9, 8)
    results = []
    for one in (network, after):
        one.zero_grad()
        for module in one.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
        out = one(x)
        out.square().sum().backward()
        results.append([out, *(p.grad for p in one.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - MONOTONIC_ACTIVATIONS))
def test_other_activations_precede_pooling(activation: Activation) -> None:
    found = order(build_network(plain_cnn(activation), InputSpec((2, 9, 8), 3)))
    assert found[2:4] == [ACTIVATIONS[activation], nn.MaxPool2d]


@pytest.mark.parametrize(
    ("norm", "plain", "spatial_shape"),
    [
        (BatchNorm(4), nn.BatchNorm1d(4), ()),
        (BatchNorm(4), nn.BatchNorm1d(4), (1,)),
        (BatchNorm2d(4), nn.BatchNorm2d(4), (1, 1)),
    ],
    ids=["dense", "over time", "of images"],
)
def test_batch_norm_of_a_single_value_uses_running_statistics(
    norm: nn.Module, plain: nn.Module, spatial_shape: tuple[int, ...]
) -> None:
    x = torch.randn(8, 4, *spatial_shape)
    torch.testing.assert_close(norm(x), plain(x))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    plain.eval()
    torch.testing.assert_close(norm(x[:1]), plain(x[:1]))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    norm(x[:1]).sum().backward()
    assert norm.get_parameter("weight").grad is not None


@pytest.mark.parametrize(
    ("params", "shape"),
    [
        (Mlp(family="mlp", norm="batch"), InputSpec((5,), 3)),
        (PlainCnn(**CNN, architecture="plain", norm="batch"), InputSpec((1, 4, 4), 3)),
        (Vgg(**CNN, architecture="vgg", channels=(4, 8), convolutions=(1, 2)), InputSpec((1, 4, 5), 3)),
        (ResNet(**CNN, architecture="resnet", depth=8), InputSpec((1, 4, 4), 3)),
        (Fcn(**CNN, architecture="fcn", channels=(4,), kernel_sizes=(3,)), InputSpec((1, 2), 3)),
        (ResNet1d(**CNN, architecture="resnet1d", channels=(4, 4)), InputSpec((1, 2), 3)),
        (ResNet1d(**CNN, architecture="resnet1d", channels=(4, 4)), InputSpec((6, 3), 3, has_mask=True)),
    ],
    ids=["mlp", "plain_cnn", "vgg", "resnet", "fcn", "resnet1d", "resnet1d, one step is real"],
)
def test_a_batch_of_one_small_sample_can_be_trained(params: NetworkConfig, shape: InputSpec) -> None:
    network = build_network(params, shape)
    before = {name: value.clone() for name, value in network.named_buffers() if "running" in name}
    x = torch.randn(1, *shape.shape)
    if shape.has_mask:
        x[:, :, -1] = torch.tensor([1.0, 0, 0, 0, 0, 0])
    network(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    if len(shape.shape) < 3:  # every norm received a single value
        assert all(torch.equal(network.get_buffer(name), value) for name, value in before.items())
