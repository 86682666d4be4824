"""The whole model as it is scored and shipped: raw units in, probabilities or values out.

Shapes: b rows, f raw features, k outputs.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data.dataset import Array
from ..preprocessing.pipeline import Pipeline, StepKind
from .layers import ACTIVATIONS

TORCH_DTYPES = {"float64": torch.float64, "float32": torch.float32, "int32": torch.int32}


class Preprocess(nn.Module):
    """A fitted `Chain` as a module: the same steps, its arrays as buffers, exported in the same graph."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.dtype = TORCH_DTYPES[pipeline.dtype]
        self.step_kinds: Sequence[StepKind] = [step.kind for step in pipeline.steps]
        self.conv_options = [  # numbers of a graph, and no tensors in it
            [int(step.arrays[name][0]) for name in ("stride", "padding")] if step.kind == "conv2d" else []
            for step in pipeline.steps
        ]
        for i, step in enumerate(pipeline.steps):
            for name, array in step.arrays.items():
                self.register_buffer(f"{name}_{i}", torch.from_numpy(array.copy()))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (b, ...) float32 of raw records x; tokens as they are."""
        return self.transform(self.fill_missing_steps(x))

    def fill_missing_steps(self, x: Tensor) -> Tensor:
        """Return raw records (b, ...) in the chain's type, gaps within steps filled in: forecasts are added to them."""
        x = x.to(self.dtype)
        return self._apply_step(0, "forward_fill", x) if self.step_kinds[:1] == ["forward_fill"] else x

    def transform(self, x: Tensor) -> Tensor:
        """Return the features (b, ...) of what `filled` gave."""
        if self.dtype == torch.int32:
            return x
        for i, kind in enumerate(self.step_kinds):
            if kind != "forward_fill":
                x = self._apply_step(i, kind, x)
        return x.to(torch.float32)

    def _apply_step(self, i: int, kind: StepKind, x: Tensor) -> Tensor:
        match kind:
            case "forward_fill":
                return _forward_fill(x, self._get_array("fill", i), self._get_array("fill_past_end", i))
            case "missing_indicator":
                gaps = torch.isnan(x.index_select(1, self._get_array("index", i)))
                return torch.cat([x, gaps.to(x.dtype)], dim=1)
            case "impute":
                return torch.where(torch.isnan(x), self._get_array("fill", i), x)
            case "clip":
                return torch.minimum(torch.maximum(x, self._get_array("low", i)), self._get_array("high", i))
            case "log":
                which = self._get_array("log_columns", i) == 1
                return torch.where(which, torch.where(which, x, torch.ones_like(x)).log(), x)
            case "one_hot":
                shown = x.index_select(1, self._get_array("column", i)) == self._get_array("code", i)
                return torch.cat([x.index_select(1, self._get_array("keep", i)), shown.to(x.dtype)], dim=1)
            case "mask":
                gaps = torch.isnan(x)
                real = (~gaps.all(dim=-1, keepdim=True)).to(x.dtype)
                return torch.cat([torch.where(gaps, torch.zeros_like(x), x), real], dim=-1)
            case "affine":
                return (x - self._get_array("shift", i)) * self._get_array("scale", i)
            case "unit_norm":
                length = x.flatten(1).square().sum(1, keepdim=True).sqrt()
                return x / length.clamp_min(torch.finfo(x.dtype).tiny)
            case "take":
                return x.flatten(1).index_select(1, self._get_array("index", i))
            case "project":
                return (x.flatten(1) - self._get_array("shift", i)) @ self._get_array("matrix", i)
            case "dense":
                return functional.linear(x.flatten(1), self._get_array("weight", i), self._get_array("bias", i))
            case "conv2d":
                return functional.conv2d(
                    x, self._get_array("weight", i), self._get_array("bias", i), *self.conv_options[i]
                )
            case activation:
                return cast(Tensor, ACTIVATIONS[activation]()(x))

    def _get_array(self, name: str, i: int) -> Tensor:
        return cast(Tensor, getattr(self, f"{name}_{i}"))


def _forward_fill(x: Tensor, fill: Tensor, fill_past_end: Tensor) -> Tensor:
    known, length = ~torch.isnan(x), x.shape[1]
    step = torch.arange(length, device=x.device)[:, None]
    before = torch.where(known, step, -1)
    reach = 1
    while reach < length:  # ONNX has no running maximum: this one doubles its reach
        earlier = functional.pad(before[:, :-reach], (0, 0, reach, 0), value=-1)
        before, reach = torch.maximum(before, earlier), 2 * reach
    first = torch.where(known, step, length - 1).amin(dim=1, keepdim=True)
    values = x.gather(1, torch.where(before < 0, first, before))
    last = before[:, -1:].amax(dim=2, keepdim=True)  # (b, t, f) -> (b, 1, 1)
    return torch.where((step <= last) | (fill_past_end == 1), torch.where(torch.isnan(values), fill, values), x)


class SoftmaxHead(nn.Module):
    """Outputs (b, k) -> probabilities (b, k)."""

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return the softmax of each row."""
        return functional.softmax(outputs, dim=1)


class SigmoidHead(nn.Module):
    """One output (b, 1) -> probabilities (b, 2) of two classes."""

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return the sigmoid of each row as the second class's probability."""
        return torch.cat([functional.sigmoid(-outputs), functional.sigmoid(outputs)], dim=1)


class RegressionHead(nn.Module):
    """Outputs (b, k * q) in the scale of training -> values (b, k * q) float64 in the targets' units.

    Args:
        shift, scale: (k,), mean and deviation of what was learnt.
        levels: q, quantiles told of each value, which are put in order; 1 for none.
        base: (k,), which of a raw record's numbers each output is added to; None or empty for none.
        log: whether outputs tell logarithms.
    """

    shift: Tensor
    scale: Tensor
    base_indices: Tensor

    def __init__(
        self,
        shift: Array,
        scale: Array,
        n_quantiles: int = 1,
        base_indices: Array | None = None,
        log_target: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("shift", torch.from_numpy(shift.astype("float64")))
        self.register_buffer("scale", torch.from_numpy(scale.astype("float64")))
        self.register_buffer(
            "base_indices", torch.from_numpy(np.arange(0) if base_indices is None else base_indices), persistent=False
        )
        self.n_quantiles = n_quantiles
        self.log_target = log_target

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return outputs * scale + shift, added to what stands in the raw records x (b, ...)."""
        y = outputs.double().reshape(-1, len(self.shift), self.n_quantiles)  # (b, k * q) -> (b, k, q)
        if self.n_quantiles > 1:
            y = y.sort(dim=2).values
        y = y * self.scale[:, None] + self.shift[:, None]
        if len(self.base_indices):
            last = x.double().flatten(1).index_select(1, self.base_indices)[:, :, None]
            y = y + (last.log() if self.log_target else last)
        return (y.exp() if self.log_target else y).flatten(1)


class MultiTargetHead(nn.Module):
    """Outputs of several targets -> the predictions of each, side by side (b, k).

    Args:
        parts: the last part of a model that tells each target alone.
        columns: of outputs and predictions, those of each target.
    """

    def __init__(self, heads: Sequence[nn.Module], columns: Sequence[slice]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.columns = columns
        self.use_float64 = any(isinstance(part, RegressionHead) for part in heads)

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return probabilities float32, or float64 if there is any value among them."""
        told = [part(outputs[:, columns], x) for part, columns in zip(self.heads, self.columns, strict=True)]
        return torch.cat([part.double() for part in told] if self.use_float64 else told, dim=1)


SupervisedHead = SoftmaxHead | SigmoidHead | RegressionHead | MultiTargetHead


class InferenceModel(nn.Module):
    """Preprocessing, network and output in one: raw records (b, ...) -> what a user is told of each.

    Args:
        output: what the network gives, and the raw records -> probabilities or values (b, k), records, codes or errors.
        from_noise: whether the network makes records of noise (b, l), which needs no preprocessing.
    """

    def __init__(
        self, preprocess: Preprocess, network: nn.Module, head: nn.Module, *, is_generator: bool = False
    ) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.network = network
        self.head = head
        self.is_generator = is_generator

    def forward(self, x: Tensor) -> Tensor:
        """Return what is told of raw records x (b, ...), or made of noise."""
        if self.is_generator:
            made: Tensor = self.head(self.network(x), x)
            return made
        x = self.preprocess.fill_missing_steps(x)
        y: Tensor = self.head(self.network(self.preprocess.transform(x)), x)
        return y
