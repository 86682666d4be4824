"""Features of tables in adversarial training: normal scores of numbers, and categories from a Gumbel softmax."""

import numpy as np
import pytest
import torch
from scipy import stats

from fivefold.data.dataset import Array
from fivefold.models.gan.tabular import N_QUANTILES, GumbelSoftmaxHead, NormalScoresTransform

N = 2000
RANDOM = np.random.default_rng(0)
COLUMNS = {
    "two modes": np.concatenate([RANDOM.normal(-3, 0.1, N // 2), RANDOM.normal(5, 1, N // 2)]),
    "a long tail": RANDOM.lognormal(0, 2, N),
    "half of it nothing": RANDOM.exponential(1, N) * (RANDOM.random(N) < 0.5),
    "a flag": (RANDOM.random(N) < 0.2).astype(float),
    "always the same": np.full(N, 7.0),
}


def fit_scores(*columns: Array) -> tuple[NormalScoresTransform, Array, Array]:
    """Return the fitted transform, features of columns plus a category, and their scores."""
    features = np.column_stack([*columns, np.eye(2)[np.arange(N) % 2]]).astype(np.float32)
    scores = NormalScoresTransform(len(columns))
    return scores, features, scores.fit_transform(features, np.random.default_rng(1))


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_scores_of_any_column_are_normal_and_invertible(column: Array) -> None:
    scores, features, transformed = fit_scores(column)
    assert stats.kstest(transformed[:, 0], "norm").statistic < 0.05  # equal values share ranks at random
    inverted = scores(torch.from_numpy(transformed)).numpy()
    assert np.array_equal(inverted[:, 1:], features[:, 1:])
    spread = max(float(np.ptp(column)), 1e-6)
    error = np.abs(np.sort(inverted[:, 0]) - np.sort(features[:, 0])) / spread
    assert np.quantile(error, 0.99) < 0.01


def test_noise_is_mapped_to_the_distribution_and_range_of_the_columns() -> None:
    scores, features, _ = fit_scores(*COLUMNS.values())
    noise = 2 * torch.randn(5000, 7, generator=torch.Generator().manual_seed(0))
    generated = scores(noise).numpy()[:, :5]
    assert (generated >= features[:, :5].min(0)).all()
    assert (generated <= features[:, :5].max(0)).all()
    normal = scores(noise / 2).numpy()
    assert (normal[:, 2] == 0).mean() == pytest.approx((features[:, 2] == 0).mean(), abs=0.03)
    assert np.isin(normal[:, 3], [0, 1]).mean() > 1 - 2 / N_QUANTILES


def test_scores_of_held_out_rows_are_ranks_among_training_rows() -> None:
    column = np.arange(N, dtype=np.float64)
    scores, features, _ = fit_scores(column)
    held_out = features[[0, 500, 1000, 1500, 1999]] + np.array([[-9, 0, 0]], np.float32)
    transformed = scores.transform(held_out, features, np.random.default_rng(0))[:, 0]
    expected = stats.norm.ppf(np.array([0.5, 491, 991, 1491, 1990]) / N)
    np.testing.assert_allclose(transformed, expected, atol=0.05)


def test_categories_are_sampled_by_their_probabilities() -> None:
    probabilities = np.array([0.7, 0.2, 0.1])
    head = GumbelSoftmaxHead([3, 2], latent_dim=5)
    logits = torch.from_numpy(np.log(np.r_[1.0, probabilities, 0.9, 0.1])).float().expand(20_000, 6)
    z = torch.randn(20_000, 5, generator=torch.Generator().manual_seed(0))
    features = head(logits, z)
    assert torch.equal(features[:, 0], logits[:, 0])
    assert torch.equal(features, head(logits, z))
    for block, expected in ((features[:, 1:4], probabilities), (features[:, 4:], np.array([0.9, 0.1]))):
        torch.testing.assert_close(block.sum(1), torch.ones(20_000))
        shares = np.bincount(block.argmax(1), minlength=len(expected)) / 20_000
        np.testing.assert_allclose(shares, expected, atol=4 * np.sqrt(0.25 / 20_000))
        assert block.max(1).values.mean() > 0.9


def test_category_logits_get_gradients() -> None:
    logits = torch.zeros(8, 3, requires_grad=True)
    torch.autograd.backward(GumbelSoftmaxHead([3], latent_dim=4)(logits, torch.randn(8, 4))[:, 0].sum())
    assert logits.grad is not None
    assert bool(logits.grad.any())
