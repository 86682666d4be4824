"""The inverse of a fitted preprocessing: features back to raw units.

Shapes: b samples, r the shape of reconstructed features: those of the pipeline without a mask.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ParamsError
from ..preprocessing.pipeline import Pipeline, StepKind

NON_INVERTIBLE = {"unit_norm": "normalize: l2", "take": "select", "project": "select"}
"""Steps without an inverse, and the key of params.yaml that adds them."""


class InversePreprocess(nn.Module):
    """Features (b, *r) -> raw samples (b, ...): images as float32 clamped to [0, 255], all else as float64.

    Values that were missing are returned as the network predicts them. A category is decoded as the index of its
    largest one-hot column.

    Raises:
        ParamsError: a step of the pipeline has no inverse.
    """

    def __init__(self, pipeline: Pipeline, *, is_image: bool) -> None:
        super().__init__()
        for step in pipeline.steps:
            if step.kind in NON_INVERTIBLE:
                raise ParamsError(
                    f"preprocessing must be invertible to output raw units, but {NON_INVERTIBLE[step.kind]} is not;"
                    " choose normalize standard or minmax, and select {method: none}"
                )
        self.step_kinds: Sequence[StepKind] = [step.kind for step in pipeline.steps]
        self.is_image = is_image
        for i, step in enumerate(pipeline.steps):
            for name, array in step.arrays.items():
                self.register_buffer(f"{name}_{i}", torch.from_numpy(array.copy()), persistent=False)
            if step.kind == "one_hot":
                self.one_hot_sizes = np.unique(step.arrays["column"], return_counts=True)[1].tolist()
                order = np.argsort(np.r_[step.arrays["keep"], np.unique(step.arrays["column"])])
                self.register_buffer(f"order_{i}", torch.from_numpy(order), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the raw samples."""
        x = features if self.is_image else features.double()
        for i in reversed(range(len(self.step_kinds))):
            match self.step_kinds[i]:
                case "affine":
                    x = x / self._get_array("scale", i) + self._get_array("shift", i)
                case "log":
                    which = self._get_array("log_columns", i) == 1
                    x = torch.where(which, torch.where(which, x, torch.zeros_like(x)).exp(), x)
                case "one_hot":
                    x = self._decode_one_hot(x, i)
                case "missing_indicator":
                    x = x[:, : x.shape[1] - len(self._get_array("index", i))]
        return x.clamp(0, 255) if self.is_image else x

    def feature_units(self) -> Tensor:
        """Return the size in raw units of one unit of each reconstructed feature, or a single value for all of them."""
        units = [1 / self._get_array("scale", i) for i, kind in enumerate(self.step_kinds) if kind == "affine"]
        n_indicators = [
            len(self._get_array("index", i)) for i, kind in enumerate(self.step_kinds) if kind == "missing_indicator"
        ]
        unit = units[0] if units else torch.ones(1)
        return unit[: len(unit) - n_indicators[0]] if n_indicators and units else unit

    def _decode_one_hot(self, x: Tensor, i: int) -> Tensor:
        """Return x with each block of one-hot columns replaced by a column of category codes, in the original order."""
        code = self._get_array("code", i)
        sizes = self.one_hot_sizes
        numbers, *blocks = torch.split(x, [x.shape[1] - sum(sizes), *sizes], dim=1)
        codes = [
            block_codes[block.argmax(1)][:, None]
            for block, block_codes in zip(blocks, torch.split(code, sizes), strict=True)
        ]
        return torch.cat([numbers, *codes], dim=1).index_select(1, self._get_array("order", i))

    def _get_array(self, name: str, i: int) -> Tensor:
        return cast(Tensor, getattr(self, f"{name}_{i}"))


class SampleHead(nn.Module):
    """Features generated from noise -> raw samples (b, ...)."""

    def __init__(self, pipeline: Pipeline, *, is_image: bool) -> None:
        super().__init__()
        self.inverse = InversePreprocess(pipeline, is_image=is_image)

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return the raw samples."""
        samples: Tensor = self.inverse(outputs)
        return samples
