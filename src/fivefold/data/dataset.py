"""Rows as arrays, and a dataset as three sets of them.

What a reader brings from a source: all that can be said of it before its rows are divided.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .schema import CheckResult, Schema

Array = NDArray[Any]

SPLITS = ("train", "validation", "test")

SplitIndices = dict[str, NDArray[np.int64]]
"""Positions of the rows of each set, by its name."""


@dataclass(frozen=True)
class SplitKeys:
    """What a split may look at, a value a row; what a source has not is None.

    y: class indices or values, (n,) or (n, outputs); (n, 0) where there is nothing to be told.
    groups: which rows belong together.
    time: what orders rows.
    given: train, validation or test.
    overlap: rows that share a target with the row after them; so many are left out before a cut in time.
    extra_targets: further targets, (n, m) float64: class indices or values, NaN where missing.
    """

    y: Array
    classes: tuple[str, ...] = ()
    groups: Array | None = None
    time: Array | None = None
    predefined: Array | None = None
    overlap: int = 0
    extra_targets: Array | None = None

    def build_split(self, x: Array, rows: Array, indices: NDArray[np.int64]) -> "Split":
        """Return the rows at `index`, given their x, and the positions of all rows in the source."""
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

    x: (n, *shape); float64 with NaN for what is missing, uint8 (images), int32 (tokens of a text).
    y: (n,) int64 class indices, (n,) float64 values, or (n, outputs) float64 values; (n, 0) of an unsupervised task.
    rows: (n,) int64, position in the source, from 0.
    groups: (n,) int64, which rows belong together; None if the split does not ask.
    also: (n, m) float64, class indices or values of further targets, NaN where missing; None if there are none.
    season: (n, outputs) float64, of a series what y was a season before, NaN where that is before its first step; None
        if no season is known.
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
        """Return the rows at the positions `index`."""
        kept = {name: array[indices] for name, array in vars(self).items() if array is not None}
        return Split(**kept)


@dataclass(frozen=True)
class Dataset:
    """A schema and its rows, divided.

    findings: what was found while the rows became arrays, by what was learnt from training rows.
    """

    schema: Schema
    train: Split
    validation: Split
    test: Split
    checks: tuple[CheckResult, ...] = field(default=(), kw_only=True)

    def splits(self) -> dict[str, Split]:
        """Return the three sets of rows by name, training rows first."""
        return {name: getattr(self, name) for name in SPLITS}


class RawDataset(Protocol):
    """A source that was read. What is learnt from rows is learnt in `encode`, from training rows alone."""

    @property
    def keys(self) -> SplitKeys:
        """What a split may look at."""
        ...

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """What reading found."""
        ...

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return the rows as arrays, divided, and what was found on the way.

        last: nothing will be asked of the source any more, so what it holds may go as arrays are made of it: a large
            table does not fit into memory twice.
        """
        ...


@dataclass(frozen=True)
class ArrayDataset:
    """A source whose rows are arrays already, with nothing to be learnt.

    season: of a series, as in `Records`.
    """

    keys: SplitKeys
    schema: Schema
    x: Array
    rows: Array
    checks: tuple[CheckResult, ...] = ()
    seasonal_naive: Array | None = None

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return the rows, divided."""
        return self.build_dataset(indices)

    def build_dataset(self, indices: SplitIndices) -> Dataset:
        """Return the rows of each set."""
        return Dataset(self.schema, *(self._build_split(indices[name]) for name in SPLITS))

    def _build_split(self, indices: NDArray[np.int64]) -> Split:
        records = self.keys.build_split(self.x[indices], self.rows, indices)
        return records if self.seasonal_naive is None else replace(records, seasonal_naive=self.seasonal_naive[indices])
