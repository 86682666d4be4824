"""How few bits a record can be kept in, and what is lost by it: codes in even steps, by an entropy code.

A number of a code is cut into even steps around its mean; the steps of all numbers grow together, in the inverse of how
much a change of the number changes the record, so that each loses as much. What a symbol stands for, and what it costs,
is told by training rows: their mean there, and how many there are. The rate is what that table spends on test rows.
Source: Gersho & Gray 1992, sections 5 and 9 (even steps with an entropy code).
Shapes: n rows, l numbers of a code, r what a record is.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...data.dataset import Array

Decode = Callable[[Array], Array]
"""Codes (n, l) -> records (n, *r)."""

STEPS = np.exp2(np.arange(2, -6.5, -0.5))
"""Steps, in the deviation of the number that changes records most: from none that is told to what loses nothing."""

POINTS = 16
"""Rates of a curve, evenly spaced."""

ENDLESS = 1e30
"""Step of a number that changes nothing: all its values are one symbol."""

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
        return cls(codes, mean, np.where(told, largest / np.where(told, changes, 1), ENDLESS))

    def keep(self, codes: Array, factor: float) -> tuple[Array, float]:
        """Return codes (n, l) as they come back from a file, and bits a row that they take there.

        What is beyond the symbols of training rows is told as the outermost one.
        """
        kept, bits = np.empty(codes.shape), 0.0
        for i, (mean, step) in enumerate(zip(self.mean, self.step * factor, strict=True)):
            learnt, symbols = (np.rint((each[:, i] - mean) / step).astype(np.int64) for each in (self.codes, codes))
            low, high = learnt.min(), learnt.max()
            table = _table(learnt - low, self.codes[:, i], mean + step * np.arange(low, high + 1))
            symbols = symbols.clip(low, high) - low
            kept[:, i] = table.values[symbols]
            bits += float(table.costs[symbols].mean())
        return kept, bits


class Table(NamedTuple):
    """What each symbol of a number stands for, and the bits that it costs, (k,)."""

    values: Array
    costs: Array


def _table(symbols: Array, values: Array, middles: Array) -> Table:
    """Return the table of symbols (n,) from 0 that stand for values (n,): their mean, or the middle of a step's own."""
    counts = np.bincount(symbols, minlength=len(middles))
    means = np.bincount(symbols, values, len(middles)) / np.maximum(counts, 1)
    shares = (counts + 0.5) / (counts + 0.5).sum()  # one that was never seen costs more, but can be told
    return Table(np.where(counts > 0, means, middles), -np.log2(shares))


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
