"""Convolutional networks: shortcuts, batch norm over real steps, causality, and outputs at every step."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.config.networks.cnn import Fcn, PlainCnn, ResNet, ResNet1d, Tcn, TutorialCnn
from fivefold.errors import ParamsError
from fivefold.models.cnn.image import BasicBlock
from fivefold.models.cnn.temporal import ConvBatchNorm, MaskedBatchNorm, TcnNetwork, masked_mean, select_last_step
from fivefold.models.factory import InputSpec, build_network

CNN: Any = {"family": "cnn"}
RESNET = ResNet(**CNN, architecture="resnet", depth=8)
TEMPORAL = [Fcn(**CNN, architecture="fcn"), ResNet1d(**CNN, architecture="resnet1d"), Tcn(**CNN, architecture="tcn")]


def tcn(shape: InputSpec, **changes: Any) -> TcnNetwork:
    network = build_network(Tcn(**CNN, architecture="tcn", **{"channels": (6, 6), **changes}), shape)
    assert isinstance(network, TcnNetwork)
    return network.eval()


def test_the_tutorials_network_is_the_plain_network_with_defaults() -> None:
    networks = []
    for params in (TutorialCnn(**CNN, architecture="tutorial"), PlainCnn(**CNN, architecture="plain")):
        torch.manual_seed(0)
        networks.append(build_network(params, InputSpec((1, 8, 8), 3)))
    assert str(networks[0]) == str(networks[1])
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(networks[0](x), networks[1](x))


def test_a_shortcut_of_a_resnet_has_no_weights() -> None:
    block = BasicBlock(2, 5, 2, RESNET).eval()
    nn.init.zeros_(block.body.get_parameter("5.weight"))  # the last norm's scale: only the shortcut remains
    x = torch.rand(3, 2, 7, 6)
    out = block(x)  # (3, 5, 4, 3)
    assert torch.equal(out[:, :2], x[:, :, ::2, ::2])
    assert not out[:, 2:].any()


def test_a_resnet_halves_twice_and_doubles_its_channels() -> None:
    network = build_network(ResNet(**CNN, architecture="resnet", depth=14, widen_factor=2), InputSpec((1, 28, 28), 10))
    x, shapes = torch.zeros(2, 1, 28, 28), []
    for layer in network.get_submodule("layers"):
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    blocks = [
        shape for shape, layer in zip(shapes, network.get_submodule("layers"), strict=True) if type(layer) is BasicBlock
    ]
    assert blocks == [(32, 28, 28)] * 2 + [(64, 14, 14)] * 2 + [(128, 7, 7)] * 2


class TestMaskedSteps:
    """Norm and mean over real steps equal those of the concatenated steps without padding."""

    def padded(self) -> tuple[Tensor, Tensor, list[int]]:
        lengths = [4, 1, 6]
        real = torch.tensor([[[float(t < n) for t in range(6)]] for n in lengths])  # (3, 1, 6)
        return torch.randn(3, 2, 6, generator=torch.Generator().manual_seed(0)), real, lengths

    def test_masked_norm_equals_the_norm_of_concatenated_real_steps(self) -> None:
        x, real, lengths = self.padded()
        masked, plain = MaskedBatchNorm(2), nn.BatchNorm1d(2)
        for norm in (masked, plain):
            nn.init.constant_(norm.weight, 1.5)
            nn.init.constant_(norm.bias, 0.5)
        steps = torch.cat([one[:, :n] for one, n in zip(x, lengths, strict=True)], dim=1)  # (2, 11)
        out, expected = masked(x, real), plain(steps[None])[0]
        real_steps = torch.cat([one[:, :n] for one, n in zip(out, lengths, strict=True)], dim=1)
        torch.testing.assert_close(real_steps, expected)
        torch.testing.assert_close(masked.state_dict(), plain.state_dict())
        torch.testing.assert_close(masked.eval()(x, real), plain.eval()(x))

    def test_masked_norm_of_real_steps_only_is_a_plain_norm(self) -> None:
        x, _, _ = self.padded()
        masked, marked, plain = MaskedBatchNorm(2), MaskedBatchNorm(2), nn.BatchNorm1d(2)
        torch.testing.assert_close(masked(x), plain(x))
        torch.testing.assert_close(marked(x, torch.ones(3, 1, 6)), plain(x))

    def test_masked_mean_uses_real_steps(self) -> None:
        x, real, lengths = self.padded()
        expected = torch.stack([one[:, :n].mean(1) for one, n in zip(x, lengths, strict=True)])
        torch.testing.assert_close(masked_mean(x, real), expected)
        torch.testing.assert_close(masked_mean(x, None), x.mean(2))

    def test_select_last_step_selects_the_last_real_step(self) -> None:
        x, real, lengths = self.padded()
        assert torch.equal(
            select_last_step(x, real), torch.stack([one[:, n - 1] for one, n in zip(x, lengths, strict=True)])
        )
        assert torch.equal(select_last_step(x, None), x[:, :, -1])

    def test_a_sample_without_real_steps_has_finite_outputs(self) -> None:
        x, real = torch.randn(1, 2, 6), torch.zeros(1, 1, 6)
        assert masked_mean(x, real).tolist() == [[0, 0]]
        assert torch.equal(select_last_step(x, real), x[:, :, 0])
        assert MaskedBatchNorm(2)(x, real).isfinite().all()

    @pytest.mark.parametrize("kernel", [1, 2, 3, 8])
    def test_a_convolution_keeps_the_number_of_steps(self, kernel: int) -> None:
        layer = ConvBatchNorm(1, 1, kernel).eval()
        x = torch.randn(1, 1, 9)
        # SciPy's and NumPy's "same" for an odd kernel; an even one reaches further ahead
        around = np.pad(x[0, 0].numpy(), ((kernel - 1) // 2, kernel // 2))
        expected = np.correlate(around, layer.conv.weight[0, 0].detach().numpy(), "valid")
        np.testing.assert_allclose(layer(x, None)[0, 0].detach(), expected / np.sqrt(1 + 1e-5), atol=1e-6)


class TestTcn:
    @pytest.mark.parametrize("norm", ["none", "weight"])
    def test_a_step_depends_on_itself_and_earlier_steps(self, norm: str) -> None:
        network, x = tcn(InputSpec((9, 2), 3), norm=norm), torch.randn(1, 9, 2)
        before = network.forward_all_steps(x)
        x[0, 5] += 1
        changed = (network.forward_all_steps(x) != before).any(2)[0]
        assert changed.tolist() == [False] * 5 + [True] * 4

    def test_receptive_field_has_the_expected_length(self) -> None:
        network, x = (
            tcn(InputSpec((20, 1), 3), kernel_size=3, activation="tanh"),
            torch.randn(1, 20, 1, requires_grad=True),
        )
        (gradient,) = torch.autograd.grad(network(x).sum(), x)
        length = 1 + 2 * (3 - 1) * (2**2 - 1)
        assert gradient[0, :, 0].ne(0).tolist() == [False] * (20 - length) + [True] * length

    @pytest.mark.parametrize(
        ("shape", "x"),
        [
            (InputSpec((9, 2), 3), torch.randn(4, 9, 2)),
            (InputSpec((9,), 3, vocab_size=7), torch.arange(1, 37).reshape(4, 9) % 6 + 1),
        ],
        ids=["series", "tokens"],
    )
    def test_forward_equals_the_output_at_the_last_step(self, shape: InputSpec, x: Tensor) -> None:
        network = tcn(shape)
        steps = network.forward_all_steps(x)
        assert steps.shape == (4, 9, 3)
        torch.testing.assert_close(network(x), steps[:, -1])
        torch.testing.assert_close(steps[:, 4], network(x[:, :5]))

    def test_weight_norm_equals_that_of_pytorch(self) -> None:
        network, x = tcn(InputSpec((9, 2), 3), channels=(4,)), torch.randn(5, 9, 2)
        block = network.blocks[0]
        convolution = block.body[0]
        with torch.no_grad():
            convolution.scale.fill_(2.0)
        plain = nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 4, 3, padding=2), dim=0)
        with torch.no_grad():
            plain.parametrizations.weight.original1.copy_(convolution.weight)
            plain.parametrizations.weight.original0.fill_(2.0)
            plain.bias.copy_(convolution.bias)
        expected = plain(x.transpose(1, 2))[:, :, :9]
        torch.testing.assert_close(convolution(x.transpose(1, 2)), expected)


@pytest.mark.parametrize("params", TEMPORAL, ids=lambda params: params.architecture)
def test_an_embedding_of_numeric_features_is_rejected(params: Any) -> None:
    params_with_embedding = type(params)(**CNN, architecture=params.architecture, embedding_dim=8)
    with pytest.raises(
        ParamsError, match=r"network\.embedding_dim needs text, .* but is 8 and all features are numeric; remove it"
    ):
        build_network(params_with_embedding, InputSpec((7, 3), 2, has_mask=True))


@pytest.mark.parametrize("params", [RESNET, *TEMPORAL], ids=lambda params: params.architecture)
def test_gradients_under_mixed_precision_are_finite(params: Any) -> None:
    shape = InputSpec((1, 8, 8), 2) if params is RESNET else InputSpec((7, 3), 2, has_mask=True)
    network = build_network(params, shape)
    x = torch.rand(4, *shape.shape).round()
    with torch.autocast("cpu", torch.bfloat16):
        loss = functional.cross_entropy(network(x), torch.tensor([0, 1, 0, 1]))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert all(buffer.dtype != torch.bfloat16 for buffer in network.buffers())


@pytest.mark.parametrize("params", [RESNET, *TEMPORAL], ids=lambda params: params.architecture)
def test_a_training_step_is_one_graph(params: Any) -> None:
    """What `torch.compile` must be able to trace; `aot_eager` traces as it does, and compiles nothing."""
    shape = InputSpec((1, 8, 8), 2) if params is RESNET else InputSpec((7, 3), 2, has_mask=True)
    network = build_network(params, shape)
    traced = torch.compile(copy.deepcopy(network), backend="aot_eager", fullgraph=True)
    x = torch.rand(4, *shape.shape).round()
    torch.testing.assert_close(traced(x), network(x))
    torch.testing.assert_close(dict(traced._orig_mod.named_buffers()), dict(network.named_buffers()))
