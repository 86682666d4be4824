"""The loss of autoencoders against closed forms and NumPy."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, distributions
from torch.distributions import Bernoulli, Normal

from fivefold.config.networks.autoencoder import Autoencoder
from fivefold.config.training import BCELoss, HuberLoss, LossConfig, MeanErrorLoss
from fivefold.models.autoencoder.loss import AutoencoderLoss, kl_divergence
from fivefold.models.autoencoder.network import AutoencoderOutput, build
from fivefold.models.factory import InputSpec

TABLE = InputSpec((4,), 1)
WORDS = InputSpec((5,), 1, one_hot_sizes=(2,))
STEPS = InputSpec((6, 3), 1, has_mask=True)
MSE = MeanErrorLoss(name="mse")


def params(**changes: Any) -> Autoencoder:
    return Autoencoder(family="autoencoder", **changes)


def loss_of(
    reconstruction: Tensor, y: Tensor, shape: InputSpec = TABLE, loss: LossConfig = MSE, **changes: Any
) -> float:
    return float(
        AutoencoderLoss(params(**changes), loss, shape)(AutoencoderOutput(reconstruction, torch.zeros(len(y), 2)), y)
    )


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class TestReconstruction:
    def test_squared_errors_are_a_mean_over_rows_and_numbers(self) -> None:
        reconstruction, y = normal(7, 4), normal(7, 4, seed=1)
        assert loss_of(reconstruction, y) == pytest.approx(float(((reconstruction - y) ** 2).mean()), rel=1e-6)

    @pytest.mark.parametrize(
        ("loss", "expected"),
        [
            (MeanErrorLoss(name="mae"), lambda e: np.abs(e)),
            (
                HuberLoss(name="huber", delta=0.5),
                lambda e: np.where(np.abs(e) < 0.5, e**2 / 2, 0.5 * (np.abs(e) - 0.25)),
            ),
        ],
        ids=["mae", "huber"],
    )
    def test_other_losses(self, loss: LossConfig, expected: Any) -> None:
        reconstruction, y = normal(7, 4), normal(7, 4, seed=1)
        assert loss_of(reconstruction, y, loss=loss) == pytest.approx(
            expected((reconstruction - y).numpy()).mean(), rel=1e-6
        )

    def test_bce_is_that_of_the_sigmoid(self) -> None:
        reconstruction, y = normal(7, 4), torch.rand(7, 4, generator=torch.Generator().manual_seed(1))
        p = 1 / (1 + np.exp(-reconstruction.numpy().astype(np.float64)))
        expected = -(y.numpy() * np.log(p) + (1 - y.numpy()) * np.log(1 - p)).mean()
        assert loss_of(reconstruction, y, loss=BCELoss(name="bce"), output_activation="sigmoid") == pytest.approx(
            expected, rel=1e-5
        )

    def test_a_category_weighs_as_much_as_a_number(self) -> None:
        reconstruction, y = normal(7, 5), torch.cat([normal(7, 3, seed=1), torch.eye(2)[torch.arange(7) % 2]], dim=1)
        logits = reconstruction[:, 3:].numpy().astype(np.float64)
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        expected = ((reconstruction - y)[:, :3].numpy() ** 2).sum(1) - (log_p * y[:, 3:].numpy()).sum(1)
        assert loss_of(reconstruction, y, WORDS) == pytest.approx((expected / 4).mean(), rel=1e-5)

    def test_padded_steps_do_not_count(self) -> None:
        reconstruction, y = normal(7, 6, 2), torch.cat([normal(7, 6, 2, seed=1), torch.ones(7, 6, 1)], dim=2)
        y[:, 4:, 2] = 0
        expected = float(((reconstruction - y[:, :, :2])[:, :4] ** 2).mean())
        assert loss_of(reconstruction, y, STEPS) == pytest.approx(expected, rel=1e-6)
        reconstruction[:, 4:] = 99
        assert loss_of(reconstruction, y, STEPS) == pytest.approx(expected, rel=1e-6)

    def test_constant_prediction_is_the_mean_of_training_features(self) -> None:
        train, held_out = normal(50, 4), normal(20, 4, seed=1)
        found = AutoencoderLoss(params(), MSE, TABLE).constant_prediction_loss(train, held_out)
        assert found == pytest.approx(float(((held_out - train.mean(0)) ** 2).mean()), rel=1e-5)

    def test_constant_prediction_with_categories_and_sigmoid(self) -> None:
        numbers, words = (
            torch.rand(40, 3, generator=torch.Generator().manual_seed(0)),
            torch.eye(2)[[0] * 10 + [1] * 30],
        )
        train = torch.cat([numbers, words], dim=1)
        found = AutoencoderLoss(params(output_activation="sigmoid"), MSE, WORDS).constant_prediction_loss(train, train)
        entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
        spread = float(((numbers - numbers.mean(0)) ** 2).sum(1).mean())
        assert found == pytest.approx((spread + entropy) / 4, rel=1e-4)


class TestRegularization:
    def test_kl_divergence_equals_that_of_torch(self) -> None:
        mean, log_variance = normal(5, 3), normal(5, 3, seed=1)
        expected = distributions.kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
        torch.testing.assert_close(kl_divergence(mean, log_variance), expected)

    def test_variational_loss_is_the_negative_elbo_per_value(self) -> None:
        reconstruction, y, mean, log_variance = (
            normal(9, 4),
            normal(9, 4, seed=1),
            normal(9, 3, seed=2),
            normal(9, 3, seed=3),
        )
        objective = AutoencoderLoss(params(variant={"name": "variational", "beta": 2.0}), MSE, TABLE).eval()
        found = float(objective(AutoencoderOutput(reconstruction, mean, log_variance), y))
        variance = float(((reconstruction - y) ** 2).mean())
        nats = -Normal(reconstruction, math.sqrt(variance)).log_prob(y).sum(1).mean()
        kl = distributions.kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
        assert found == pytest.approx(float(nats + 2 * kl) / 4, rel=1e-5)

    def test_free_bits_bound_the_kl_divergence_from_below(self) -> None:
        objective = AutoencoderLoss(
            params(variant={"name": "variational", "free_bits": 0.5}), BCELoss(name="bce"), TABLE
        ).eval()
        y, reconstruction = torch.full((3, 4), 0.5), torch.zeros(3, 4)
        at_prior = objective(AutoencoderOutput(reconstruction, torch.zeros(3, 2), torch.zeros(3, 2)), y)
        small_mean = objective(AutoencoderOutput(reconstruction, torch.full((3, 2), 0.3), torch.zeros(3, 2)), y)
        large_mean = objective(AutoencoderOutput(reconstruction, torch.full((3, 2), 2.0), torch.zeros(3, 2)), y)
        assert float(at_prior) == float(small_mean) == pytest.approx(math.log(2) + 2 * 0.5 / 4)
        assert float(large_mean) == pytest.approx(math.log(2) + 2 * 2.0 / 4)

    def test_beta_warms_up_in_training_only(self) -> None:
        criterion = AutoencoderLoss(
            params(variant={"name": "variational", "warmup_epochs": 3}), BCELoss(name="bce"), TABLE
        )
        outputs, y = (
            AutoencoderOutput(torch.zeros(3, 4), torch.full((3, 2), 2.0), torch.zeros(3, 2)),
            torch.full((3, 4), 0.5),
        )
        regularization = [float(criterion.train()(outputs, y)) - math.log(2) for _ in _epochs(criterion, 5)]
        assert regularization == pytest.approx([0.25, 0.5, 0.75, 1, 1])
        criterion.set_epoch(0)
        assert float(criterion.eval()(outputs, y)) - math.log(2) == pytest.approx(1)

    def test_likelihood_variance_is_updated_in_training_only(self) -> None:
        objective = AutoencoderLoss(params(variant={"name": "variational"}), MSE, TABLE)
        zero, y = torch.zeros(3, 2), torch.zeros(3, 4)
        objective.train()(AutoencoderOutput(torch.full((3, 4), 2.0), zero, zero), y)
        assert float(objective.variance) == 4
        objective.eval()(AutoencoderOutput(torch.full((3, 4), 9.0), zero, zero), y)
        assert float(objective.variance) == 4
        objective.train()(AutoencoderOutput(torch.zeros(3, 4), zero, zero), y)
        assert float(objective.variance) == pytest.approx(0.95 * 4, rel=1e-5)

    def test_l1_penalty_is_the_mean_absolute_latent_code(self) -> None:
        y, code = torch.zeros(5, 4), normal(5, 3)
        objective = AutoencoderLoss(params(variant={"name": "sparse", "weight": 0.1}), MSE, TABLE)
        assert float(objective(AutoencoderOutput(y, code), y)) == pytest.approx(
            0.1 * float(code.abs().mean()), rel=1e-6
        )

    def test_kl_penalty_is_the_bernoulli_divergence_of_each_unit(self) -> None:
        y, code = torch.zeros(5, 4), torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
        sparse = {"name": "sparse", "penalty": "kl", "weight": 0.1, "target_activation": 0.2}
        found = float(
            AutoencoderLoss(params(variant=sparse, latent_activation="sigmoid"), MSE, TABLE)(
                AutoencoderOutput(y, code), y
            )
        )
        expected = distributions.kl_divergence(Bernoulli(torch.full((3,), 0.2)), Bernoulli(code.mean(0))).sum()
        assert found == pytest.approx(0.1 * float(expected), rel=1e-5)

    def test_contractive_penalty_is_the_squared_norm_of_a_linear_encoder(self) -> None:
        torch.manual_seed(0)
        network = build(params(hidden=(), latent_dim=3, variant={"name": "contractive"}), TABLE).train()
        x = normal(4000, 4)
        norms = network.training_outputs(x).jacobian_norm  # one random direction per sample: unbiased
        expected = float(network.to_latent.weight.detach().square().sum())
        assert float(norms.detach().mean()) == pytest.approx(expected, rel=0.1)
        assert network.eval().training_outputs(x).jacobian_norm is None
        objective = AutoencoderLoss(params(variant={"name": "contractive", "weight": 0.5}), MSE, TABLE)
        y = torch.zeros(2, 4)
        assert float(objective(AutoencoderOutput(y, torch.zeros(2, 3), jacobian_norm=torch.tensor([1.0, 3.0])), y)) == 1


def _epochs(objective: AutoencoderLoss, n: int) -> Any:
    for epoch in range(n):
        objective.set_epoch(epoch)
        yield epoch
