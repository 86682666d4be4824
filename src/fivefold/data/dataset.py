"""Datasets as arrays, split into training, validation and test rows.

A reader returns a `RawDataset`: everything that is known about a source before its rows are split.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .schema import CheckResult, Schema

Array = NDArray[Any]

SPLITS = ("train", "validation", "test")

SplitIndices = dict[str, NDArray[np.int64]]
"""Row positions of each split, by split name."""


@dataclass(frozen=True)
class SplitKeys:
    """Per-row values that a split strategy may use; None where the source does not have them.

    Attributes:
        y: class indices or values, (n,) or (n, outputs); (n, 0) for an unsupervised task.
        classes: class names in the order of their indices; empty if y contains values.
        groups: group index of each row.
        time: sort key of each row.
        predefined: "train", "validation" or "test" for each row.
        overlap: number of following rows that share a target with a row; this many rows are left out before each cut in
            time.
        extra_targets: extra targets, (n, m) float64: class indices or values, NaN where missing.
    """

    y: Array
    classes: tuple[str, ...] = ()
    groups: Array | None = None
    time: Array | None = None
    predefined: Array | None = None
    overlap: int = 0
    extra_targets: Array | None = None

    def build_split(self, x: Array, rows: Array, indices: NDArray[np.int64]) -> "Split":
        """Return the split of the rows at `indices`, with their x and the source rows of all keys."""
        groups = None if self.groups is None else self.groups[indices]
        return Split(
            x,
            self.y[indices],
            rows[indices],
            groups,
            None if self.extra_targets is None else self.extra_targets[indices],
        )


@dataclass(frozen=True)
class Split:
    """Rows of a dataset, in raw units.

    Attributes:
        x: (n, *shape); float64 with NaN for missing values, uint8 (images) or int32 (tokens of a text).
        y: (n,) int64 class indices, (n,) or (n, outputs) float64 values; (n, 0) for an unsupervised task.
        rows: (n,) int64, row index in the source, from 0.
        groups: (n,) int64 group indices; None unless the split is by group.
        extra_targets: (n, m) float64, class indices or values of the extra targets, NaN where missing; None without
            extra targets.
        seasonal_naive: (n, outputs) float64, the values of y one season earlier, NaN before the first step of the
            series; None without a `season_length`.
    """

    x: Array
    y: Array
    rows: Array
    groups: Array | None = None
    extra_targets: Array | None = None
    seasonal_naive: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: NDArray[np.int64]) -> "Split":
        """Return the rows at the positions `indices`."""
        arrays = {name: array[indices] for name, array in vars(self).items() if array is not None}
        return Split(**arrays)


@dataclass(frozen=True)
class Dataset:
    """A schema and its rows, split into training, validation and test rows.

    Attributes:
        checks: results of the checks made while encoding the rows.
    """

    schema: Schema
    train: Split
    validation: Split
    test: Split
    checks: tuple[CheckResult, ...] = field(default=(), kw_only=True)

    def splits(self) -> dict[str, Split]:
        """Return the three splits by name, training rows first."""
        return {name: getattr(self, name) for name in SPLITS}


class RawDataset(Protocol):
    """A source that has been read. `encode` fits everything that depends on the data, on training rows only."""

    @property
    def keys(self) -> SplitKeys:
        """Per-row values that a split strategy may use."""
        ...

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """Results of the checks made while reading."""
        ...

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return the rows as arrays, split, with the results of the checks made while encoding.

        Args:
            free_source: whether the raw data may be released while it is encoded, because it is not needed any more; a
                large table does not fit into memory twice.
        """
        ...


@dataclass(frozen=True)
class ArrayDataset:
    """A source whose rows are already arrays, with nothing to fit.

    Attributes:
        seasonal_naive: as in `Split`.
    """

    keys: SplitKeys
    schema: Schema
    x: Array
    rows: Array
    checks: tuple[CheckResult, ...] = ()
    seasonal_naive: Array | None = None

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return the rows as a dataset of three splits."""
        return self.build_dataset(indices)

    def build_dataset(self, indices: SplitIndices) -> Dataset:
        """Return the dataset of three splits."""
        return Dataset(self.schema, *(self._build_split(indices[name]) for name in SPLITS))

    def _build_split(self, indices: NDArray[np.int64]) -> Split:
        split = self.keys.build_split(self.x[indices], self.rows, indices)
        return split if self.seasonal_naive is None else replace(split, seasonal_naive=self.seasonal_naive[indices])
