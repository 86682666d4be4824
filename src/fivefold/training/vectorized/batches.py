"""The rows that networks learn, each its own, and the batches of an epoch for all of them.

Shapes: m networks, n rows, f features, b rows of a batch, k numbers that are told of a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from ..batches import shuffled_order

MAX_GATHERED_VALUES = 2**22
"""Numbers that are brought together at a time, 16 MiB: batches of many steps at once where they are small."""


@dataclass(frozen=True)
class RowPool:
    """Rows of several datasets, one behind the other, each dataset once.

    x: (n, f). told: (n, k), of classes shares. classes: (n,), their indices; None for values.
    """

    x: Tensor
    targets: Tensor
    classes: Tensor | None = None

    @classmethod
    def concatenate(cls, pools: Sequence["RowPool"]) -> "RowPool":
        """Return the rows of several pools as one."""
        if len(pools) == 1:
            return pools[0]
        x = torch.cat([part.x for part in pools])
        told = x if all(part.targets is part.x for part in pools) else torch.cat([part.targets for part in pools])
        classes = [part.classes for part in pools if part.classes is not None]
        return cls(x, told, torch.cat(classes) if classes else None)

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows and what is to be told of them, (*index, f) and (*index, k)."""
        flat = index.flatten()
        x = self.x.index_select(0, flat)
        told = x if self.targets is self.x else self.targets.index_select(0, flat)
        return x.view(*index.shape, -1), told.view(*index.shape, -1)


class RowRange(NamedTuple):
    """Where a network's rows lie in a pool: so many from `start` on."""

    start: int
    n_rows: int


class Batch(NamedTuple):
    """What the networks of a span learn in one step: x (m, b, f) and told (m, b, k), all rows real."""

    step: int
    model_slice: slice
    x: Tensor
    targets: Tensor


class BatchedLoader:
    """The batches that networks would get one by one, side by side.

    Args:
        reaches: rows of each network, those with the most rows first: so those with as many rows in a step lie
            together.
        seeds: from which follows the order of each network's rows.
    """

    def __init__(self, pool: RowPool, row_ranges: Sequence[RowRange], seeds: Sequence[int], batch_size: int) -> None:
        self.pool, self.row_ranges, self.seeds, self.batch_size = pool, row_ranges, seeds, batch_size
        self.steps_per_epoch = -(-row_ranges[0].n_rows // batch_size)
        self.slices_by_step = [list(self._model_slices(step)) for step in range(self.steps_per_epoch)]

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """Yield what is learnt in each step of an epoch, a batch for every number of rows in it."""
        index = self._row_indices(epoch)
        numbers = (self.pool.x.shape[1] + self.pool.targets.shape[1]) * index[0].numel()
        together = max(1, MAX_GATHERED_VALUES // numbers)
        for begin in range(0, self.steps_per_epoch, together):
            x, told = self.pool.gather(index[begin : begin + together])
            for step in range(begin, min(begin + together, self.steps_per_epoch)):
                for span, rows in self.slices_by_step[step]:
                    here = step - begin
                    yield Batch(step, span, x[here, span, :rows], told[here, span, :rows])

    def _model_slices(self, step: int) -> Iterator[tuple[slice, int]]:
        """Yield which networks have as many rows in a step, and how many."""
        counts = [min(self.batch_size, reach.n_rows - step * self.batch_size) for reach in self.row_ranges]
        for rows, which in groupby(range(len(counts)), counts.__getitem__):
            if rows > 0:
                found = list(which)
                yield slice(found[0], found[-1] + 1), rows

    def _row_indices(self, epoch: int) -> Tensor:
        """Return the places in the pool of the rows of each step, (steps, m, b); 0 where a network has none."""
        index = torch.zeros(len(self.row_ranges), self.steps_per_epoch * self.batch_size, dtype=torch.int64)
        orders: dict[tuple[int, int], Tensor] = {}
        for row, seed, (start, n) in zip(index, self.seeds, self.row_ranges, strict=True):
            if (seed, n) not in orders:
                orders[seed, n] = shuffled_order(n, seed, lambda: epoch)()
            torch.add(orders[seed, n], start, out=row[:n])
        steps = index.view(-1, self.steps_per_epoch, self.batch_size).transpose(0, 1)
        return steps.contiguous().to(self.pool.x.device)


class ValidationLoader:
    """Validation rows of every network, so many at a time; a network with fewer rows sees its first again."""

    def __init__(self, pool: RowPool, row_ranges: Sequence[RowRange], max_rows: int) -> None:
        self.pool = pool
        device = pool.x.device
        counts = torch.tensor([reach.n_rows for reach in row_ranges], device=device)[:, None]
        starts = torch.tensor([reach.start for reach in row_ranges], device=device)[:, None]
        place = torch.arange(int(counts.max()), device=device)
        self.mask = place < counts  # (m, n)
        self.index = torch.where(self.mask, place + starts, starts)
        width = pool.x.shape[1] + pool.targets.shape[1]
        self.batch_size = min(max_rows, max(1, MAX_GATHERED_VALUES // (width * len(row_ranges))))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Tensor]]:
        """Yield x (m, b, f), told (m, b, k), classes (m, b), and which of these rows are real, (m, b)."""
        for index, real in zip(
            *(torch.split(part, self.batch_size, 1) for part in (self.index, self.mask)), strict=True
        ):
            x, told = self.pool.gather(index)
            yield x, told, None if self.pool.classes is None else self.pool.classes[index], real
