"""Scores of a table's made rows: column by column, pair by pair, and whether they were learnt by heart.

Shapes: n, m, t rows, f columns as they are encoded, d features.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...data.dataset import Array
from ...data.schema import Column, Schema
from .metrics import nearest_distances

N_HISTOGRAM_BINS = 20
"""Of a number's range, for its histogram."""


class TabularSample(NamedTuple):
    """Rows of a table, (n, f) as they are encoded and (n, d) as features."""

    x: Array
    features: Array


class MarginalColumn(NamedTuple):
    """A column of numbers, or of categories: words, `missing` and `other` too, and their codes."""

    name: str
    categories: tuple[str, ...]
    position: int


def marginal_columns(schema: Schema) -> Iterator[MarginalColumn]:
    """Yield each column that is written, in order; of a date its days."""
    place = 0
    for column in schema.columns:
        yield MarginalColumn(column.name, _category_names(column), place)
        place += len(column.features)


def category_codes(values: Array, marginal: MarginalColumn) -> Array:
    """Return categories (n,) as indices of the marginal's words: a gap is missing, any other value other."""
    last = len(marginal.categories) - 1
    return np.where(np.isnan(values), last, np.clip(np.nan_to_num(values), 0, last)).astype(np.int64)


def column_histograms(schema: Schema, real: Array, generated: Array) -> pd.DataFrame:
    """Return how often real rows (n, f) and made ones (m, f) have each value: a row a category, or a step of a number.

    Columns column, word (of a category), low and high (of a number), real and made.
    """
    found = []
    for each in marginal_columns(schema):
        own, theirs = real[:, each.position], generated[:, each.position]
        if each.categories:
            shares = [
                np.bincount(category_codes(part, each), minlength=len(each.categories)) / len(part)
                for part in (own, theirs)
            ]
            frame = pd.DataFrame({"word": each.categories, "real": shares[0], "made": shares[1]})
            frame = frame[frame.real + frame.made > 0]
        else:
            own, theirs = own[~np.isnan(own)], theirs[~np.isnan(theirs)]
            edges = np.histogram_bin_edges(np.concatenate([own, theirs]), N_HISTOGRAM_BINS)
            shares = [np.histogram(part, edges)[0] / max(len(part), 1) for part in (own, theirs)]
            frame = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "real": shares[0], "made": shares[1]})
        found.append(frame.assign(column=each.name))
    return pd.concat(found, ignore_index=True).reindex(columns=["column", "word", "low", "high", "real", "made"])


def column_shapes(schema: Schema, real: TabularSample, generated: TabularSample) -> dict[str, float]:
    """Return how far apart real rows (n, ...) and made ones (m, ...) are, in the mean over columns and over pairs."""
    apart, moved = [], []
    for each in marginal_columns(schema):
        own, theirs = (
            rows.x[:, each.position][~np.isnan(rows.x[:, each.position]) | bool(each.categories)]
            for rows in (real, generated)
        )
        if each.categories:
            shares = (
                np.bincount(category_codes(part, each), minlength=len(each.categories)) / len(part)
                for part in (own, theirs)
            )
            moved.append(np.abs(np.subtract(*shares)).sum() / 2)
        elif len(own) and len(theirs):
            deviation = own.std()
            apart.append(wasserstein(own, theirs) / (deviation if deviation > 0 else 1))
    found = {"wasserstein": apart, "variation": moved}
    return {name: float(np.mean(values)) for name, values in found.items() if values} | {
        "correlation": float(
            np.abs(_correlation_matrix(real.features) - _correlation_matrix(generated.features)).mean()
        )
    }


def wasserstein(x: Array, y: Array) -> float:
    """Return how far the values (n,) must be moved in the mean to be distributed as those of (m,)."""
    edges = np.sort(np.concatenate([x, y]))
    below = [np.searchsorted(np.sort(part), edges[:-1], side="right") / len(part) for part in (x, y)]
    return float((np.abs(below[0] - below[1]) * np.diff(edges)).sum())


def memorization(rows: TabularSample, train: TabularSample) -> dict[str, float]:
    """Return how near rows (n, ...) are to training rows (t, ...), and the share of them that equal one."""
    known = {row.tobytes() for row in train.x}
    return {
        "nearest": float(np.median(nearest_distances(rows.features, train.features))),
        "copies": float(np.mean([row.tobytes() in known for row in rows.x])),
    }


def _category_names(column: Column) -> tuple[str, ...]:
    if column.type == "categorical":
        return (*column.categories, "other", "missing")
    return ("false", "true", "missing") if column.type == "boolean" else ()


def _correlation_matrix(features: Array) -> Array:
    """Return the correlation of each pair of features (n, d), (d, d); 0 of one that never changes."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    norms = np.linalg.norm(centred, axis=0)
    centred /= np.where(norms > 0, norms, 1)
    return np.asarray(centred.T @ centred)
