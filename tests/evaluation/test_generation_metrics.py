"""Metrics of generated rows, compared with torchmetrics, SciPy and loops over pairs."""

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
from fivefold.models import feature_extractor
from fivefold.models.feature_extractor import energy_distance, kid, mean_pairwise_distance


class Flat(nn.Module):
    """Feature extractor of torchmetrics that returns the pixels."""

    num_features = 12

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).float()


def rows(n: int, seed: int, shift: float = 0.0) -> Array:
    random = np.random.default_rng(seed)
    return (random.normal(size=(n, 12)) @ random.normal(size=(12, 12)) + shift).astype(np.float32)


REAL, GENERATED = rows(60, 0), rows(70, 1, 0.5)


def images(x: Array) -> Tensor:
    return torch.from_numpy(x).reshape(-1, 3, 2, 2)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`")
def test_fid_and_kid_agree_with_torchmetrics() -> None:
    frechet = FrechetInceptionDistance(feature=Flat(), input_img_size=(3, 2, 2)).set_dtype(torch.float64)
    kernel = KernelInceptionDistance(feature=Flat(), subsets=1, subset_size=60)
    for metric in (frechet, kernel):
        metric.update(images(REAL), real=True)
        metric.update(images(GENERATED[:60]), real=False)
    assert fid(REAL, GENERATED[:60]) == pytest.approx(float(frechet.compute()), rel=1e-4)
    assert kid(torch.from_numpy(REAL), torch.from_numpy(GENERATED[:60])) == pytest.approx(
        float(kernel.compute()[0]), rel=1e-4
    )


def test_the_frechet_distance_of_two_normal_distributions_has_a_closed_form() -> None:
    x = np.array([[-1.0, 0], [1, 0], [0, -1], [0, 1]])  # variance 2/3 each, covariance 0
    y = 3 * x + [5, 0]
    assert fid(x, y) == pytest.approx(25 + 2 * (np.sqrt(6) - np.sqrt(2 / 3)) ** 2)
    assert fid(x, x) == pytest.approx(0, abs=1e-9)


def test_results_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated = torch.from_numpy(REAL), torch.from_numpy(GENERATED)

    def scores() -> dict[str, float]:
        return {
            "kid": kid(real, generated),
            "mean_pairwise_distance": mean_pairwise_distance(real),
            "energy": energy_distance(real, generated),
            "fid": fid(REAL, GENERATED),
            **distance_scores(REAL, GENERATED),
        }

    expected = scores()
    monkeypatch.setattr(feature_extractor, "BLOCK_ROWS", 7)
    monkeypatch.setattr(metrics, "BLOCK_SIZE", 11)
    assert scores() == pytest.approx(expected)


def test_the_mean_distance_of_two_rows() -> None:
    assert mean_pairwise_distance(torch.tensor([[0.0], [3.0], [7.0]])) == pytest.approx((3 + 4 + 7) / 3)


def test_precision_recall_density_and_coverage_agree_with_a_loop_over_pairs() -> None:
    real, generated = REAL[:, :2], GENERATED[:, :2]

    def radius(points: Array, i: int) -> float:
        return sorted(float(np.linalg.norm(points[i] - other)) for other in points)[5]  # the first is the point itself

    in_real = np.array([[np.linalg.norm(x - y) < radius(real, i) for y in generated] for i, x in enumerate(real)])
    in_generated = np.array(
        [[np.linalg.norm(x - y) < radius(generated, j) for j, y in enumerate(generated)] for x in real]
    )
    assert distance_scores(real, generated) == pytest.approx(
        {
            "energy_distance": energy_distance(torch.from_numpy(real), torch.from_numpy(generated)),
            "precision": in_real.any(0).mean(),
            "recall": in_generated.any(1).mean(),
            "density": in_real.sum() / (5 * len(generated)),
            "coverage": in_real.any(1).mean(),
        }
    )


def test_c2st_is_at_chance_level_for_one_distribution_and_high_for_two() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(400, 3)), random.normal(size=(500, 3))
    assert c2st(x, y, 0) == pytest.approx(0.5, abs=0.1)
    assert c2st(x, y + 3, 0) > 0.95
    assert distance_scores(x, y)["density"] == pytest.approx(1, abs=0.15)


def test_a_linear_classifier_predicts_separable_classes() -> None:
    random = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = np.eye(3)[y] * 4 + random.normal(size=(300, 3))
    assert linear_classifier_accuracy(x[:150], y[:150], x[150:], y[150:]) > 0.9


def test_entropy_in_bits() -> None:
    assert entropy(np.full(8, 1 / 8)) == pytest.approx(3)
    assert entropy(np.array([1.0, 0.0])) == 0


def test_the_energy_distance_agrees_with_scipy_after_debiasing_and_scaling() -> None:
    x, y = REAL[:, 0].astype(np.float64), GENERATED[:, 0].astype(np.float64)
    biased = stats.energy_distance(x, y) ** 2  # includes the distance of a row from itself
    mean_x, mean_y = (float(np.abs(values[:, None] - values).mean()) for values in (x, y))
    n, m = len(x), len(y)
    expected = (biased - mean_x / (n - 1) - mean_y / (m - 1)) / (mean_x * n / (n - 1))
    assert energy_distance(torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None]) == pytest.approx(
        expected, rel=1e-6
    )


def test_the_energy_distance_detects_a_ring_that_kid_does_not_distinguish_from_a_normal_distribution() -> None:
    random = np.random.default_rng(0)
    angles = random.integers(0, 8, 2000) * np.pi / 4
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) + random.normal(0, 0.03, (2000, 2))
    normal = random.multivariate_normal(ring.mean(0), np.cov(ring.T), 2000)
    same, different = ((torch.from_numpy(ring[:1000]), torch.from_numpy(each[1000:])) for each in (ring, normal))
    assert abs(kid(*different)) < 5 * abs(kid(*same)) + 0.01
    assert energy_distance(*different) > 20 * abs(energy_distance(*same))


def test_the_energy_distance_of_a_collapsed_generator_is_about_one() -> None:
    real = torch.from_numpy(rows(400, 3))
    assert energy_distance(real, real[:1].repeat(400, 1)) == pytest.approx(1, abs=0.6)
    assert energy_distance(torch.zeros(3, 2), torch.ones(3, 2)) == 0  # identical real rows have mean distance 0


def test_trees_detect_nonlinear_differences_and_explain_values() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2))
    parabola = x * np.array([1, 0.1]) + np.array([0, 1]) * x[:, :1] ** 2
    cloud = random.normal(parabola.mean(0), parabola.std(0), (400, 2))
    assert c2st(parabola, cloud, 0) < 0.6 < 0.8 < c2st(parabola, cloud, 0, use_trees=True)
    assert c2st(x[:200], x[200:], 0, use_trees=True) == pytest.approx(0.5, abs=0.15)
    y = np.abs(x[:, 0])
    assert 0.9 < tree_regressor_r2(x[:300], y[:300], x[300:], y[300:]) <= 1


def test_a_classifier_of_a_single_class_predicts_it() -> None:
    x = np.arange(8.0)[:, None]
    assert linear_classifier_accuracy(x, np.ones(8, int), x, np.arange(8) % 4) == 0.25
