"""Targets as a network learns them, and how much each class counts.

Shapes: n rows, k values.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.baselines import places
from ..data.dataset import Array, Records
from ..data.schema import Schema
from ..data.targets import goals


@dataclass(frozen=True)
class Targets:
    """Fitted to training rows: values are learnt with mean 0 and deviation 1, classes by their index.

    shift, scale: (k,), mean and deviation of what is learnt; further targets stand behind, classes with 0 and 1.
    """

    schema: Schema
    shift: Array
    scale: Array

    @classmethod
    def fit(cls, schema: Schema, train: Records) -> "Targets":
        """Learn mean and deviation from training rows, those of a further target from the rows that have it."""
        each = [_spread(goal.schema, goal.records(train)) for goal in goals(schema)]
        shift, scale = (np.concatenate(arrays) for arrays in zip(*each, strict=True))
        return cls(schema, shift, scale)

    def __call__(self, records: Records) -> Tensor:
        """Return class indices (n,) int64, or values (n, k) float32.

        With m further targets: (n, k + m) float32, where classes are indices, and NaN is missing.
        """
        if records.also is None:
            if self.schema.classes:
                return torch.from_numpy(records.y.astype(np.int64))
            values = _differences(self.schema, records)
        else:
            leading = records.y[:, None] if self.schema.classes else _differences(self.schema, records)
            values = np.column_stack([leading, records.also])
        return torch.from_numpy(((values - self.shift) / self.scale).astype(np.float32))


def _spread(schema: Schema, train: Records) -> tuple[Array, Array]:
    """Return mean and deviation of what is learnt of one target."""
    if schema.classes:
        return np.zeros(1), np.ones(1)
    values = _differences(schema, train)
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation == 0, 1.0, deviation)


def _differences(schema: Schema, records: Records) -> Array:
    """Return values, or their logarithms, as differences from the schema's base."""
    values = records.y.reshape(len(records), -1)
    values = np.log(values) if schema.log else values
    if schema.base == "none":
        return values
    before = records.x.reshape(len(records), -1)[:, places(schema, schema.base)]
    return np.asarray(values - (np.log(before) if schema.log else before))


def rarity(schema: Schema, y: Array) -> Tensor:
    """Return what a row of each class counts so that all classes count alike, the mean over rows 1; (classes,)."""
    counts = np.bincount(y, minlength=len(schema.classes))
    present = np.maximum(counts, 1)
    return torch.from_numpy((len(y) / (np.count_nonzero(counts) * present)).astype(np.float32))
