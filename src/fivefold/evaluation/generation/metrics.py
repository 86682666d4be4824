"""Compare generated with real samples: distances, precision and recall, density and coverage, two-sample tests.

Source: Szekely & Rizzo 2013 (energy distance); Heusel et al. 2017 (Frechet distance); Kynkaanniemi et al. 2019
(precision, recall); Naeem et al. 2020 (density, coverage); Lopez-Paz & Oquab 2017 (classifier two-sample test).
Shapes: n real rows, m generated rows, d features.
"""

import numpy as np
import torch

from ...data.dataset import Array
from ...models.feature_extractor import kid

N_NEIGHBORS = 5
"""The radius of a row's neighborhood is the distance to its k-th nearest neighbor, for this k."""

BLOCK_SIZE = 1000
"""Side of the blocks in which pairwise distances are computed, to bound memory."""

MAX_FID_FEATURES = 2048
"""Maximum number of features for the Frechet distance, which takes too long beyond."""


def distribution_scores(real: Array, generated: Array, seed: int) -> dict[str, float]:
    """Return the metrics that compare generated features (m, d) with real ones (n, d)."""
    scores = distance_scores(real, generated)
    return {
        "energy_distance": scores.pop("energy_distance"),
        **({} if real.shape[1] > MAX_FID_FEATURES else {"fid": fid(real, generated)}),
        "kid": kid(torch.from_numpy(real), torch.from_numpy(generated)),
        **scores,
        "c2st": c2st(real, generated, seed),
    }


def fid(real: Array, generated: Array) -> float:
    """Return the squared Frechet distance of the normal distributions fitted to rows (n, d) and (m, d)."""
    (real_mean, real_cov), (generated_mean, generated_cov) = _moments(real), _moments(generated)
    mean_term = ((real_mean - generated_mean) ** 2).sum()
    # the trace of the product's matrix square root is the sum of the square roots of its eigenvalues
    roots = np.sqrt(np.linalg.eigvals(real_cov @ generated_cov).astype(np.complex128)).real
    return float(mean_term + np.trace(real_cov) + np.trace(generated_cov) - 2 * roots.sum())


def distance_scores(real: Array, generated: Array) -> dict[str, float]:
    """Return the metrics based on pairwise distances of real rows (n, d) and generated ones (m, d).

    Each distance is computed once.

    Returns:
        `energy_distance` as in `models.feature_extractor.energy_distance`; `precision`, the fraction of generated rows
        within the radius of a real row; `recall`, the fraction of real rows within the radius of a generated row;
        `density`, the mean number of real rows within whose radius a generated row is, divided by the number of
        neighbors; `coverage`, the fraction of real rows with a generated row within their radius.
    """
    n, m = len(real), len(generated)
    k = min(N_NEIGHBORS, n - 1, m - 1)
    real_radius, real_mean = _kth_neighbor_distances(real, k)
    generated_radius, generated_mean = _kth_neighbor_distances(generated, k)
    counts, recalled, nearest = np.zeros(m, int), np.zeros(n, bool), np.full(n, np.inf)
    cross_mean = 0.0
    for i in range(0, n, BLOCK_SIZE):
        for j in range(0, m, BLOCK_SIZE):
            real_block, generated_block = slice(i, i + BLOCK_SIZE), slice(j, j + BLOCK_SIZE)
            distances = _pairwise_distances(real[real_block], generated[generated_block])
            cross_mean += float(distances.sum()) / (n * m)
            counts[generated_block] += (distances < real_radius[real_block, None]).sum(0)
            recalled[real_block] |= (distances < generated_radius[None, generated_block]).any(1)
            nearest[real_block] = np.minimum(nearest[real_block], distances.min(1))
    return {
        "energy_distance": (2 * cross_mean - real_mean - generated_mean) / real_mean if real_mean else 0.0,
        "precision": float((counts > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(counts.mean() / k),
        "coverage": float((nearest < real_radius).mean()),
    }


def c2st(real: Array, generated: Array, seed: int, *, use_trees: bool = False) -> float:
    """Return the accuracy of a linear classifier that separates real from generated rows, on held-out rows.

    The classes are balanced: 0.5 means that it cannot distinguish them.

    Args:
        real: Real rows, (n, d).
        generated: Generated rows, (m, d).
        seed: Seed of the split into training and held-out rows.
        use_trees: Use gradient-boosted trees, which also detect nonlinear differences.
    """
    size = min(len(real), len(generated))
    rng = np.random.default_rng(seed)
    samples = [rows[rng.permutation(len(rows))[:size]] for rows in (real, generated)]
    x_train, x_test = (np.concatenate([rows[start::2] for rows in samples]) for start in (0, 1))
    y_train, y_test = (np.repeat([0, 1], [len(rows[start::2]) for rows in samples]) for start in (0, 1))
    accuracy = tree_classifier_accuracy if use_trees else linear_classifier_accuracy
    return accuracy(x_train, y_train, x_test, y_test)


def linear_classifier_accuracy(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> float:
    """Return the accuracy on rows (m, d) of a logistic regression fitted to standardized rows (n, d)."""
    if (y_train == y_train[0]).all():  # a collapsed generator: a single class cannot be fitted
        return float((y_test == y_train[0]).mean())
    from sklearn.linear_model import LogisticRegression  # imported here because only generative models need it

    shift, scale = x_train.mean(0), x_train.std(0)
    scale = np.where(scale > 0, scale, 1)
    model = LogisticRegression(max_iter=200, tol=1e-3).fit((x_train - shift) / scale, y_train)
    return float((model.predict((x_test - shift) / scale) == y_test).mean())


def tree_classifier_accuracy(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> float:
    """Return the accuracy on rows (m, d) of gradient-boosted trees fitted to rows (n, d)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(random_state=0).fit(x_train, y_train)
    return float((model.predict(x_test) == y_test).mean())


def tree_regressor_r2(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> float:
    """Return R2 on rows (m, d) of gradient-boosted trees fitted to rows (n, d)."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(random_state=0).fit(x_train, y_train)
    return float(model.score(x_test, y_test))


def entropy(probabilities: Array) -> float:
    """Return the entropy of probabilities (k,), in bits."""
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log2(positive)).sum()) + 0.0  # turns -0.0 into 0.0


def _moments(rows: Array) -> tuple[Array, Array]:
    """Return mean (d,) and covariance (d, d) of rows (n, d)."""
    mean, products = rows.mean(0, dtype=np.float64), np.zeros((rows.shape[1], rows.shape[1]))
    for i in range(0, len(rows), BLOCK_SIZE):
        centered = rows[i : i + BLOCK_SIZE] - mean
        products += centered.T @ centered
    return mean, products / (len(rows) - 1)


def _kth_neighbor_distances(rows: Array, k: int) -> tuple[Array, float]:
    """Return the distance (n,) of each row (n, d) to its k-th nearest neighbor, and the mean distance of two rows."""
    n = len(rows)
    nearest, total = np.full((n, k + 1), np.inf), 0.0  # the nearest row is the row itself
    for i in range(0, n, BLOCK_SIZE):
        for j in range(i, n, BLOCK_SIZE):
            block = _pairwise_distances(rows[i : i + BLOCK_SIZE], rows[j : j + BLOCK_SIZE])
            for start, distances in ((i, block), (j, block.T)) if j > i else ((i, block),):
                part = slice(start, start + len(distances))
                nearest[part] = np.partition(np.concatenate([nearest[part], distances], axis=1), k, axis=1)[:, : k + 1]
                total += float(distances.sum())
    return nearest[:, k], total / (n * (n - 1))


def nearest_distances(rows: Array, references: Array) -> Array:
    """Return the distance (n,) of each row (n, d) to the nearest reference row (m, d)."""
    return np.concatenate(
        [
            _pairwise_distances(rows[start : start + BLOCK_SIZE], references).min(1)
            for start in range(0, len(rows), BLOCK_SIZE)
        ]
    )


def _pairwise_distances(x: Array, y: Array) -> Array:
    return torch.cdist(torch.from_numpy(x).double(), torch.from_numpy(y).double()).numpy()
