"""From features back to raw units: a fitted preprocessing run backwards.

Shapes: b rows, f raw features, r features as a network tells them: those of the chain without a mask.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ParamsError
from ..preprocessing.pipeline import Chain, Kind

LOST = {"unit_norm": "normalize: l2", "take": "select", "project": "select"}
"""Steps that cannot be run backwards, and the key of params.yaml that asks for them."""


class Undo(nn.Module):
    """Features (b, *r) -> raw records (b, ...): float32 images within 0 to 255, else float64.

    What was a gap comes back as what is told of it. A category is the likeliest one, by its index.
    """

    def __init__(self, chain: Chain, *, images: bool) -> None:
        super().__init__()
        for step in chain.steps:
            if step.kind in LOST:
                raise ParamsError(
                    f"records must be told in their own units, but {LOST[step.kind]} cannot be undone; choose normalize"
                    " standard or minmax, and select {method: none}"
                )
        self.kinds: Sequence[Kind] = [step.kind for step in chain.steps]
        self.images = images
        for i, step in enumerate(chain.steps):
            for name, array in step.arrays.items():
                self.register_buffer(f"{name}_{i}", torch.from_numpy(array.copy()), persistent=False)
            if step.kind == "one_hot":
                self.sizes = np.unique(step.arrays["column"], return_counts=True)[1].tolist()
                order = np.argsort(np.r_[step.arrays["keep"], np.unique(step.arrays["column"])])
                self.register_buffer(f"order_{i}", torch.from_numpy(order), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return raw records."""
        x = features if self.images else features.double()
        for i in reversed(range(len(self.kinds))):
            match self.kinds[i]:
                case "affine":
                    x = x / self._array("scale", i) + self._array("shift", i)
                case "log":
                    which = self._array("which", i) == 1
                    x = torch.where(which, torch.where(which, x, torch.zeros_like(x)).exp(), x)
                case "one_hot":
                    x = self._categories(x, i)
                case "indicate":
                    x = x[:, : x.shape[1] - len(self._array("index", i))]
        return x.clamp(0, 255) if self.images else x

    def unit(self) -> Tensor:
        """Return what a feature's unit is in raw units, a number for each that is told or one for all."""
        units = [1 / self._array("scale", i) for i, kind in enumerate(self.kinds) if kind == "affine"]
        gaps = [len(self._array("index", i)) for i, kind in enumerate(self.kinds) if kind == "indicate"]
        unit = units[0] if units else torch.ones(1)
        return unit[: len(unit) - gaps[0]] if gaps and units else unit

    def _categories(self, x: Tensor, i: int) -> Tensor:
        """Return a column of codes in the place of each block of shares."""
        code = self._array("code", i)
        sizes = self.sizes
        numbers, *blocks = torch.split(x, [x.shape[1] - sum(sizes), *sizes], dim=1)
        codes = [part[block.argmax(1)][:, None] for block, part in zip(blocks, torch.split(code, sizes), strict=True)]
        return torch.cat([numbers, *codes], dim=1).index_select(1, self._array("order", i))

    def _array(self, name: str, i: int) -> Tensor:
        return cast(Tensor, getattr(self, f"{name}_{i}"))


class Sample(nn.Module):
    """Features told from noise -> raw records (b, ...)."""

    def __init__(self, chain: Chain, *, images: bool) -> None:
        super().__init__()
        self.undo = Undo(chain, images=images)

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return raw records."""
        told: Tensor = self.undo(outputs)
        return told
