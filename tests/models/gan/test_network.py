"""What is an adversarial network's own: the tutorials' sizes, spectral norm, modulated weights, odd images."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from fivefold.config.networks.gan import Gan
from fivefold.errors import ParamsError
from fivefold.models.factory import InputSpec, build_network
from fivefold.models.gan.network import GanNetwork
from fivefold.models.gan.stylegan import ModulatedConv2d as ModulatedConvolution
from fivefold.models.gan.stylegan import StyleGANDiscriminator, StyleGANGenerator

GREY, ODD = InputSpec((1, 28, 28), 10, n_classes=10), InputSpec((3, 33, 17), 10, n_classes=10)


def network_of(shape: InputSpec = GREY, **params: Any) -> GanNetwork:
    torch.manual_seed(0)
    network = build_network(Gan(family="gan", **params), shape)
    assert isinstance(network, GanNetwork)
    return network


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_defaults_are_the_tutorials_networks() -> None:
    network = network_of()
    assert size(network.generator) == 100 * 256 + 256 + 256 * 784 + 784 == 227_344
    assert size(network.discriminator) == 784 * 256 + 256 + 256 + 1 == 201_217


def test_dcgan_has_as_many_parameters_as_counted_by_hand() -> None:
    network = network_of(architecture="dcgan", hidden=(64, 128), latent_dim=100)
    made = 100 * 128 * 49 + 2 * 128 + 128 * 64 * 16 + 2 * 64 + 64 * 16 + 1
    assert size(network.generator) == made
    assert size(network.discriminator) == 64 * 16 + 64 + 64 * 128 * 16 + 2 * 128 + 128 * 49 + 1


@pytest.mark.parametrize("architecture", ["dcgan", "resnet", "stylegan"])
@pytest.mark.parametrize("sides", [(8, 8), (9, 8), (31, 10), (33, 17)])
@pytest.mark.parametrize("conditioning", ["none", "label", "projection"])
def test_images_of_any_size_are_made_and_judged(architecture: str, sides: tuple[int, int], conditioning: str) -> None:
    shape = InputSpec((3, *sides), 5, n_classes=5)
    network = network_of(shape, architecture=architecture, hidden=(4, 6, 8), latent_dim=7, conditioning=conditioning)
    k = 0 if conditioning == "none" else 5
    made = network(torch.randn(4, 7 + k))
    assert made.shape == (4, 3, *sides)
    assert network.discriminator(made, torch.eye(5)[:4, :k]).shape == (4,)


@pytest.mark.parametrize("conditioning", ["label", "projection"])
@pytest.mark.parametrize("architecture", ["dense", "dcgan", "resnet", "stylegan"])
def test_the_class_matters_to_both_players(architecture: str, conditioning: str) -> None:
    network = network_of(ODD, architecture=architecture, hidden=(8,), latent_dim=7, conditioning=conditioning).eval()
    z, one, other = torch.randn(4, 7), torch.eye(10)[[1] * 4], torch.eye(10)[[2] * 4]
    made = network(torch.cat([z, one], dim=1))
    assert not torch.allclose(made, network(torch.cat([z, other], dim=1)))
    assert not torch.allclose(network.discriminator(made, one), network.discriminator(made, other))


@pytest.mark.parametrize(
    ("shape", "params", "said"),
    [
        (
            InputSpec((9,), 2, vocab_size=9),
            {},
            "generates images and table rows, but the samples are text or sequences; choose",
        ),
        (
            InputSpec((7, 3), 2, has_mask=True),
            {},
            "generates images and table rows, but the samples are text or sequences; choose",
        ),
        (
            InputSpec((7,), 2),
            {"architecture": "dcgan"},
            r"network.architecture dcgan needs images, but samples have shape \(7,\)",
        ),
        (
            InputSpec((7,), 1),
            {"conditioning": "label"},
            "network.conditioning label needs classes, but the dataset has none",
        ),
        (
            GREY,
            {"architecture": "dcgan", "hidden": (8,) * 5},
            "must have at most 4 layers for images of 28x28 pixels, because each",
        ),
        (
            GREY,
            {"architecture": "resnet", "hidden": ()},
            "must have at least one layer for architecture resnet, but is empty; add one",
        ),
    ],
)
def test_records_that_do_not_suit_are_refused(shape: InputSpec, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        network_of(shape, **params)


@pytest.mark.parametrize(
    ("shape", "architecture", "packed"),
    [(InputSpec((7,), 3, n_classes=3), "dense", (2, 28)), (ODD, "dcgan", (2, 12, 33, 17))],
)
def test_a_critic_judges_packs_of_records(shape: InputSpec, architecture: str, packed: tuple[int, ...]) -> None:
    critic = network_of(shape, architecture=architecture, hidden=(8,), conditioning="label", pac=4).discriminator
    x, c = torch.randn(packed), torch.zeros(2, 4 * shape.n_classes)
    told = critic(x, c)
    assert told.shape == (2,)
    x[0, -1] += 1  # the last record of the first pack
    assert (critic(x, c) != told).tolist() == [True, False]


def test_spectral_norm_brings_the_largest_singular_value_of_every_layer_to_1() -> None:
    critic = network_of(
        InputSpec((3, 16, 16), 10, n_classes=10), architecture="resnet", hidden=(6, 8)
    ).discriminator.train()
    for _ in range(200):
        critic(torch.randn(2, 3, 16, 16), torch.zeros(2, 0))  # a step of the power method each
    layers = [m for m in critic.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(layers) == 7
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
        assert float(largest) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_is_one_with_weights_of_its_own_for_each_record(demodulate: bool) -> None:
    torch.manual_seed(0)
    layer = ModulatedConvolution(3, 5, 4, 3, demodulate=demodulate)
    x, style = torch.randn(6, 3, 9, 7), torch.randn(6, 4)
    expected = []
    for record, scale in zip(x, layer.affine(style), strict=True):
        weight = layer.weight * scale[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected.append(functional.conv2d(record[None], weight, padding=1))
    torch.testing.assert_close(layer(x, style), torch.cat(expected))


def test_the_noise_of_a_style_based_generator_is_drawn_in_training_alone() -> None:
    params = Gan(family="gan", architecture="stylegan", hidden=(8, 8), latent_dim=6)
    maker, z = StyleGANGenerator(params, 6, (1, 8, 8)), torch.randn(3, 6)
    with torch.no_grad():
        for layer in maker.layers:
            layer.noise_strength.fill_(1.0)  # type: ignore[operator, union-attr]
    assert not torch.equal(maker.train()(z), maker(z))
    assert torch.equal(maker.eval()(z), maker(z))


def test_a_style_based_critic_sees_how_much_a_batch_varies() -> None:
    body = StyleGANDiscriminator(Gan(family="gan", architecture="stylegan", hidden=(8, 8)), (1, 8, 8))
    x = torch.randn(4, 1, 8, 8)
    same = x[:1].expand(4, -1, -1, -1)
    assert torch.allclose(body(same)[:1], body(x[:1]), atol=1e-4)  # neither varies
    assert not torch.allclose(body(x)[:1], body(x[:1]), atol=1e-4)
