"""How few bits a record can be kept in, and what is lost by it: codes in even steps, by an entropy code.

A number of a code is rounded to a multiple of its step, counted from its mean; the steps of all numbers grow together,
in the inverse of how much a change of the number changes the record, so that each loses as much. What a symbol costs is
told by how often it stands among training rows: the rate is what such a code would spend on test rows.
Source: Gersho & Gray 1992, sections 5 and 9 (even steps with an entropy code).
Shapes: n rows, l numbers of a code, r what a record is.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..data.records import Array

Decode = Callable[[Array], Array]
"""Codes (n, l) -> records (n, *r)."""

STEPS = np.exp2(np.arange(2, -6.5, -0.5))
"""Steps, in the deviation of the number that changes records most: from none that is told to what loses nothing."""

POINTS = 16
"""Rates of a curve, evenly spaced."""

ROWS = 128
"""Rows by which one learns how much a number changes records."""


class Coder(NamedTuple):
    """What is learnt from the codes of training rows: mean and step of each number (l,), the latter for a factor 1."""

    codes: Array
    mean: Array
    step: Array

    @classmethod
    def fit(cls, codes: Array, decode: Decode) -> "Coder":
        """Learn it from training codes (n, l)."""
        codes = codes.astype(np.float64)
        mean, deviation = codes.mean(0), codes.std(0)
        changes = sensitivity(codes[:: max(1, len(codes) // ROWS)][:ROWS], deviation, decode)
        largest = (deviation * changes).max()
        told = deviation * changes > 1e-6 * largest  # the others change nothing
        return cls(codes, mean, np.where(told, largest / np.where(told, changes, 1), np.inf))

    def keep(self, codes: Array, factor: float) -> tuple[Array, float]:
        """Return codes (n, l) as they come back from a file, and bits a row that they take there.

        What is beyond the symbols of training rows is told as the outermost one.
        """
        step = self.step * factor
        learnt = np.rint((self.codes - self.mean) / step).astype(np.int64)
        low, high = learnt.min(0), learnt.max(0)
        symbols = np.rint((codes - self.mean) / step).astype(np.int64).clip(low, high)
        bits = sum(_cost(learnt[:, i] - low[i], symbols[:, i] - low[i]) for i in range(codes.shape[1]))
        return self.mean + np.where(symbols, symbols * step, 0), bits


def sensitivity(codes: Array, deviation: Array, decode: Decode) -> Array:
    """Return by how much a record changes with each number of its code, (l,): root of the summed squares, a unit."""
    found = np.zeros(codes.shape[1])
    for i, size in enumerate(deviation):
        if size:
            change = np.eye(len(found))[i] * size / 4
            apart = decode(codes + change).astype(np.float64) - decode(codes - change)
            found[i] = np.sqrt((apart**2).reshape(len(codes), -1).sum(1).mean()) / (size / 2)
    return found


def curve(train: Array, test: Array, decode: Decode, lost: Callable[[Array], float]) -> pd.DataFrame:
    """Return `bits` a row and what is `lost` of test rows whose codes are (n, l), from the coarsest step to the finest.

    train: codes of training rows. lost: records told -> mean squared error.
    """
    coder = Coder.fit(train, decode)
    points = []
    for factor in STEPS:
        kept, bits = coder.keep(test, factor)
        points.append((bits, lost(decode(kept))))
    return pd.DataFrame(points, columns=["bits", "lost"])


def beside(curves: dict[str, pd.DataFrame], numbers: int) -> pd.DataFrame:
    """Return curves at the same rates, in bits a number of the record: a column each, read off between its points."""
    ends = min(each.bits.max() for each in curves.values()) / numbers
    rate = np.linspace(0, ends, POINTS)
    told = {"rate": rate}
    for name, each in curves.items():
        best = each.sort_values("bits").assign(lost=lambda frame: frame.lost.cummin())
        told[name] = np.exp(np.interp(rate, best.bits / numbers, np.log(np.maximum(best.lost, 1e-12))))
    return pd.DataFrame(told)


def _cost(learnt: Array, symbols: Array) -> float:
    """Return bits a row of symbols (n,), told by the counts of those that were learnt (m,); both from 0."""
    counts = np.bincount(learnt) + 0.5  # none costs more than can be paid
    return float(-np.log2(counts[symbols] / counts.sum()).mean())
