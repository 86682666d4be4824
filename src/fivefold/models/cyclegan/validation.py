"""Looks at translated images, between epochs.

Shapes: n images, c channels, y x x pixels, d numbers seen in an image.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..feature_extractor import kid, spread

ROWS = 1000
"""Held-out rows of each class that are looked at, at most."""

BATCH = 500
"""Images at a time."""

See = Callable[[Tensor], Tensor]


class Looks:
    """Translates held-out rows of each class and compares them with those of the other.

    Args:
        see: features (b, c, y, x) -> what images are compared by, (b, d).
        raw: features -> raw images, pixels being from 0 to 255.
        held_out: features of held-out rows of the first class and of the second, (n, c, y, x).
    """

    names = ("val/translation", "val/kid", "val/cycle_l1", "val/diversity")

    def __init__(self, see: See, raw: See, held_out: tuple[Tensor, Tensor]) -> None:
        self.see, self.raw = see, raw
        self.rows = [rows[:ROWS] for rows in held_out]
        self.real = [self._seen(rows) for rows in self.rows]
        self.before = kid(*self.real)

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Return means of both directions, and of them `val/translation`, by which an epoch is kept.

        kid: distance from the other class, in that of the two classes; 0 if translated images are like real ones.
        cycle_l1: of an image from its translation's translation back, the range of pixels being 1.
        diversity: mean distance of translated images in that of real ones, the lower of both directions.
        translation: kid and cycle_l1, added up.
        """
        found = [self._into(i, generator.get_submodule("into")) for i in range(2)]
        distance, cycle, diversity = zip(*found, strict=True)
        mean_kid, mean_cycle = sum(distance) / 2, sum(cycle) / 2
        return dict(zip(self.names, (mean_kid + mean_cycle, mean_kid, mean_cycle, min(diversity)), strict=True))

    def _into(self, i: int, generators: nn.Module) -> tuple[float, float, float]:
        into, back = (generators.get_submodule(str(which)) for which in (i, 1 - i))
        rows, real = self.rows[1 - i], self.real[i]
        made = _each(into, rows)
        seen, apart = self._seen(made), spread(real)
        lost = _each(lambda x: self.raw(back(x)), made) - _each(self.raw, rows)
        return (
            kid(real, seen) / (self.before if self.before > 0 else 1.0),
            float(lost.abs().mean()) / 255,
            spread(seen) / apart if apart else 1.0,
        )

    def _seen(self, rows: Tensor) -> Tensor:
        """Return what is seen, (n, d), on the CPU: not every device has numbers of 64 bits."""
        return _each(self.see, rows).flatten(1).cpu()


@torch.no_grad()
def _each(work: See, rows: Tensor) -> Tensor:
    """Return what is made of rows, so many at a time."""
    return torch.cat([work(part) for part in torch.split(rows, BATCH)])
