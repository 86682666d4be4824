"""The rows of all networks of a stack, and the batches of an epoch for all of them.

Shapes: m networks, n rows, f features, b rows of a batch, k values of a target.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from ..batches import shuffled_order

MAX_GATHERED_VALUES = 2**22
"""Maximum number of values that are gathered in one operation (16 MiB), which may cover several small batches."""


@dataclass(frozen=True)
class RowPool:
    """Concatenated rows of several datasets, each dataset once.

    x: (n, f). targets: (n, k); of classes soft labels. classes: (n,), class indices; None for values.
    """

    x: Tensor
    targets: Tensor
    classes: Tensor | None = None

    @classmethod
    def concatenate(cls, pools: Sequence["RowPool"]) -> "RowPool":
        """Return the rows of several pools as one."""
        if len(pools) == 1:
            return pools[0]
        x = torch.cat([pool.x for pool in pools])
        targets = x if all(pool.targets is pool.x for pool in pools) else torch.cat([pool.targets for pool in pools])
        classes = [pool.classes for pool in pools if pool.classes is not None]
        return cls(x, targets, torch.cat(classes) if classes else None)

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows at `index` and their targets, (*index.shape, f) and (*index.shape, k)."""
        flat = index.flatten()
        x = self.x.index_select(0, flat)
        targets = x if self.targets is self.x else self.targets.index_select(0, flat)
        return x.view(*index.shape, -1), targets.view(*index.shape, -1)


class RowRange(NamedTuple):
    """The rows of a network in a pool: `n_rows` rows from index `start`."""

    start: int
    n_rows: int


class Batch(NamedTuple):
    """Batch of one step for the networks of a slice: x (m, b, f) and targets (m, b, k), without padding."""

    step: int
    model_slice: slice
    x: Tensor
    targets: Tensor


class BatchedLoader:
    """The batches that each network would get if it were trained alone, stacked.

    Args:
        row_ranges: rows of each network, sorted by decreasing number of rows, so that networks with the same number of
            rows in a step are adjacent.
        seeds: seed of the row order of each network.
    """

    def __init__(self, pool: RowPool, row_ranges: Sequence[RowRange], seeds: Sequence[int], batch_size: int) -> None:
        self.pool, self.row_ranges, self.seeds, self.batch_size = pool, row_ranges, seeds, batch_size
        self.steps_per_epoch = -(-row_ranges[0].n_rows // batch_size)
        self.slices_by_step = [list(self._model_slices(step)) for step in range(self.steps_per_epoch)]

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of each step of an epoch, one for each distinct number of rows."""
        index = self._row_indices(epoch)
        values_per_step = (self.pool.x.shape[1] + self.pool.targets.shape[1]) * index[0].numel()
        n_steps = max(1, MAX_GATHERED_VALUES // values_per_step)
        for begin in range(0, self.steps_per_epoch, n_steps):
            x, targets = self.pool.gather(index[begin : begin + n_steps])
            for step in range(begin, min(begin + n_steps, self.steps_per_epoch)):
                for model_slice, n_rows in self.slices_by_step[step]:
                    i = step - begin
                    yield Batch(step, model_slice, x[i, model_slice, :n_rows], targets[i, model_slice, :n_rows])

    def _model_slices(self, step: int) -> Iterator[tuple[slice, int]]:
        """Yield slices of networks with the same number of rows in a step, and this number."""
        counts = [min(self.batch_size, rows.n_rows - step * self.batch_size) for rows in self.row_ranges]
        for n_rows, group in groupby(range(len(counts)), counts.__getitem__):
            if n_rows > 0:
                indices = list(group)
                yield slice(indices[0], indices[-1] + 1), n_rows

    def _row_indices(self, epoch: int) -> Tensor:
        """Return the pool index of each row of each step, (steps, m, b); 0 where a network has no row."""
        index = torch.zeros(len(self.row_ranges), self.steps_per_epoch * self.batch_size, dtype=torch.int64)
        orders: dict[tuple[int, int], Tensor] = {}
        for row, seed, (start, n) in zip(index, self.seeds, self.row_ranges, strict=True):
            if (seed, n) not in orders:
                orders[seed, n] = shuffled_order(n, seed, lambda: epoch)()
            torch.add(orders[seed, n], start, out=row[:n])
        steps = index.view(-1, self.steps_per_epoch, self.batch_size).transpose(0, 1)
        return steps.contiguous().to(self.pool.x.device)


class ValidationLoader:
    """Validation rows of all networks in batches; shorter ranges are padded with their first row."""

    def __init__(self, pool: RowPool, row_ranges: Sequence[RowRange], max_rows: int) -> None:
        self.pool = pool
        device = pool.x.device
        counts = torch.tensor([rows.n_rows for rows in row_ranges], device=device)[:, None]
        starts = torch.tensor([rows.start for rows in row_ranges], device=device)[:, None]
        offset = torch.arange(int(counts.max()), device=device)
        self.mask = offset < counts  # (m, n)
        self.index = torch.where(self.mask, offset + starts, starts)
        width = pool.x.shape[1] + pool.targets.shape[1]
        self.batch_size = min(max_rows, max(1, MAX_GATHERED_VALUES // (width * len(row_ranges))))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Tensor]]:
        """Yield x (m, b, f), targets (m, b, k), classes (m, b) or None, and a mask (m, b), False for padding."""
        index_and_mask = (torch.split(tensor, self.batch_size, 1) for tensor in (self.index, self.mask))
        for index, mask in zip(*index_and_mask, strict=True):
            x, targets = self.pool.gather(index)
            yield x, targets, None if self.pool.classes is None else self.pool.classes[index], mask
