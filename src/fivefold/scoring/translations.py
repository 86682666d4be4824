"""Images of both classes, translated, and what is seen in them.

Shapes: n images, c channels, h x w pixels.
"""

from typing import NamedTuple

import numpy as np
import torch

from ..data.dataset import Array, Records
from ..models.serialization import Saved
from .samples import Viewer, Views, in_batches

RANGE = 255
"""Of pixels."""


class Direction(NamedTuple):
    """Images of one class translated into the other one, raw.

    sources: rows of the one. rows: those of the other, and seen: what is seen in them.
    made: the sources, translated, and made_seen: what is seen in those.
    back: what is made, translated back.
    same: what the generator that translates makes of `rows`, which are of its class already.
    """

    sources: Records
    rows: Records
    seen: Views
    made: Array
    made_seen: Views
    back: Array
    same: Array

    @property
    def cycle_l1(self) -> Array:
        """Mean absolute difference of each source from what is back, (n,), the range of pixels being 1."""
        return _apart(self.back, self.sources.x)

    @property
    def identity_l1(self) -> Array:
        """The same of each of `rows` from what is made of it, (n,)."""
        return _apart(self.same, self.rows.x)


def directions(saved: Saved, records: Records, view: Viewer) -> tuple[Direction, Direction]:
    """Return the rows of the second class translated into the first, and those of the first into the second."""
    first, second = (records.take(np.flatnonzero(np.asarray(records.y) == i)) for i in range(2))
    seen = [view(rows.x) for rows in (first, second)]
    found = []
    for into, (sources, rows) in enumerate(((second, first), (first, second))):
        made, back = translated(saved, sources.x, into)
        same, _ = translated(saved, rows.x, into)
        found.append(Direction(sources, rows, seen[into], made, view(made), back, same))
    return found[0], found[1]


@torch.inference_mode()
def translated(saved: Saved, x: Array, into: int) -> tuple[Array, Array]:
    """Return what raw images x (n, c, h, w) are in the class of index `into`, and what that is in the other one, raw.

    What goes back is what the generator made, before pixels are brought within their range.
    """
    preprocess, undo = saved.model.preprocess, saved.model.output.get_submodule("undo")
    there, back = (saved.model.network.get_submodule(f"generator.into.{i}") for i in (into, 1 - into))
    found = []
    for part in in_batches(x):
        made = there(preprocess(part))
        found.append((undo(made), undo(back(made))))
    made, returned = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return made, returned


def _apart(told: Array, truth: Array) -> Array:
    return np.asarray(np.abs(told - truth.astype(np.float32)).mean(axis=(1, 2, 3)) / RANGE)
