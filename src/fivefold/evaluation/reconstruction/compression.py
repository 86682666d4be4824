"""Rate-distortion curves of latent codes: uniform scalar quantization followed by entropy coding.

Each latent dimension is quantized with uniform steps around its mean. The steps of all dimensions share a common factor
and are inversely proportional to the sensitivity of reconstructions, so that each dimension contributes the same
distortion. Training rows determine the value that a symbol decodes to (their mean in that step) and its code length
(from its frequency). The rate is the mean code length of test rows.

Source: Gersho & Gray 1992, sections 5 and 9 (uniform quantization with entropy coding).
Shapes: n rows, l latent dimensions, r shape of a reconstruction.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...data.dataset import Array

DecodeFn = Callable[[Array], Array]
"""Codes (n, l) -> reconstructions (n, *r)."""

STEP_FACTORS = np.exp2(np.arange(2, -6.5, -0.5))
"""Step sizes, in standard deviations of the most sensitive dimension: from a rate near 0 to almost no loss."""

N_CURVE_POINTS = 16
"""Points of a curve, at evenly spaced rates."""

INFINITE_STEP = 1e30
"""Step of a dimension that does not affect reconstructions: all its values become one symbol."""

MAX_SENSITIVITY_ROWS = 128
"""Maximum number of training rows that sensitivities are estimated on."""


def rate_distortion_curve(
    train: Array, test: Array, decode: DecodeFn, distortion: Callable[[Array], float]
) -> pd.DataFrame:
    """Return rate and distortion of test rows, from the coarsest step to the finest.

    Args:
        train: Codes of training rows, (n, l).
        test: Codes of test rows, (m, l).
        decode: Decoder.
        distortion: Function of the reconstructions of test rows, returning their mean squared error.

    Returns:
        Columns `bits` per row and `distortion`.
    """
    coder = EntropyCoder.fit(train, decode)
    points = []
    for factor in STEP_FACTORS:
        quantized, bits = coder.quantize(test, factor)
        points.append((bits, distortion(decode(quantized))))
    return pd.DataFrame(points, columns=["bits", "distortion"])


def interpolate_curves(curves: dict[str, pd.DataFrame], n_values: int) -> pd.DataFrame:
    """Return the distortions of several curves at common rates, in bits per input value; one column per curve."""
    max_rate = min(curve.bits.max() for curve in curves.values()) / n_values
    rate = np.linspace(0, max_rate, N_CURVE_POINTS)
    columns = {"rate": rate}
    for name, curve in curves.items():
        best = curve.sort_values("bits").assign(distortion=lambda frame: frame.distortion.cummin())
        log_distortion = np.log(np.maximum(best.distortion, 1e-12))
        columns[name] = np.exp(np.interp(rate, best.bits / n_values, log_distortion))
    return pd.DataFrame(columns)


class EntropyCoder(NamedTuple):
    """Quantizer and entropy coder fitted to training codes: mean and step of each dimension, (l,), at factor 1."""

    train_codes: Array
    mean: Array
    step: Array

    @classmethod
    def fit(cls, codes: Array, decode: DecodeFn) -> "EntropyCoder":
        """Return a coder fitted to training codes (n, l)."""
        codes = codes.astype(np.float64)
        mean, std = codes.mean(0), codes.std(0)
        sensitivities = sensitivity(
            codes[:: max(1, len(codes) // MAX_SENSITIVITY_ROWS)][:MAX_SENSITIVITY_ROWS], std, decode
        )
        largest = (std * sensitivities).max()
        is_used = std * sensitivities > 1e-6 * largest
        return cls(codes, mean, np.where(is_used, largest / np.where(is_used, sensitivities, 1), INFINITE_STEP))

    def quantize(self, codes: Array, factor: float) -> tuple[Array, float]:
        """Return codes (n, l) after coding and decoding, and their mean code length in bits per row.

        Values outside the range of training symbols are clipped to the outermost symbol.
        """
        quantized, bits = np.empty(codes.shape), 0.0
        for i, (mean, step) in enumerate(zip(self.mean, self.step * factor, strict=True)):
            train_symbols, symbols = (
                np.rint((values[:, i] - mean) / step).astype(np.int64) for values in (self.train_codes, codes)
            )
            low, high = train_symbols.min(), train_symbols.max()
            midpoints = mean + step * np.arange(low, high + 1)
            table = _build_symbol_table(train_symbols - low, self.train_codes[:, i], midpoints)
            symbols = symbols.clip(low, high) - low
            quantized[:, i] = table.values[symbols]
            bits += float(table.code_lengths[symbols].mean())
        return quantized, bits


class SymbolTable(NamedTuple):
    """Value and code length in bits of each symbol of a dimension, (k,)."""

    values: Array
    code_lengths: Array


def _build_symbol_table(symbols: Array, values: Array, midpoints: Array) -> SymbolTable:
    """Return the table of symbols (n,), counted from 0, with values (n,); unused symbols decode to their midpoint."""
    counts = np.bincount(symbols, minlength=len(midpoints))
    means = np.bincount(symbols, values, len(midpoints)) / np.maximum(counts, 1)
    frequencies = (counts + 0.5) / (counts + 0.5).sum()  # smoothing gives unused symbols a finite code length
    return SymbolTable(np.where(counts > 0, means, midpoints), -np.log2(frequencies))


def sensitivity(codes: Array, std: Array, decode: DecodeFn) -> Array:
    """Return the change of reconstructions per unit change of each latent dimension, (l,), as an RMS norm."""
    sensitivities = np.zeros(codes.shape[1])
    for i, size in enumerate(std):
        if size:
            shift = np.eye(len(sensitivities))[i] * size / 4
            difference = decode(codes + shift).astype(np.float64) - decode(codes - shift)
            sensitivities[i] = np.sqrt((difference**2).reshape(len(codes), -1).sum(1).mean()) / (size / 2)
    return sensitivities
