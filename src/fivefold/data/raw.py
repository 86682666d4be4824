"""What a reader brings from a source: all that can be said of it before its rows are divided."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .findings import Finding
from .records import SPLITS, Array, Dataset, Keys, Parts, Records
from .schema import Schema


class Raw(Protocol):
    """A source that was read. What is learnt from rows is learnt in `encode`, from training rows alone."""

    @property
    def keys(self) -> Keys:
        """What a split may look at."""
        ...

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What reading found."""
        ...

    def encode(self, parts: Parts, *, last: bool = False) -> Dataset:
        """Return the rows as arrays, divided, and what was found on the way.

        last: nothing will be asked of the source any more, so what it holds may go as arrays are made of it: a large
            table does not fit into memory twice.
        """
        ...


@dataclass(frozen=True)
class Arrays:
    """A source whose rows are arrays already, with nothing to be learnt.

    season: of a series, as in `Records`.
    """

    keys: Keys
    schema: Schema
    x: Array
    rows: Array
    findings: tuple[Finding, ...] = ()
    season: Array | None = None

    def encode(self, parts: Parts, *, last: bool = False) -> Dataset:
        """Return the rows, divided."""
        return self.divided(parts)

    def divided(self, parts: Parts) -> Dataset:
        """Return the rows of each set."""
        return Dataset(self.schema, *(self._records(parts[name]) for name in SPLITS))

    def _records(self, index: NDArray[np.int64]) -> Records:
        records = self.keys.records(self.x[index], self.rows, index)
        return records if self.season is None else replace(records, season=self.season[index])
