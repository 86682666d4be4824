"""Load batches by indexing tensors on the device, without DataLoader, workers or per-sample calls."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def derive_seed(seed: int, epoch: int) -> int:
    """Return a 63-bit seed for one epoch; different pairs of small seeds and epochs give different seeds."""
    value = (seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    value ^= value >> 31
    return (value * 0x94D049BB133111EB & (2**64 - 1)) >> 1


OrderFn = Callable[[], Tensor]
"""Return the row indices of the next epoch in their order, (n,); (n, 2) if x and y are indexed independently."""


class TensorBatchLoader:
    """Iterable over one item per epoch, its (x, y) batches: Lightning's loop takes longer than a small network's step.

    Args:
        x, y: (n, ...), on the same device; the same tensor where rows are reconstructed. Their numbers of rows may
            differ if `order` indexes them independently.
        batch_size: rows per batch; the last batch of an epoch may be smaller.
        order: returns the rows of an epoch in their order; None: all rows in stored order.
        n_samples: number of rows per epoch; 0: all rows of x.
        rank, world_size: of each batch this process gets the rows rank, rank + world_size, ...; of a small batch these
            may be none.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        batch_size: int,
        *,
        order: OrderFn | None = None,
        n_samples: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.x, self.y = x, y
        self.batch_size = batch_size
        self.order = order
        self.n_samples = n_samples or len(x)
        self.rank, self.world_size = rank, world_size

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches per epoch."""
        return -(-self.n_samples // self.batch_size)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator["EpochBatches"]:
        yield EpochBatches(self)


class EpochBatches:
    """The batches (x, y, n) of one epoch, n being the number of rows of the batch over all devices."""

    def __init__(self, loader: TensorBatchLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        loader = self.loader
        own = slice(loader.rank, None, loader.world_size)
        if loader.order is None:
            batches = zip(*(torch.split(t, loader.batch_size) for t in (loader.x, loader.y)), strict=True)
            for x, y in batches:
                yield x[own], y[own], len(x)
            return
        for index in torch.split(loader.order().to(loader.x.device), loader.batch_size):
            own_index = index[own]
            x_index, y_index = own_index.unbind(1) if own_index.ndim == 2 else (own_index, own_index)
            x = loader.x[x_index]
            yield x, x if loader.y is loader.x else loader.y[y_index], len(index)


def shuffled_order(n: int, seed: int, current_epoch: Callable[[], int]) -> OrderFn:
    """Return a random order of all n rows that depends only on the seed and the epoch."""
    return lambda: torch.randperm(n, generator=_epoch_generator(seed, current_epoch()))


def unpaired_order(n: int, m: int, seed: int, current_epoch: Callable[[], int]) -> OrderFn:
    """Return a random order of pairs of n rows and m others, (max(n, m), 2); the smaller set is repeated."""

    def order() -> Tensor:
        generator, n_pairs = _epoch_generator(seed, current_epoch()), max(n, m)
        columns = [
            torch.cat([torch.randperm(rows, generator=generator) for _ in range(-(-n_pairs // rows))])[:n_pairs]
            for rows in (n, m)
        ]
        return torch.stack(columns, dim=1)

    return order


def weighted_order(weights: Tensor, seed: int, current_epoch: Callable[[], int]) -> OrderFn:
    """Return an order that draws n rows with replacement, with probabilities proportional to weights (n,)."""
    cumulative = weights.double().cumsum(0)

    def order() -> Tensor:  # inverts the cumulative weights, because torch.multinomial is limited to 2^24 rows
        generator = _epoch_generator(seed, current_epoch())
        draws = torch.rand(len(cumulative), generator=generator, dtype=torch.float64) * cumulative[-1]
        return torch.searchsorted(cumulative, draws).clamp_max(len(cumulative) - 1)

    return order


def strided_windows(n: int, stride: int, seed: int, current_epoch: Callable[[], int]) -> OrderFn:
    """Return a random order of every stride-th of n windows, (n // stride,), with a random offset in each epoch."""

    def order() -> Tensor:
        generator = _epoch_generator(seed, current_epoch())
        offset = int(torch.randint(stride, (1,), generator=generator))
        return (torch.randperm(n // stride, generator=generator) * stride + offset).clamp_max(n - 1)

    return order


def _epoch_generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, epoch))
