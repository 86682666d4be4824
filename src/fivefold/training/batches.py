"""Batches by indexing tensors that already lie on the device; no DataLoader, no workers, no per-sample calls.

Seeds that follow from others.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def derive_seed(seed: int, epoch: int) -> int:
    """Return a seed of 63 bits for one epoch; neighbouring seeds and epochs do not share any."""
    value = (seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    value ^= value >> 31
    return (value * 0x94D049BB133111EB & (2**64 - 1)) >> 1


OrderFn = Callable[[], Tensor]
"""Gives the rows of the epoch that starts, in their order (n,); (n, 2) where those of x and of y are not the same."""


class TensorBatchLoader:
    """Epochs of (x, y) batches of resident tensors, each handed to Lightning as one: its loop costs more than a step.

    Args:
        x, y: (n, ...), on the same device; one tensor where rows are told by themselves; of as many rows, unless
            `order` says which of each.
        batch_size: rows a batch; the last batch of an epoch is smaller if their number is no multiple of it.
        order: which rows an epoch has, and in which order; None: all, as they lie.
        n: how many rows an epoch has.
        part, parts: of each batch the rows part, part + parts, ...: what one of several devices sees. Of a small batch
            that may be none.
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
        """Batches of an epoch."""
        return -(-self.n_samples // self.batch_size)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator["EpochBatches"]:
        yield EpochBatches(self)


class EpochBatches:
    """The batches of one epoch, each with the number of its rows over all devices."""

    def __init__(self, loader: TensorBatchLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        of = self.loader
        if of.order is None:
            for x, y in zip(torch.split(of.x, of.batch_size), torch.split(of.y, of.batch_size), strict=True):
                yield x[of.rank :: of.world_size], y[of.rank :: of.world_size], len(x)
            return
        for index in torch.split(of.order().to(of.x.device), of.batch_size):
            own = index[of.rank :: of.world_size]
            rows, targets = own.unbind(1) if own.ndim == 2 else (own, own)
            x = of.x[rows]
            yield x, x if of.y is of.x else of.y[targets], len(index)


def shuffled_order(n: int, seed: int, current_epoch: Callable[[], int]) -> OrderFn:
    """Return an order of all n rows that depends on the seed and the number of the epoch alone."""
    return lambda: torch.randperm(n, generator=_epoch_generator(seed, current_epoch()))


def unpaired_order(n: int, m: int, seed: int, current_epoch: Callable[[], int]) -> OrderFn:
    """Return an order of n rows and m others, each by chance, the fewer ones over again until all have come."""

    def order() -> Tensor:
        chance, most = _epoch_generator(seed, current_epoch()), max(n, m)
        columns = [
            torch.cat([torch.randperm(rows, generator=chance) for _ in range(-(-most // rows))])[:most]
            for rows in (n, m)
        ]
        return torch.stack(columns, dim=1)

    return order


def weighted_order(weights: Tensor, seed: int, current_epoch: Callable[[], int]) -> OrderFn:
    """Return an order in which row i comes as often as weights (n,) say, with replacement."""
    edges = weights.double().cumsum(0)

    def order() -> Tensor:  # by the cumulated weights: torch.multinomial takes 2^24 rows at most
        draws = (
            torch.rand(len(edges), generator=_epoch_generator(seed, current_epoch()), dtype=torch.float64) * edges[-1]
        )
        return torch.searchsorted(edges, draws).clamp_max(len(edges) - 1)

    return order


def strided_windows(n: int, stride: int, seed: int, current_epoch: Callable[[], int]) -> OrderFn:
    """Return an order of every stride-th of n windows, n // stride of them, from another start each epoch."""

    def order() -> Tensor:
        chance = _epoch_generator(seed, current_epoch())
        start = int(torch.randint(stride, (1,), generator=chance))
        return (torch.randperm(n // stride, generator=chance) * stride + start).clamp_max(n - 1)

    return order


def _epoch_generator(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, epoch))
