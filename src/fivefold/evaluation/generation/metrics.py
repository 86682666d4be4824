"""How like real rows made ones are: distance, fidelity, variety, and what a classifier can tell apart.

Source: Szekely & Rizzo 2013 (energy distance); Heusel et al. 2017 (Frechet distance); Kynkaanniemi et al. 2019
(precision, recall); Naeem et al. 2020 (density, coverage); Lopez-Paz & Oquab 2017 (two samples).
Shapes: n, m rows, d numbers that are seen in a record.
"""

import numpy as np
import torch

from ...data.dataset import Array
from ...models.feature_extractor import kid

N_NEIGHBORS = 5
"""Of a row, whose distance is the radius of what is like it."""

BLOCK_SIZE = 1000
"""Rows whose distances from as many others are in memory at a time."""

MAX_FID_FEATURES = 2048
"""Numbers of a record from which the Frechet distance takes too long."""


def distribution_scores(real: Array, generated: Array, seed: int) -> dict[str, float]:
    """Return how like rows (n, d) of real records those (m, d) of made ones are."""
    wide = real.shape[1] > MAX_FID_FEATURES
    near = distance_scores(real, generated)
    return {
        "energy_distance": near.pop("energy_distance"),
        **({} if wide else {"fid": fid(real, generated)}),
        "kid": kid(torch.from_numpy(real), torch.from_numpy(generated)),
        **near,
        "two_sample": c2st(real, generated, seed),
    }


def fid(real: Array, generated: Array) -> float:
    """Return the squared Frechet distance of two normal distributions, those of rows (n, d) and (m, d)."""
    (here, own), (there, theirs) = _moments(real), _moments(generated)
    apart = ((here - there) ** 2).sum()
    roots = np.sqrt(np.linalg.eigvals(own @ theirs).astype(np.complex128)).real  # of the product, whose root has them
    return float(apart + np.trace(own) + np.trace(theirs) - 2 * roots.sum())


def distance_scores(real: Array, generated: Array) -> dict[str, float]:
    """Return all that distances of pairs tell of real rows (n, d) and made ones (m, d); each is found once.

    energy: as `models.likeness.energy` has it. precision: share of made rows within the radius of a real one. recall:
    the other way round. density: real rows within whose radius a made one lies, in those that a real row would have.
    coverage: share of real rows with a made one within their radius.
    """
    n, m = len(real), len(generated)
    k = min(N_NEIGHBORS, n - 1, m - 1)
    (radius, own), (their_radius, theirs) = _kth_neighbor_distances(real, k), _kth_neighbor_distances(generated, k)
    counts, recalled, nearest = np.zeros(m, int), np.zeros(n, bool), np.full(n, np.inf)
    across = 0.0
    for i in range(0, n, BLOCK_SIZE):
        for j in range(0, m, BLOCK_SIZE):
            rows, others = slice(i, i + BLOCK_SIZE), slice(j, j + BLOCK_SIZE)
            apart = _pairwise_distances(real[rows], generated[others])
            across += float(apart.sum()) / (n * m)
            counts[others] += (apart < radius[rows, None]).sum(0)
            recalled[rows] |= (apart < their_radius[None, others]).any(1)
            nearest[rows] = np.minimum(nearest[rows], apart.min(1))
    return {
        "energy_distance": (2 * across - own - theirs) / own if own else 0.0,
        "precision": float((counts > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(counts.mean() / k),
        "coverage": float((nearest < radius).mean()),
    }


def c2st(real: Array, generated: Array, seed: int, *, use_trees: bool = False) -> float:
    """Return how often a linear classifier tells held-out rows of the two (n, d), (m, d) apart; 0.5 if it cannot.

    trees: boosted trees in its place, which see what no line parts.
    """
    size = min(len(real), len(generated))
    random = np.random.default_rng(seed)
    pairs = [rows[random.permutation(len(rows))[:size]] for rows in (real, generated)]
    learnt, asked = (np.concatenate([rows[part::2] for rows in pairs]) for part in (0, 1))
    which = [np.repeat([0, 1], [len(rows[part::2]) for rows in pairs]) for part in (0, 1)]
    return (tree_classifier_accuracy if use_trees else linear_classifier_accuracy)(learnt, which[0], asked, which[1])


def linear_classifier_accuracy(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> float:
    """Return how often a linear classifier of rows (n, d) and their classes tells those of held-out rows (m, d)."""
    if (y_train == y_train[0]).all():  # a generator may have collapsed: there is nothing to learn
        return float((y_test == y_train[0]).mean())
    from sklearn.linear_model import LogisticRegression  # paid for by models that make records alone

    shift, scale = x_train.mean(0), x_train.std(0)
    scale = np.where(scale > 0, scale, 1)
    model = LogisticRegression(max_iter=200, tol=1e-3).fit((x_train - shift) / scale, y_train)
    return float((model.predict((x_test - shift) / scale) == y_test).mean())


def tree_classifier_accuracy(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> float:
    """Return how often boosted trees of rows (n, d) and their classes tell those of held-out rows (m, d)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(random_state=0).fit(x_train, y_train)
    return float((model.predict(x_test) == y_test).mean())


def tree_regressor_r2(x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> float:
    """Return R2 of boosted trees of rows (n, d) and their values on held-out rows (m, d)."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(random_state=0).fit(x_train, y_train)
    return float(model.score(x_test, y_test))


def entropy(probabilities: Array) -> float:
    """Return the entropy of shares (k,) that add up to 1, in bits."""
    some = probabilities[probabilities > 0]
    return float(-(some * np.log2(some)).sum()) + 0.0  # no -0.0


def _moments(rows: Array) -> tuple[Array, Array]:
    """Return mean (d,) and covariance (d, d) of rows (n, d)."""
    mean, products = rows.mean(0, dtype=np.float64), np.zeros((rows.shape[1], rows.shape[1]))
    for i in range(0, len(rows), BLOCK_SIZE):
        off = rows[i : i + BLOCK_SIZE] - mean
        products += off.T @ off
    return mean, products / (len(rows) - 1)


def _kth_neighbor_distances(rows: Array, k: int) -> tuple[Array, float]:
    """Return the distance (n,) of each row (n, d) from its k-th neighbour, and the mean distance of two rows."""
    n = len(rows)
    nearest, total = np.full((n, k + 1), np.inf), 0.0  # the first is itself
    for i in range(0, n, BLOCK_SIZE):
        for j in range(i, n, BLOCK_SIZE):
            apart = _pairwise_distances(rows[i : i + BLOCK_SIZE], rows[j : j + BLOCK_SIZE])
            for start, seen in ((i, apart), (j, apart.T)) if j > i else ((i, apart),):
                part = slice(start, start + len(seen))
                nearest[part] = np.partition(np.concatenate([nearest[part], seen], axis=1), k, axis=1)[:, : k + 1]
                total += float(seen.sum())
    return nearest[:, k], total / (n * (n - 1))


def nearest_distances(rows: Array, references: Array) -> Array:
    """Return the distance (n,) of each row (n, d) from the nearest of others (m, d)."""
    return np.concatenate(
        [
            _pairwise_distances(rows[start : start + BLOCK_SIZE], references).min(1)
            for start in range(0, len(rows), BLOCK_SIZE)
        ]
    )


def _pairwise_distances(x: Array, y: Array) -> Array:
    return torch.cdist(torch.from_numpy(x).double(), torch.from_numpy(y).double()).numpy()
