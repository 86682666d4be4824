"""Proof that an ONNX file computes what the model computes, on real rows."""

from itertools import product
from pathlib import Path

import numpy as np
import onnxruntime
from torch import nn

from ..data.records import Array
from ..errors import ParityError
from ..families.deployed import Rescale, SideBySide
from ..families.saved import Saved
from ..scoring.predict import predict
from .graph import INPUT

BATCHES = (1, 7, 64)
TOLERANCE = 1e-4
GAPS = 0.1


def check_parity(saved: Saved, x: Array, path: Path) -> dict[str, float]:
    """Compare the file with the model on raw records x (n, ...), at several batch sizes.

    Where the model fills in gaps, the same records are compared with gaps as well.

    Returns the largest absolute difference by batch size: of probabilities, or of values in deviations of the target.

    Raises:
        ParityError: a difference is above 1e-4.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    fills = {"carry", "impute"} & set(saved.model.preprocess.kinds)
    differences: dict[str, float] = {}
    for size, records in product(BATCHES, (x, with_gaps(x)) if fills else (x,)):
        rows = np.resize(np.arange(len(x)), size)  # starts again at row 0 if there are fewer
        batch = np.ascontiguousarray(records[rows])
        (found,) = session.run(None, {INPUT: batch})
        expected = predict(saved.model, batch)
        apart = float((np.abs(found - expected) / _unit(saved.model.output, expected)).max())
        differences[str(size)] = max(apart, differences.get(str(size), 0.0))
    worst = max(differences, key=lambda size: differences[size])
    if not differences[worst] <= TOLERANCE:
        raise ParityError(
            f"{path.name} must give what PyTorch gives to {TOLERANCE}, but differs by {differences[worst]:.2g} at batch"
            f" size {worst}; do not ship it, and report the network that does this"
        )
    return differences


def with_gaps(x: Array) -> Array:
    """Return records (n, ...) of which every tenth number is missing, but none wholly."""
    holes = np.where(np.random.default_rng(0).random(x.shape) < GAPS, np.nan, x)
    lost = np.isnan(holes).reshape(len(x), -1).all(axis=1)
    holes[lost] = x[lost]
    return holes


def _unit(output: nn.Module, values: Array) -> Array:
    """Return what counts as one: a probability, or a deviation of the target, which of logarithms grows with it."""
    if isinstance(output, SideBySide):
        parts = ((part, values[:, columns]) for part, columns in zip(output.parts, output.columns, strict=True))
        return np.concatenate([_unit(part, told) * np.ones_like(told) for part, told in parts], axis=1)
    if not isinstance(output, Rescale):
        return np.ones(1)
    scale = np.repeat(output.state_dict()["scale"].numpy(), output.levels)
    return np.asarray(scale * np.abs(values) if output.log else scale)
