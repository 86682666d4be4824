"""Autoencoder networks: number of parameters, latent codes, reconstruction errors and input noise."""

import re
from typing import Any

import pytest
import torch

from fivefold.config.networks.autoencoder import Autoencoder, DenoisingVariant
from fivefold.errors import ParamsError
from fivefold.models.autoencoder.network import AutoencoderNetwork, build
from fivefold.models.autoencoder.noise import Noise
from fivefold.models.factory import InputSpec


def network(shape: InputSpec, **changes: Any) -> AutoencoderNetwork:
    torch.manual_seed(0)
    built = build(Autoencoder(family="autoencoder", **changes), shape)
    assert isinstance(built, AutoencoderNetwork)
    return built.eval()


def n_parameters(built: AutoencoderNetwork) -> int:
    return sum(p.numel() for p in built.parameters())


def test_parameters_of_the_tutorials_784_32_784_network() -> None:
    tutorial = network(
        InputSpec((1, 28, 28), 1), hidden=(), latent_dim=32, latent_activation="relu", output_activation="sigmoid"
    )
    assert n_parameters(tutorial) == 784 * 32 + 32 + 32 * 784 + 784 == 50_992


def test_a_variational_network_has_a_second_latent_layer() -> None:
    plain, variational = (
        network(InputSpec((4,), 1), latent_dim=3, variant={"name": v}) for v in ("plain", "variational")
    )
    assert n_parameters(variational) - n_parameters(plain) == 128 * 3 + 3


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (28, 28), (33, 17), (2, 9)])
def test_convolutions_reconstruct_images_of_any_size(size: tuple[int, int]) -> None:
    built = network(InputSpec((3, *size), 1), architecture="conv", hidden=(4,))
    assert built.decode(torch.zeros(2, 16)).shape == (2, 3, *size)


def test_an_image_too_small_to_be_halved_is_rejected() -> None:
    text = re.escape(
        "network.hidden must have at most 2 layers for images of 3x9 pixels, because each layer halves them, but has 3"
    )
    with pytest.raises(ParamsError, match=text):
        network(InputSpec((1, 3, 9), 1), architecture="conv", hidden=(4, 4, 4))


@pytest.mark.parametrize(
    ("shape", "architecture", "text"),
    [
        (InputSpec((4,), 1), "conv", "network.architecture conv needs images, but samples have shape (4,)"),
        (
            InputSpec((1, 8, 8), 1),
            "recurrent",
            "network.architecture recurrent needs sequences, but samples have shape (1, 8, 8)",
        ),
        (
            InputSpec((9,), 1, vocab_size=30),
            "dense",
            "network.family autoencoder reconstructs numeric features, but the samples are text",
        ),
    ],
)
def test_data_that_do_not_fit_the_architecture_are_rejected(shape: InputSpec, architecture: str, text: str) -> None:
    with pytest.raises(ParamsError, match=re.escape(text)):
        network(shape, architecture=architecture)


def test_reconstruction_errors_ignore_padding() -> None:
    built = network(InputSpec((6, 3), 1, has_mask=True), architecture="recurrent", hidden=(8,))
    x = torch.cat([torch.randn(5, 6, 2), torch.ones(5, 6, 1)], dim=2)
    x[2, 3:] = 0
    reconstruction = built.decode(built.encode(x))
    expected = [
        (reconstruction[i, : 3 if i == 2 else 6] - x[i, : 3 if i == 2 else 6, :2]).square().mean() for i in range(5)
    ]
    torch.testing.assert_close(built.reconstruction_errors(x), torch.stack(expected))


def test_latent_codes_do_not_depend_on_padding() -> None:
    built = network(InputSpec((9, 3), 1, has_mask=True), architecture="recurrent", hidden=(8,), cell="lstm")
    x = torch.cat([torch.randn(5, 9, 2), torch.ones(5, 9, 1)], dim=2)
    x[:, 4:] = 0
    other = x.clone()
    other[:, 4:, :2] = 99
    torch.testing.assert_close(built.encode(other), built.encode(x))


class TestNoise:
    X = torch.rand(200, 50, generator=torch.Generator().manual_seed(0)) + 0.5

    def corrupt(self, noise: str, amount: float, x: torch.Tensor, *, masked: bool = False) -> torch.Tensor:
        module = Noise(
            DenoisingVariant(name="denoising", noise=noise, amount=amount), has_mask=masked, low=-7.0, high=7.0
        )
        return module.corrupt(x, torch.Generator().manual_seed(1))

    def test_gaussian_noise_has_the_configured_standard_deviation(self) -> None:
        difference = self.corrupt("gaussian", 0.3, self.X) - self.X
        assert float(difference.std()) == pytest.approx(0.3, rel=0.02)
        assert float(difference.mean()) == pytest.approx(0, abs=0.02)

    def test_masking_zeros_the_configured_share(self) -> None:
        noisy = self.corrupt("masking", 0.25, self.X)
        assert float((noisy == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
        assert torch.equal(noisy[noisy != 0], self.X[noisy != 0])

    def test_salt_and_pepper_sets_the_extremes(self) -> None:
        noisy = self.corrupt("salt_and_pepper", 0.4, self.X)
        assert [float((noisy == v).float().mean()) for v in (-7, 7)] == pytest.approx([0.2, 0.2], abs=0.02)
        rest = noisy.abs() != 7
        assert torch.equal(noisy[rest], self.X[rest])

    @pytest.mark.parametrize("noise", ["gaussian", "masking", "salt_and_pepper"])
    def test_mask_and_padding_are_unchanged(self, noise: str) -> None:
        x = torch.cat([torch.randn(20, 6, 2), torch.ones(20, 6, 1)], dim=2)
        x[:, 4:] = 0
        noisy = self.corrupt(noise, 0.5, x, masked=True)
        assert torch.equal(noisy[:, :, 2], x[:, :, 2])
        assert not noisy[:, 4:].any()
        assert not torch.equal(noisy, x)

    def test_targets_of_a_training_batch_are_unchanged(self) -> None:
        module = Noise(DenoisingVariant(name="denoising"), has_mask=False, low=0, high=1)
        x, y = module(self.X, self.X)
        assert torch.equal(y, self.X)
        assert not torch.equal(x, self.X)
