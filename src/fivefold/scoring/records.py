"""Numbers that say how well records are told from codes.

Shapes: n rows, f features of a record, flat, l numbers of a code.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ..data.dataset import Array
from ..models.inference import Deployed

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

BATCH = 1024
"""Rows at a time."""

FITTED = 20_000
"""Training rows at most that a PCA is fitted on."""


@dataclass(frozen=True)
class Told:
    """Features of rows (n, *r), what is told of them, their codes (n, l), and which numbers are real; None: all."""

    truth: Array
    told: Array
    codes: Array
    real: Array | None

    @property
    def errors(self) -> Array:
        """Mean squared error of each row over what is real, (n,)."""
        return errors_of(self.truth, self.told, self.real)

    @property
    def mean(self) -> Array:
        """The mean record, (*r), over what is real."""
        if self.real is None:
            return np.asarray(self.truth.mean(0, dtype=np.float64))
        return np.asarray((self.truth * self.real).sum(0) / np.maximum(self.real.sum(0), 1))

    def take(self, keep: Array) -> "Told":
        """Return some of the rows: indices, or a mask (n,)."""
        real = None if self.real is None else self.real[keep]
        return Told(self.truth[keep], self.told[keep], self.codes[keep], real)

    @property
    def flat(self) -> Array:
        """Features (n, f), 0 where nothing is real."""
        truth = self.truth if self.real is None else self.truth * self.real
        return truth.reshape(len(truth), -1)


@torch.inference_mode()
def tell(model: Deployed, x: Array, noise: nn.Module | None = None, seed: int = 0) -> Told:
    """Return what the network of `model` tells of raw records x (n, ...), first spoilt by `noise` if that is given."""
    network = model.network
    generator = torch.Generator().manual_seed(seed)
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []
    for start in range(0, len(x), BATCH):
        features = model.preprocess(torch.from_numpy(x[start : start + BATCH].copy()))
        seen = features if noise is None else noise.spoil(features, generator)  # type: ignore[operator]
        codes = network.encode(seen)  # type: ignore[operator]
        real = features[..., -1:] if network.masked else None
        parts.append((network.truth(features), network.decode(codes), codes, real))  # type: ignore[operator]
    truth, told, codes, real = zip(*parts, strict=True)
    masked = None if real[0] is None else torch.cat(real).numpy()
    return Told(torch.cat(truth).numpy(), torch.cat(told).numpy(), torch.cat(codes).numpy(), masked)


@torch.inference_mode()
def decode(model: Deployed, codes: Array) -> Array:
    """Return the features (n, *r) that codes (n, l) stand for."""
    every = torch.split(torch.from_numpy(codes.astype(np.float32)), BATCH)
    return torch.cat([model.network.decode(part) for part in every]).numpy()  # type: ignore[operator]


def errors_of(truth: Array, told: Array, real: Array | None) -> Array:
    """Return the mean squared error of each row, (n,), over what is real."""
    square = (truth.astype(np.float64) - told) ** 2
    if real is None:
        return np.asarray(square.reshape(len(square), -1).mean(axis=1))
    every = np.broadcast_to(real, square.shape)
    over = tuple(range(1, square.ndim))
    return np.asarray((square * every).sum(over) / np.maximum(every.sum(over), 1))


@dataclass(frozen=True)
class Linear:
    """The best that straight lines can do: a PCA of as many components as a code; told: the shape of a record."""

    pca: "PCA"
    told: tuple[int, ...]

    @classmethod
    def fit(cls, train: Told, seed: int) -> "Linear":
        """Fit it to training rows."""
        from sklearn.decomposition import PCA  # paid for by models that tell records alone

        flat = train.flat[:: max(1, -(-len(train.flat) // FITTED))].astype(np.float64)
        size = min(train.codes.shape[1], *flat.shape)
        return cls(PCA(size, random_state=seed).fit(flat), train.truth.shape[1:])

    def codes(self, rows: Told) -> Array:
        """Return the components (n, l) of rows."""
        return np.asarray(self.pca.transform(rows.flat.astype(np.float64)))

    def tell(self, codes: Array) -> Array:
        """Return the features (n, *r) that components (n, l) stand for."""
        return np.asarray(self.pca.inverse_transform(codes).reshape(len(codes), *self.told))

    def errors(self, rows: Told) -> Array:
        """Return the mean squared error of each row, (n,)."""
        return errors_of(rows.truth, self.tell(self.codes(rows)), rows.real)
