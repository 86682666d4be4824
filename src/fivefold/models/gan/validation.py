"""Looks at what a generator makes, between epochs.

Shapes: n rows, l numbers of noise, k classes (0: none are asked for), r what a record is, d numbers seen in it.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..feature_extractor import apart, kid, spread

ROWS = 1000
"""Real rows that are looked at, at most, and records that are made."""

BATCH = 500
"""Records at a time."""


class Looks:
    """Compares what a generator makes of the same noise each time with held-out rows.

    Args:
        see: features (b, *r) -> what records are compared by, (b, d).
        real: features of held-out rows, (n, *r).
        z: noise, and classes as often as the held-out rows have them, (n, l + k).
    """

    names = ("val/energy", "val/kid", "val/diversity")

    def __init__(self, see: Callable[[Tensor], Tensor], real: Tensor, z: Tensor) -> None:
        self.see, self.z = see, z
        self.real = self._seen(real[:ROWS])
        self.apart = spread(self.real)

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Return how far made records are from real ones, and how far from each other, in what real ones are.

        `val/energy`, `val/kid` and `val/diversity`.
        """
        made = self._seen(self.z, generator)
        own, theirs = self.apart, spread(made)
        return {
            "val/energy": (2 * apart(self.real, made) - own - theirs) / own if own else 0.0,
            "val/kid": kid(self.real, made),
            "val/diversity": theirs / own if own else 1.0,
        }

    @torch.no_grad()
    def _seen(self, rows: Tensor, generator: nn.Module | None = None) -> Tensor:
        """Return what is seen, on the CPU: not every device has numbers of 64 bits."""
        parts = torch.split(rows, BATCH)
        return torch.cat([self.see(part if generator is None else generator(part)).flatten(1).cpu() for part in parts])


def noise(n: int, latent: int, classes: Tensor, generator: torch.Generator) -> Tensor:
    """Return noise for n records (n, l + k), their classes those of rows (m, k), over and over if they are few."""
    drawn = torch.randn(n, latent, generator=generator)
    return torch.cat([drawn, classes.cpu()[torch.arange(n) % max(1, len(classes))]], dim=1)
