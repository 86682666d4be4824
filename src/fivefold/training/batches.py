"""Batches by indexing tensors that already lie on the device; no DataLoader, no workers, no per-sample calls."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


class Batches:
    """Iterable over (x, y) batches of resident tensors.

    Args:
        x, y: (n, ...) and (n,), on the same device.
        batch_size: rows a batch; the last batch of an epoch is smaller if n is no multiple of it.
        weights: (n,), how often a row is drawn, with replacement; None: each row once.
        epoch: for shuffled batches, returns the number of the epoch that starts. The order of rows depends on `seed`
            and this number alone, so that a resumed training sees what an uninterrupted one would have seen.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        batch_size: int,
        *,
        seed: int = 0,
        epoch: Callable[[], int] | None = None,
        weights: Tensor | None = None,
    ) -> None:
        self.x, self.y = x, y
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch
        self.weights = weights

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.epoch is None:
            yield from zip(torch.split(self.x, self.batch_size), torch.split(self.y, self.batch_size), strict=True)
            return
        chance = torch.Generator().manual_seed(mix(self.seed, self.epoch()))
        if self.weights is None:
            order = torch.randperm(len(self.x), generator=chance)
        else:  # by the cumulated weights: torch.multinomial takes 2^24 rows at most
            edges = self.weights.double().cumsum(0)
            draws = torch.rand(len(self.x), generator=chance, dtype=torch.float64) * edges[-1]
            order = torch.searchsorted(edges, draws).clamp_max(len(self.x) - 1)
        for index in torch.split(order.to(self.x.device), self.batch_size):
            yield self.x[index], self.y[index]


def mix(seed: int, epoch: int) -> int:
    """Return a seed of 63 bits for one epoch; neighbouring seeds and epochs do not share any."""
    value = (seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    value ^= value >> 31
    return (value * 0x94D049BB133111EB & (2**64 - 1)) >> 1
