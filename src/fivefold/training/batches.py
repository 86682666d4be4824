"""Batches by indexing tensors that already lie on the device; no DataLoader, no workers, no per-sample calls.

Seeds that follow from others.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def mix(seed: int, epoch: int) -> int:
    """Return a seed of 63 bits for one epoch; neighbouring seeds and epochs do not share any."""
    value = (seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    value ^= value >> 31
    return (value * 0x94D049BB133111EB & (2**64 - 1)) >> 1


Order = Callable[[], Tensor]
"""Gives the rows of the epoch that starts, in their order (n,); (n, 2) where those of x and of y are not the same."""


class Batches:
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
        order: Order | None = None,
        n: int = 0,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self.x, self.y = x, y
        self.batch_size = batch_size
        self.order = order
        self.n = n or len(x)
        self.part, self.parts = part, parts

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-self.n // self.batch_size)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator["Epoch"]:
        yield Epoch(self)


class Epoch:
    """The batches of one epoch, each with the number of its rows over all devices."""

    def __init__(self, batches: Batches) -> None:
        self.of = batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        of = self.of
        if of.order is None:
            for x, y in zip(torch.split(of.x, of.batch_size), torch.split(of.y, of.batch_size), strict=True):
                yield x[of.part :: of.parts], y[of.part :: of.parts], len(x)
            return
        for index in torch.split(of.order().to(of.x.device), of.batch_size):
            own = index[of.part :: of.parts]
            rows, targets = own.unbind(1) if own.ndim == 2 else (own, own)
            x = of.x[rows]
            yield x, x if of.y is of.x else of.y[targets], len(index)


def shuffled(n: int, seed: int, epoch: Callable[[], int]) -> Order:
    """Return an order of all n rows that depends on the seed and the number of the epoch alone."""
    return lambda: torch.randperm(n, generator=_chance(seed, epoch()))


def unpaired(n: int, m: int, seed: int, epoch: Callable[[], int]) -> Order:
    """Return an order of n rows and m others, each by chance, the fewer ones over again until all have come."""

    def order() -> Tensor:
        chance, most = _chance(seed, epoch()), max(n, m)
        columns = [
            torch.cat([torch.randperm(rows, generator=chance) for _ in range(-(-most // rows))])[:most]
            for rows in (n, m)
        ]
        return torch.stack(columns, dim=1)

    return order


def drawn(weights: Tensor, seed: int, epoch: Callable[[], int]) -> Order:
    """Return an order in which row i comes as often as weights (n,) say, with replacement."""
    edges = weights.double().cumsum(0)

    def order() -> Tensor:  # by the cumulated weights: torch.multinomial takes 2^24 rows at most
        draws = torch.rand(len(edges), generator=_chance(seed, epoch()), dtype=torch.float64) * edges[-1]
        return torch.searchsorted(edges, draws).clamp_max(len(edges) - 1)

    return order


def strided(n: int, stride: int, seed: int, epoch: Callable[[], int]) -> Order:
    """Return an order of every stride-th of n windows, n // stride of them, from another start each epoch."""

    def order() -> Tensor:
        chance = _chance(seed, epoch())
        start = int(torch.randint(stride, (1,), generator=chance))
        return (torch.randperm(n // stride, generator=chance) * stride + start).clamp_max(n - 1)

    return order


def _chance(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(mix(seed, epoch))
