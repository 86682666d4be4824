"""Metrics of generated tables: column distributions, pairwise correlations and memorization of training rows.

Shapes: n real rows, m generated rows, t training rows, f encoded columns, d features.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...data.dataset import Array
from ...data.schema import Column, Schema
from .metrics import nearest_distances

N_HISTOGRAM_BINS = 20
"""Number of bins of the histogram of a numeric column."""


class TabularSample(NamedTuple):
    """Rows of a table, encoded (n, f) and preprocessed (n, d)."""

    x: Array
    features: Array


class MarginalColumn(NamedTuple):
    """A column, its categories with `other` and `missing` (empty if numeric), and its index among encoded columns."""

    name: str
    categories: tuple[str, ...]
    position: int


def marginal_columns(schema: Schema) -> Iterator[MarginalColumn]:
    """Yield each column of the table in order; of a date column, its day."""
    position = 0
    for column in schema.columns:
        yield MarginalColumn(column.name, _category_names(column), position)
        position += len(column.features)


def category_codes(values: Array, marginal: MarginalColumn) -> Array:
    """Return encoded categories (n,) as indices into the column's categories; NaN becomes `missing`."""
    missing = len(marginal.categories) - 1
    return np.where(np.isnan(values), missing, np.clip(np.nan_to_num(values), 0, missing)).astype(np.int64)


def column_histograms(schema: Schema, real: Array, generated: Array) -> pd.DataFrame:
    """Return the distribution of each column in real rows (n, f) and generated rows (m, f).

    Returns:
        One row per category or histogram bin, with columns column, category, low and high (bounds of a bin), real and
        generated (proportions of rows).
    """
    frames = []
    for marginal in marginal_columns(schema):
        own, theirs = real[:, marginal.position], generated[:, marginal.position]
        if marginal.categories:
            proportions = [_category_proportions(values, marginal) for values in (own, theirs)]
            frame = pd.DataFrame({"category": marginal.categories, "real": proportions[0], "generated": proportions[1]})
            frame = frame[frame.real + frame.generated > 0]
        else:
            own, theirs = own[~np.isnan(own)], theirs[~np.isnan(theirs)]
            edges = np.histogram_bin_edges(np.concatenate([own, theirs]), N_HISTOGRAM_BINS)
            proportions = [np.histogram(values, edges)[0] / max(len(values), 1) for values in (own, theirs)]
            frame = pd.DataFrame(
                {"low": edges[:-1], "high": edges[1:], "real": proportions[0], "generated": proportions[1]}
            )
        frames.append(frame.assign(column=marginal.name))
    columns = ["column", "category", "low", "high", "real", "generated"]
    return pd.concat(frames, ignore_index=True).reindex(columns=columns)


def _category_proportions(values: Array, marginal: MarginalColumn) -> Array:
    """Return the proportion (k,) of each category among encoded values (n,)."""
    return np.asarray(np.bincount(category_codes(values, marginal), minlength=len(marginal.categories)) / len(values))


def column_shapes(schema: Schema, real: TabularSample, generated: TabularSample) -> dict[str, float]:
    """Return distances between real rows (n, ...) and generated ones (m, ...).

    Returns:
        `wasserstein`, the mean over numeric columns, in standard deviations of the real column; `total_variation`, the
        mean over categorical columns; `correlation_difference`, the mean absolute difference over pairs of features.
    """
    distances: dict[str, list[float]] = {"wasserstein": [], "total_variation": []}
    for marginal in marginal_columns(schema):
        own, theirs = (rows.x[:, marginal.position] for rows in (real, generated))
        if marginal.categories:
            proportions = [_category_proportions(values, marginal) for values in (own, theirs)]
            distances["total_variation"].append(np.abs(np.subtract(*proportions)).sum() / 2)
            continue
        own, theirs = own[~np.isnan(own)], theirs[~np.isnan(theirs)]
        if len(own) and len(theirs):
            std = own.std()
            distances["wasserstein"].append(wasserstein(own, theirs) / (std if std > 0 else 1))
    difference = np.abs(_correlation_matrix(real.features) - _correlation_matrix(generated.features)).mean()
    means = {name: float(np.mean(values)) for name, values in distances.items() if values}
    return means | {"correlation_difference": float(difference)}


def wasserstein(x: Array, y: Array) -> float:
    """Return the Wasserstein-1 distance of values x (n,) and y (m,)."""
    edges = np.sort(np.concatenate([x, y]))
    cdfs = [np.searchsorted(np.sort(values), edges[:-1], side="right") / len(values) for values in (x, y)]
    return float((np.abs(cdfs[0] - cdfs[1]) * np.diff(edges)).sum())


def memorization(rows: TabularSample, train: TabularSample) -> dict[str, float]:
    """Return the median distance of rows (n, ...) to the closest training row (t, ...), and the fraction of copies."""
    train_rows = {row.tobytes() for row in train.x}
    return {
        "dcr": float(np.median(nearest_distances(rows.features, train.features))),
        "exact_copies": float(np.mean([row.tobytes() in train_rows for row in rows.x])),
    }


def _category_names(column: Column) -> tuple[str, ...]:
    if column.type == "categorical":
        return (*column.categories, "other", "missing")
    return ("false", "true", "missing") if column.type == "boolean" else ()


def _correlation_matrix(features: Array) -> Array:
    """Return the correlations (d, d) of features (n, d); those of a constant feature are 0."""
    centered = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    norms = np.linalg.norm(centered, axis=0)
    centered /= np.where(norms > 0, norms, 1)
    return np.asarray(centered.T @ centered)
