"""Losses and penalties against closed forms, worked out in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fivefold.config.networks.gan import (
    WGANGP,
    AdversarialLossConfig,
    HingeGAN,
    LeastSquaresGAN,
    NonSaturatingGAN,
    StandardGAN,
    WGANClip,
)
from fivefold.models.adversarial import discriminator_loss, generator_loss, gradient_penalty, r1_penalty

REAL, GENERATED = np.array([-1.5, 0.2, 3.0]), np.array([-2.0, 0.5, 0.0])
NO, YES = (
    np.log(1 + np.exp(GENERATED)).mean(),
    np.log(1 + np.exp(-GENERATED)).mean(),
)  # cross-entropy: rejected; accepted
TRUE, FALSE = np.log(1 + np.exp(-REAL)).mean(), np.log(1 + np.exp(REAL)).mean()

LOSSES: list[tuple[AdversarialLossConfig, float, float]] = [
    (StandardGAN(name="minimax"), TRUE + NO, -NO),
    (StandardGAN(name="minimax", label_smoothing=0.1), 0.9 * TRUE + 0.1 * FALSE + NO, -NO),
    (NonSaturatingGAN(name="non_saturating"), TRUE + NO, YES),
    (NonSaturatingGAN(name="non_saturating", label_smoothing=0.25), 0.75 * TRUE + 0.25 * FALSE + NO, YES),
    (LeastSquaresGAN(name="least_squares"), (2.5**2 + 0.8**2 + 2**2 + 4.25) / 6, (3**2 + 0.5**2 + 1) / 6),
    (
        LeastSquaresGAN(name="least_squares", label_smoothing=0.2),
        (2.3**2 + 0.6**2 + 2.2**2 + 4.25) / 6,
        (9 + 0.25 + 1) / 6,
    ),
    (HingeGAN(name="hinge"), (2.5 + 0.8 + 0) / 3 + (0 + 1.5 + 1) / 3, 0.5),
    (WGANClip(name="wasserstein_clip"), -0.5 - 1.7 / 3, 0.5),
    (WGANGP(name="wasserstein_gp"), -0.5 - 1.7 / 3, 0.5),
]


@pytest.mark.parametrize(("loss", "discriminator", "generator"), LOSSES, ids=[str(case[0]) for case in LOSSES])
def test_losses_equal_their_closed_forms(loss: AdversarialLossConfig, discriminator: float, generator: float) -> None:
    real, generated = torch.from_numpy(REAL), torch.from_numpy(GENERATED)
    assert float(discriminator_loss(loss, real, generated)) == pytest.approx(discriminator)
    assert float(generator_loss(loss, generated)) == pytest.approx(generator)


def test_standard_loss_equals_binary_cross_entropy_of_torch() -> None:
    real, generated = torch.from_numpy(REAL), torch.from_numpy(GENERATED)
    cross = functional.binary_cross_entropy_with_logits
    smooth = torch.full_like(real, 0.9)
    expected = cross(real, smooth) + cross(generated, torch.zeros_like(generated))
    assert torch.allclose(
        discriminator_loss(StandardGAN(name="minimax", label_smoothing=0.1), real, generated), expected
    )


def linear(*weights: float) -> nn.Linear:
    layer = nn.Linear(len(weights), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
    return layer


@pytest.mark.parametrize(("weights", "norm"), [((3.0, 4.0), 5.0), ((0.6, 0.8), 1.0), ((0.0, 0.5), 0.5)])
def test_the_gradient_norm_of_a_linear_discriminator_is_that_of_its_weights(
    weights: tuple[float, float], norm: float
) -> None:
    discriminator, (real, generated) = linear(*weights), torch.randn(2, 7, 2)
    assert float(gradient_penalty(lambda x: discriminator(x)[:, 0], real, generated).detach()) == pytest.approx(
        (norm - 1) ** 2, abs=1e-6
    )
    assert float(r1_penalty(lambda x: discriminator(x)[:, 0], real).detach()) == pytest.approx(norm**2 / 2)


def test_gradient_penalty_is_computed_between_real_and_generated_samples() -> None:
    real, generated = torch.zeros(500, 1, 2, 2), torch.ones(500, 1, 2, 2)
    points: list[torch.Tensor] = []

    def discriminator(x: torch.Tensor) -> torch.Tensor:
        points.append(x.detach())
        return x.flatten(1).sum(1)

    gradient_penalty(discriminator, real, generated)
    (between,) = points
    assert torch.equal(between, between[:, :, :1, :1].expand_as(between))  # one weight per sample
    assert 0 <= float(between.min()) < 0.02 < 0.98 < float(between.max()) <= 1
    assert float(between.mean()) == pytest.approx(0.5, abs=0.05)


def test_gradient_penalty_pulls_the_gradient_norm_towards_1() -> None:
    discriminator = linear(3.0, 4.0)
    gradient_penalty(lambda x: discriminator(x)[:, 0], torch.randn(5, 2), torch.randn(5, 2)).backward()
    assert discriminator.weight.grad is not None  # of (5 - 1)^2: 2 (5 - 1) w / 5
    torch.testing.assert_close(discriminator.weight.grad, torch.tensor([[4.8, 6.4]]))


def test_gradient_penalty_of_a_constant_discriminator_has_a_finite_gradient() -> None:
    discriminator = linear(0.0, 0.0)
    gradient_penalty(lambda x: discriminator(x)[:, 0], torch.randn(5, 2), torch.randn(5, 2)).backward()
    assert discriminator.weight.grad is not None
    assert discriminator.weight.grad.isfinite().all()
