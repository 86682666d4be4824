"""Targets as a network learns them, and how much each class counts.

Shapes: n rows, k values.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.records import Array, Records
from ..data.schema import Schema


@dataclass(frozen=True)
class Targets:
    """Fitted to training rows: values are learnt with mean 0 and deviation 1, classes by their index.

    base: which of a record's numbers each value is learnt as a difference from; empty for none.
    shift, scale: (k,), mean and deviation of those differences.
    """

    schema: Schema
    base: Array
    shift: Array
    scale: Array

    @classmethod
    def fit(cls, schema: Schema, train: Records, base: Array) -> "Targets":
        """Learn mean and deviation from training rows."""
        if schema.classes:
            return cls(schema, base, np.zeros(1), np.ones(1))
        values = _differences(schema, train, base)
        deviation = values.std(axis=0)
        return cls(schema, base, values.mean(axis=0), np.where(deviation == 0, 1.0, deviation))

    def __call__(self, records: Records) -> Tensor:
        """Return class indices (n,) int64, or values (n, k) float32."""
        if self.schema.classes:
            return torch.from_numpy(records.y.astype(np.int64))
        values = _differences(self.schema, records, self.base)
        return torch.from_numpy(((values - self.shift) / self.scale).astype(np.float32))


def _differences(schema: Schema, records: Records, base: Array) -> Array:
    values = records.y.reshape(len(records), -1)
    values = np.log(values) if schema.log else values
    if not len(base):
        return values
    before = records.x.reshape(len(records), -1)[:, base]
    return np.asarray(values - (np.log(before) if schema.log else before))


def rarity(schema: Schema, y: Array) -> Tensor:
    """Return what a row of each class counts so that all classes count alike, the mean over rows 1; (classes,)."""
    counts = np.bincount(y, minlength=len(schema.classes))
    present = np.maximum(counts, 1)
    return torch.from_numpy((len(y) / (np.count_nonzero(counts) * present)).astype(np.float32))
