"""The rows that networks learn, each its own, and the batches of an epoch for all of them.

Shapes: m networks, n rows, f features, b rows of a batch, k numbers that are told of a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from ..batches import shuffled

GATHERED = 2**22
"""Numbers that are brought together at a time, 16 MiB: batches of many steps at once where they are small."""


@dataclass(frozen=True)
class Pool:
    """Rows of several datasets, one behind the other, each dataset once.

    x: (n, f). told: (n, k), of classes shares. classes: (n,), their indices; None for values.
    """

    x: Tensor
    told: Tensor
    classes: Tensor | None = None

    @classmethod
    def of(cls, parts: Sequence["Pool"]) -> "Pool":
        """Return the rows of several pools as one."""
        if len(parts) == 1:
            return parts[0]
        x = torch.cat([part.x for part in parts])
        told = x if all(part.told is part.x for part in parts) else torch.cat([part.told for part in parts])
        classes = [part.classes for part in parts if part.classes is not None]
        return cls(x, told, torch.cat(classes) if classes else None)

    def at(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows and what is to be told of them, (*index, f) and (*index, k)."""
        flat = index.flatten()
        x = self.x.index_select(0, flat)
        told = x if self.told is self.x else self.told.index_select(0, flat)
        return x.view(*index.shape, -1), told.view(*index.shape, -1)


class Reach(NamedTuple):
    """Where a network's rows lie in a pool: so many from `start` on."""

    start: int
    n: int


class Batch(NamedTuple):
    """What the networks of a span learn in one step: x (m, b, f) and told (m, b, k), all rows real."""

    step: int
    span: slice
    x: Tensor
    told: Tensor


class Batches:
    """The batches that networks would get one by one, side by side.

    Args:
        reaches: rows of each network, those with the most rows first: so those with as many rows in a step lie
            together.
        seeds: from which follows the order of each network's rows.
    """

    def __init__(self, pool: Pool, reaches: Sequence[Reach], seeds: Sequence[int], batch_size: int) -> None:
        self.pool, self.reaches, self.seeds, self.batch_size = pool, reaches, seeds, batch_size
        self.most = -(-reaches[0].n // batch_size)
        self.spans = [list(self._spans(step)) for step in range(self.most)]

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """Yield what is learnt in each step of an epoch, a batch for every number of rows in it."""
        index = self._index(epoch)
        numbers = (self.pool.x.shape[1] + self.pool.told.shape[1]) * index[0].numel()
        together = max(1, GATHERED // numbers)
        for begin in range(0, self.most, together):
            x, told = self.pool.at(index[begin : begin + together])
            for step in range(begin, min(begin + together, self.most)):
                for span, rows in self.spans[step]:
                    here = step - begin
                    yield Batch(step, span, x[here, span, :rows], told[here, span, :rows])

    def _spans(self, step: int) -> Iterator[tuple[slice, int]]:
        """Yield which networks have as many rows in a step, and how many."""
        counts = [min(self.batch_size, reach.n - step * self.batch_size) for reach in self.reaches]
        for rows, which in groupby(range(len(counts)), counts.__getitem__):
            if rows > 0:
                found = list(which)
                yield slice(found[0], found[-1] + 1), rows

    def _index(self, epoch: int) -> Tensor:
        """Return the places in the pool of the rows of each step, (steps, m, b); 0 where a network has none."""
        index = torch.zeros(len(self.reaches), self.most * self.batch_size, dtype=torch.int64)
        orders: dict[tuple[int, int], Tensor] = {}
        for row, seed, (start, n) in zip(index, self.seeds, self.reaches, strict=True):
            if (seed, n) not in orders:
                orders[seed, n] = shuffled(n, seed, lambda: epoch)()
            torch.add(orders[seed, n], start, out=row[:n])
        steps = index.view(-1, self.most, self.batch_size).transpose(0, 1)
        return steps.contiguous().to(self.pool.x.device)


class HeldOut:
    """Validation rows of every network, so many at a time; a network with fewer rows sees its first again."""

    def __init__(self, pool: Pool, reaches: Sequence[Reach], most: int) -> None:
        self.pool = pool
        device = pool.x.device
        counts = torch.tensor([reach.n for reach in reaches], device=device)[:, None]
        starts = torch.tensor([reach.start for reach in reaches], device=device)[:, None]
        place = torch.arange(int(counts.max()), device=device)
        self.real = place < counts  # (m, n)
        self.index = torch.where(self.real, place + starts, starts)
        width = pool.x.shape[1] + pool.told.shape[1]
        self.size = min(most, max(1, GATHERED // (width * len(reaches))))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Tensor]]:
        """Yield x (m, b, f), told (m, b, k), classes (m, b), and which of these rows are real, (m, b)."""
        for index, real in zip(*(torch.split(part, self.size, 1) for part in (self.index, self.real)), strict=True):
            x, told = self.pool.at(index)
            yield x, told, None if self.pool.classes is None else self.pool.classes[index], real
