"""How a table's features are seen by both players: numbers by their ranks, categories drawn by chance."""

import numpy as np
import pytest
import torch
from scipy import stats

from fivefold.data.dataset import Array
from fivefold.models.gan.tabular import N_QUANTILES, GumbelSoftmaxHead, NormalScoresTransform

N = 2000
RANDOM = np.random.default_rng(0)
COLUMNS = {
    "two hills": np.concatenate([RANDOM.normal(-3, 0.1, N // 2), RANDOM.normal(5, 1, N // 2)]),
    "a long tail": RANDOM.lognormal(0, 2, N),
    "half of it nothing": RANDOM.exponential(1, N) * (RANDOM.random(N) < 0.5),
    "a flag": (RANDOM.random(N) < 0.2).astype(float),
    "always the same": np.full(N, 7.0),
}


def learnt(*columns: Array) -> tuple[NormalScoresTransform, Array, Array]:
    """Scores of columns, and of a category behind them."""
    features = np.column_stack([*columns, np.eye(2)[np.arange(N) % 2]]).astype(np.float32)
    scores = NormalScoresTransform(len(columns))
    return scores, features, scores.fit_transform(features, np.random.default_rng(1))


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_normal_whatever_it_was_and_comes_back(column: Array) -> None:
    scores, features, seen = learnt(column)
    assert stats.kstest(seen[:, 0], "norm").statistic < 0.05  # equal values share ranks by chance
    back = scores(torch.from_numpy(seen)).numpy()
    assert np.array_equal(back[:, 1:], features[:, 1:])
    spread = max(float(np.ptp(column)), 1e-6)
    apart = np.abs(np.sort(back[:, 0]) - np.sort(features[:, 0])) / spread
    assert np.quantile(apart, 0.99) < 0.01


def test_noise_gives_the_columns_distribution_and_nothing_beyond_it() -> None:
    scores, features, _ = learnt(*COLUMNS.values())
    drawn = 2 * torch.randn(5000, 7, generator=torch.Generator().manual_seed(0))
    made = scores(drawn).numpy()[:, :5]
    assert (made >= features[:, :5].min(0)).all()
    assert (made <= features[:, :5].max(0)).all()
    normal = scores(drawn / 2).numpy()
    assert (normal[:, 2] == 0).mean() == pytest.approx((features[:, 2] == 0).mean(), abs=0.03)
    assert np.isin(normal[:, 3], [0, 1]).mean() > 1 - 2 / N_QUANTILES


def test_held_out_rows_are_seen_by_their_ranks_among_training_rows() -> None:
    column = np.arange(N, dtype=np.float64)
    scores, features, _ = learnt(column)
    held_out = features[[0, 500, 1000, 1500, 1999]] + np.array([[-9, 0, 0]], np.float32)
    seen = scores.transform(held_out, features, np.random.default_rng(0))[:, 0]
    expected = stats.norm.ppf(np.array([0.5, 491, 991, 1491, 1990]) / N)
    np.testing.assert_allclose(seen, expected, atol=0.05)


def test_categories_are_drawn_as_often_as_their_scores_say() -> None:
    chances = np.array([0.7, 0.2, 0.1])
    chosen = GumbelSoftmaxHead([3, 2], latent_dim=5)
    made = torch.from_numpy(np.log(np.r_[1.0, chances, 0.9, 0.1])).float().expand(20_000, 6)
    z = torch.randn(20_000, 5, generator=torch.Generator().manual_seed(0))
    told = chosen(made, z)
    assert torch.equal(told[:, 0], made[:, 0])
    assert torch.equal(told, chosen(made, z))
    for block, expected in ((told[:, 1:4], chances), (told[:, 4:], np.array([0.9, 0.1]))):
        torch.testing.assert_close(block.sum(1), torch.ones(20_000))
        shares = np.bincount(block.argmax(1), minlength=len(expected)) / 20_000
        np.testing.assert_allclose(shares, expected, atol=4 * np.sqrt(0.25 / 20_000))
        assert block.max(1).values.mean() > 0.9


def test_a_category_s_scores_get_gradients() -> None:
    made = torch.zeros(8, 3, requires_grad=True)
    torch.autograd.backward(GumbelSoftmaxHead([3], latent_dim=4)(made, torch.randn(8, 4))[:, 0].sum())
    assert made.grad is not None
    assert bool(made.grad.any())
