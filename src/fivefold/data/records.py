"""Rows as arrays, and a dataset as three sets of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .schema import Schema

Array = NDArray[Any]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Records:
    """Rows of a dataset, in raw units.

    x: (n, *shape), float64 with NaN for what is missing (tables) or uint8 (images).
    y: (n,), int64 class indices or float64 values.
    rows: (n,), int64 position in the source, from 0.
    """

    x: Array
    y: Array
    rows: Array

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: NDArray[np.int64]) -> "Records":
        """Return the rows at the positions `index`."""
        return Records(self.x[index], self.y[index], self.rows[index])


@dataclass(frozen=True)
class Dataset:
    """A schema and its rows, divided."""

    schema: Schema
    train: Records
    validation: Records
    test: Records

    def splits(self) -> dict[str, Records]:
        """Return the three sets of rows by name, training rows first."""
        return {name: getattr(self, name) for name in SPLITS}
