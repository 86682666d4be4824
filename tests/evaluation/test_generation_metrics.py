"""Distances of real and made rows: against torchmetrics, and against loops over pairs."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from fivefold.data.dataset import Array
from fivefold.evaluation.generation import metrics
from fivefold.evaluation.generation.metrics import (
    c2st,
    distance_scores,
    entropy,
    fid,
    linear_classifier_accuracy,
    tree_regressor_r2,
)
from fivefold.models import feature_extractor as pairs
from fivefold.models.feature_extractor import energy_distance, kid, mean_pairwise_distance


class Flat(nn.Module):
    """What torchmetrics is to see in an image: its pixels."""

    num_features = 12

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).float()


def rows(n: int, seed: int, shift: float = 0.0) -> Array:
    random = np.random.default_rng(seed)
    return (random.normal(size=(n, 12)) @ random.normal(size=(12, 12)) + shift).astype(np.float32)


REAL, MADE = rows(60, 0), rows(70, 1, 0.5)


def images(x: Array) -> Tensor:
    return torch.from_numpy(x).reshape(-1, 3, 2, 2)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`")
def test_both_distances_are_those_of_torchmetrics() -> None:
    frechet = FrechetInceptionDistance(feature=Flat(), input_img_size=(3, 2, 2)).set_dtype(torch.float64)
    kernel = KernelInceptionDistance(feature=Flat(), subsets=1, subset_size=60)
    for metric in (frechet, kernel):
        metric.update(images(REAL), real=True)
        metric.update(images(MADE[:60]), real=False)
    assert fid(REAL, MADE[:60]) == pytest.approx(float(frechet.compute()), rel=1e-4)
    assert kid(torch.from_numpy(REAL), torch.from_numpy(MADE[:60])) == pytest.approx(
        float(kernel.compute()[0]), rel=1e-4
    )


def test_the_frechet_distance_of_two_normal_distributions_has_a_closed_form() -> None:
    x = np.array([[-1.0, 0], [1, 0], [0, -1], [0, 1]])  # variance 2/3 each, none together
    y = 3 * x + [5, 0]
    assert fid(x, y) == pytest.approx(25 + 2 * (np.sqrt(6) - np.sqrt(2 / 3)) ** 2)
    assert fid(x, x) == pytest.approx(0, abs=1e-9)


def test_blocks_change_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = torch.from_numpy(REAL), torch.from_numpy(MADE)
    whole = (
        kid(real, made),
        mean_pairwise_distance(real),
        energy_distance(real, made),
        fid(REAL, MADE),
        distance_scores(REAL, MADE),
    )
    monkeypatch.setattr(pairs, "BLOCK_ROWS", 7)
    monkeypatch.setattr(metrics, "BLOCK_SIZE", 11)
    parts = (
        kid(real, made),
        mean_pairwise_distance(real),
        energy_distance(real, made),
        fid(REAL, MADE),
        distance_scores(REAL, MADE),
    )
    assert parts[:4] == pytest.approx(whole[:4])
    assert parts[4] == pytest.approx(whole[4])


def test_the_mean_distance_of_two_rows() -> None:
    assert mean_pairwise_distance(torch.tensor([[0.0], [3.0], [7.0]])) == pytest.approx((3 + 4 + 7) / 3)


def test_precision_recall_density_and_coverage_are_those_of_a_loop_over_pairs() -> None:
    real, made = REAL[:, :2], MADE[:, :2]

    def radius(points: Array, i: int) -> float:
        return sorted(float(np.linalg.norm(points[i] - other)) for other in points)[5]  # itself is the first

    near = np.array([[np.linalg.norm(x - y) < radius(real, i) for y in made] for i, x in enumerate(real)])
    theirs = np.array([[np.linalg.norm(x - y) < radius(made, j) for j, y in enumerate(made)] for x in real])
    assert distance_scores(real, made) == pytest.approx(
        {
            "energy": energy_distance(torch.from_numpy(real), torch.from_numpy(made)),
            "precision": near.any(0).mean(),
            "recall": theirs.any(1).mean(),
            "density": near.sum() / (5 * len(made)),
            "coverage": near.any(1).mean(),
        }
    )


def test_rows_of_one_distribution_cannot_be_told_apart_and_others_can() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(400, 3)), random.normal(size=(500, 3))
    assert c2st(x, y, 0) == pytest.approx(0.5, abs=0.1)
    assert c2st(x, y + 3, 0) > 0.95
    assert distance_scores(x, y)["density"] == pytest.approx(1, abs=0.15)


def test_a_classifier_that_learnt_classes_tells_them() -> None:
    random = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = np.eye(3)[y] * 4 + random.normal(size=(300, 3))
    assert linear_classifier_accuracy(x[:150], y[:150], x[150:], y[150:]) > 0.9


def test_entropy_in_bits() -> None:
    assert entropy(np.full(8, 1 / 8)) == pytest.approx(3)
    assert entropy(np.array([1.0, 0.0])) == 0


def test_the_energy_distance_is_that_of_scipy_in_the_mean_distance_of_real_rows() -> None:
    x, y = REAL[:, 0].astype(np.float64), MADE[:, 0].astype(np.float64)
    biased = stats.energy_distance(x, y) ** 2  # a row's distance from itself is counted there
    own, theirs = (float(np.abs(each[:, None] - each).mean()) for each in (x, y))
    n, m = len(x), len(y)
    golden = (biased - own / (n - 1) - theirs / (m - 1)) / (own * n / (n - 1))
    pair = torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None]
    assert energy_distance(*pair) == pytest.approx(golden, rel=1e-6)


def test_the_energy_distance_sees_a_ring_that_kid_cannot_tell_from_a_normal_distribution() -> None:
    random = np.random.default_rng(0)
    angles = random.integers(0, 8, 2000) * np.pi / 4
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) + random.normal(0, 0.03, (2000, 2))
    normal = random.multivariate_normal(ring.mean(0), np.cov(ring.T), 2000)
    halves, apart = ((torch.from_numpy(ring[:1000]), torch.from_numpy(each[1000:])) for each in (ring, normal))
    assert abs(kid(*apart)) < 5 * abs(kid(*halves)) + 0.01
    assert energy_distance(*apart) > 20 * abs(energy_distance(*halves))


def test_one_real_row_again_and_again_is_about_as_far_as_two_real_rows_are() -> None:
    real = torch.from_numpy(rows(400, 3))
    assert energy_distance(real, real[:1].repeat(400, 1)) == pytest.approx(1, abs=0.6)
    assert energy_distance(torch.zeros(3, 2), torch.ones(3, 2)) == 0  # real rows that are all the same are no unit


def test_trees_tell_apart_what_no_line_parts_and_explain_values() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2))
    pairs = x * np.array([1, 0.1]) + np.array([0, 1]) * x[:, :1] ** 2  # a parabola, and a cloud of the same means
    cloud = random.normal(pairs.mean(0), pairs.std(0), (400, 2))
    assert c2st(pairs, cloud, 0) < 0.6 < 0.8 < c2st(pairs, cloud, 0, use_trees=True)
    assert c2st(x[:200], x[200:], 0, use_trees=True) == pytest.approx(0.5, abs=0.15)
    y = np.abs(x[:, 0])
    assert 0.9 < tree_regressor_r2(x[:300], y[:300], x[300:], y[300:]) <= 1


def test_a_class_that_is_alone_is_all_that_is_told() -> None:
    x = np.arange(8.0)[:, None]
    assert linear_classifier_accuracy(x, np.ones(8, int), x, np.arange(8) % 4) == 0.25
