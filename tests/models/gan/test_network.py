"""GAN networks: sizes of the tutorials, spectral norm, modulated weights, conditioning and odd image sizes."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from fivefold.config.networks.gan import Gan
from fivefold.errors import ParamsError
from fivefold.models.factory import InputSpec, build_network
from fivefold.models.gan.network import GanNetwork
from fivefold.models.gan.stylegan import ModulatedConv2d, StyleGANDiscriminator, StyleGANGenerator

GREY, ODD = InputSpec((1, 28, 28), 10, n_classes=10), InputSpec((3, 33, 17), 10, n_classes=10)


def network_of(shape: InputSpec = GREY, **params: Any) -> GanNetwork:
    torch.manual_seed(0)
    network = build_network(Gan(family="gan", **params), shape)
    assert isinstance(network, GanNetwork)
    return network


def n_parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_defaults_are_the_tutorials_networks() -> None:
    network = network_of()
    assert n_parameters(network.generator) == 100 * 256 + 256 + 256 * 784 + 784 == 227_344
    assert n_parameters(network.discriminator) == 784 * 256 + 256 + 256 + 1 == 201_217


def test_dcgan_has_as_many_parameters_as_counted_by_hand() -> None:
    network = network_of(architecture="dcgan", hidden=(64, 128), latent_dim=100)
    expected = 100 * 128 * 49 + 2 * 128 + 128 * 64 * 16 + 2 * 64 + 64 * 16 + 1
    assert n_parameters(network.generator) == expected
    assert n_parameters(network.discriminator) == 64 * 16 + 64 + 64 * 128 * 16 + 2 * 128 + 128 * 49 + 1


@pytest.mark.parametrize("architecture", ["dcgan", "resnet", "stylegan"])
@pytest.mark.parametrize("sides", [(8, 8), (9, 8), (31, 10), (33, 17)])
@pytest.mark.parametrize("conditioning", ["none", "label", "projection"])
def test_images_of_any_size_are_generated_and_classified(
    architecture: str, sides: tuple[int, int], conditioning: str
) -> None:
    shape = InputSpec((3, *sides), 5, n_classes=5)
    network = network_of(shape, architecture=architecture, hidden=(4, 6, 8), latent_dim=7, conditioning=conditioning)
    k = 0 if conditioning == "none" else 5
    generated = network(torch.randn(4, 7 + k))
    assert generated.shape == (4, 3, *sides)
    assert network.discriminator(generated, torch.eye(5)[:4, :k]).shape == (4,)


@pytest.mark.parametrize("conditioning", ["label", "projection"])
@pytest.mark.parametrize("architecture", ["dense", "dcgan", "resnet", "stylegan"])
def test_generator_and_discriminator_depend_on_the_class(architecture: str, conditioning: str) -> None:
    network = network_of(ODD, architecture=architecture, hidden=(8,), latent_dim=7, conditioning=conditioning).eval()
    z, one, other = torch.randn(4, 7), torch.eye(10)[[1] * 4], torch.eye(10)[[2] * 4]
    generated = network(torch.cat([z, one], dim=1))
    assert not torch.allclose(generated, network(torch.cat([z, other], dim=1)))
    assert not torch.allclose(network.discriminator(generated, one), network.discriminator(generated, other))


@pytest.mark.parametrize(
    ("shape", "params", "message"),
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
def test_data_that_do_not_fit_are_rejected(shape: InputSpec, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        network_of(shape, **params)


@pytest.mark.parametrize(
    ("shape", "architecture", "packed"),
    [(InputSpec((7,), 3, n_classes=3), "dense", (2, 28)), (ODD, "dcgan", (2, 12, 33, 17))],
)
def test_a_discriminator_has_one_logit_per_pack(shape: InputSpec, architecture: str, packed: tuple[int, ...]) -> None:
    discriminator = network_of(shape, architecture=architecture, hidden=(8,), conditioning="label", pac=4).discriminator
    x, c = torch.randn(packed), torch.zeros(2, 4 * shape.n_classes)
    logits = discriminator(x, c)
    assert logits.shape == (2,)
    x[0, -1] += 1  # the last record of the first pack
    assert (discriminator(x, c) != logits).tolist() == [True, False]


def test_spectral_norm_sets_the_largest_singular_value_of_every_layer_to_1() -> None:
    discriminator = network_of(
        InputSpec((3, 16, 16), 10, n_classes=10), architecture="resnet", hidden=(6, 8)
    ).discriminator.train()
    for _ in range(200):
        discriminator(torch.randn(2, 3, 16, 16), torch.zeros(2, 0))  # a step of the power method each
    layers = [m for m in discriminator.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(layers) == 7
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
        assert float(largest) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_modulated_convolution_equals_one_with_separate_weights_per_sample(demodulate: bool) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(3, 5, 4, 3, demodulate=demodulate)
    x, style = torch.randn(6, 3, 9, 7), torch.randn(6, 4)
    expected = []
    for record, scale in zip(x, layer.affine(style), strict=True):
        weight = layer.weight * scale[None, :, None, None]
        if demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected.append(functional.conv2d(record[None], weight, padding=1))
    torch.testing.assert_close(layer(x, style), torch.cat(expected))


def test_noise_of_a_style_based_generator_is_random_in_training_only() -> None:
    params = Gan(family="gan", architecture="stylegan", hidden=(8, 8), latent_dim=6)
    generator, z = StyleGANGenerator(params, 6, (1, 8, 8)), torch.randn(3, 6)
    with torch.no_grad():
        for layer in generator.layers:
            layer.noise_strength.fill_(1.0)  # type: ignore[operator, union-attr]
    assert not torch.equal(generator.train()(z), generator(z))
    assert torch.equal(generator.eval()(z), generator(z))


def test_a_style_based_discriminator_uses_the_variation_of_a_batch() -> None:
    discriminator = StyleGANDiscriminator(Gan(family="gan", architecture="stylegan", hidden=(8, 8)), (1, 8, 8))
    x = torch.randn(4, 1, 8, 8)
    same = x[:1].expand(4, -1, -1, -1)
    assert torch.allclose(discriminator(same)[:1], discriminator(x[:1]), atol=1e-4)  # neither varies
    assert not torch.allclose(discriminator(x)[:1], discriminator(x[:1]), atol=1e-4)
