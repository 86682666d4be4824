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

DecodeFn = Callable[[Array], Array]
"""Codes (n, l) -> records (n, *r)."""

STEP_FACTORS = np.exp2(np.arange(2, -6.5, -0.5))
"""Steps, in the deviation of the number that changes records most: from none that is told to what loses nothing."""

N_CURVE_POINTS = 16
"""Rates of a curve, evenly spaced."""

INFINITE_STEP = 1e30
"""Step of a number that changes nothing: all its values are one symbol."""

MAX_SENSITIVITY_ROWS = 128
"""Rows by which one learns how much a number changes records."""


class EntropyCoder(NamedTuple):
    """What is learnt from the codes of training rows: mean and step of each number (l,), the latter for a factor 1."""

    train_codes: Array
    mean: Array
    step: Array

    @classmethod
    def fit(cls, codes: Array, decode: DecodeFn) -> "EntropyCoder":
        """Learn it from training codes (n, l)."""
        codes = codes.astype(np.float64)
        mean, deviation = codes.mean(0), codes.std(0)
        changes = sensitivity(
            codes[:: max(1, len(codes) // MAX_SENSITIVITY_ROWS)][:MAX_SENSITIVITY_ROWS], deviation, decode
        )
        largest = (deviation * changes).max()
        told = deviation * changes > 1e-6 * largest  # the others change nothing
        return cls(codes, mean, np.where(told, largest / np.where(told, changes, 1), INFINITE_STEP))

    def quantize(self, codes: Array, factor: float) -> tuple[Array, float]:
        """Return codes (n, l) as they come back from a file, and bits a row that they take there.

        What is beyond the symbols of training rows is told as the outermost one.
        """
        kept, bits = np.empty(codes.shape), 0.0
        for i, (mean, step) in enumerate(zip(self.mean, self.step * factor, strict=True)):
            learnt, symbols = (
                np.rint((each[:, i] - mean) / step).astype(np.int64) for each in (self.train_codes, codes)
            )
            low, high = learnt.min(), learnt.max()
            table = _build_symbol_table(learnt - low, self.train_codes[:, i], mean + step * np.arange(low, high + 1))
            symbols = symbols.clip(low, high) - low
            kept[:, i] = table.values[symbols]
            bits += float(table.code_lengths[symbols].mean())
        return kept, bits


class SymbolTable(NamedTuple):
    """What each symbol of a number stands for, and the bits that it costs, (k,)."""

    values: Array
    code_lengths: Array


def _build_symbol_table(symbols: Array, values: Array, midpoints: Array) -> SymbolTable:
    """Return the table of symbols (n,) from 0 that stand for values (n,): their mean, or the middle of a step's own."""
    counts = np.bincount(symbols, minlength=len(midpoints))
    means = np.bincount(symbols, values, len(midpoints)) / np.maximum(counts, 1)
    shares = (counts + 0.5) / (counts + 0.5).sum()  # one that was never seen costs more, but can be told
    return SymbolTable(np.where(counts > 0, means, midpoints), -np.log2(shares))


def sensitivity(codes: Array, std: Array, decode: DecodeFn) -> Array:
    """Return by how much a record changes with each number of its code, (l,): root of the summed squares, a unit."""
    found = np.zeros(codes.shape[1])
    for i, size in enumerate(std):
        if size:
            change = np.eye(len(found))[i] * size / 4
            apart = decode(codes + change).astype(np.float64) - decode(codes - change)
            found[i] = np.sqrt((apart**2).reshape(len(codes), -1).sum(1).mean()) / (size / 2)
    return found


def rate_distortion_curve(
    train: Array, test: Array, decode: DecodeFn, distortion: Callable[[Array], float]
) -> pd.DataFrame:
    """Return `bits` a row and what is `lost` of test rows whose codes are (n, l), from the coarsest step to the finest.

    train: codes of training rows. lost: records told -> mean squared error.
    """
    coder = EntropyCoder.fit(train, decode)
    points = []
    for factor in STEP_FACTORS:
        kept, bits = coder.quantize(test, factor)
        points.append((bits, distortion(decode(kept))))
    return pd.DataFrame(points, columns=["bits", "lost"])


def interpolate_curves(curves: dict[str, pd.DataFrame], n_values: int) -> pd.DataFrame:
    """Return curves at the same rates, in bits a number of the record: a column each, read off between its points."""
    ends = min(each.bits.max() for each in curves.values()) / n_values
    rate = np.linspace(0, ends, N_CURVE_POINTS)
    told = {"rate": rate}
    for name, each in curves.items():
        best = each.sort_values("bits").assign(lost=lambda frame: frame.lost.cummin())
        told[name] = np.exp(np.interp(rate, best.bits / n_values, np.log(np.maximum(best.lost, 1e-12))))
    return pd.DataFrame(told)
