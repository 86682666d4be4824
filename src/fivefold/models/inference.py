"""The deployed model: raw samples in, probabilities, values or generated samples out.

Shapes: b samples, t steps, f raw features, k outputs, q quantile levels.
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
    """A fitted `Pipeline` as a module: its arrays are buffers, and its steps are exported in the same graph."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.dtype = TORCH_DTYPES[pipeline.dtype]
        self.step_kinds: Sequence[StepKind] = [step.kind for step in pipeline.steps]
        self.conv_options = [  # constants in the exported graph, not tensors
            [int(step.arrays[name][0]) for name in ("stride", "padding")] if step.kind == "conv2d" else []
            for step in pipeline.steps
        ]
        for i, step in enumerate(pipeline.steps):
            for name, array in step.arrays.items():
                self.register_buffer(f"{name}_{i}", torch.from_numpy(array.copy()))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (b, ...) float32 of raw samples x; tokens unchanged."""
        return self.transform(self.fill_missing_steps(x))

    def fill_missing_steps(self, x: Tensor) -> Tensor:
        """Return raw samples (b, ...) in the pipeline's dtype, missing values between steps filled.

        Forecasts of differences are added to these values.
        """
        x = x.to(self.dtype)
        return self._apply_step(0, "forward_fill", x) if self.step_kinds[:1] == ["forward_fill"] else x

    def transform(self, x: Tensor) -> Tensor:
        """Return the features (b, ...) of samples that `fill_missing_steps` returned."""
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
                missing = torch.isnan(x.index_select(1, self._get_array("index", i)))
                return torch.cat([x, missing.to(x.dtype)], dim=1)
            case "impute":
                return torch.where(torch.isnan(x), self._get_array("fill", i), x)
            case "clip":
                return torch.minimum(torch.maximum(x, self._get_array("low", i)), self._get_array("high", i))
            case "log":
                which = self._get_array("log_columns", i) == 1
                return torch.where(which, torch.where(which, x, torch.ones_like(x)).log(), x)
            case "one_hot":
                encoded = x.index_select(1, self._get_array("column", i)) == self._get_array("code", i)
                return torch.cat([x.index_select(1, self._get_array("keep", i)), encoded.to(x.dtype)], dim=1)
            case "mask":
                missing = torch.isnan(x)
                mask = (~missing.all(dim=-1, keepdim=True)).to(x.dtype)
                return torch.cat([torch.where(missing, torch.zeros_like(x), x), mask], dim=-1)
            case "affine":
                return (x - self._get_array("shift", i)) * self._get_array("scale", i)
            case "unit_norm":
                norm = x.flatten(1).square().sum(1, keepdim=True).sqrt()
                return x / norm.clamp_min(torch.finfo(x.dtype).tiny)
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
    """Return x (b, t, f) with missing values replaced by the last known one, else the first known one, else `fill`.

    After the last step that has any value, only the columns marked in `fill_past_end` are filled.
    """
    known, length = ~torch.isnan(x), x.shape[1]
    step = torch.arange(length, device=x.device)[:, None]
    before = torch.where(known, step, -1)
    reach = 1
    while reach < length:  # a running maximum, which ONNX lacks, by doubling the window
        earlier = functional.pad(before[:, :-reach], (0, 0, reach, 0), value=-1)
        before, reach = torch.maximum(before, earlier), 2 * reach
    first = torch.where(known, step, length - 1).amin(dim=1, keepdim=True)
    values = x.gather(1, torch.where(before < 0, first, before))
    last = before[:, -1:].amax(dim=2, keepdim=True)  # (b, t, f) -> (b, 1, 1)
    return torch.where((step <= last) | (fill_past_end == 1), torch.where(torch.isnan(values), fill, values), x)


class SoftmaxHead(nn.Module):
    """Logits (b, k) -> probabilities (b, k)."""

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return the softmax of each row."""
        return functional.softmax(outputs, dim=1)


class SigmoidHead(nn.Module):
    """A logit (b, 1) -> probabilities (b, 2) of two classes."""

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return the probabilities; the sigmoid is that of the second class."""
        return torch.cat([functional.sigmoid(-outputs), functional.sigmoid(outputs)], dim=1)


class RegressionHead(nn.Module):
    """Standardized outputs (b, k * q) -> values (b, k * q) float64 in the units of the targets.

    Args:
        shift: (k,), mean of the training targets.
        scale: (k,), standard deviation of the training targets.
        n_quantiles: q, quantiles predicted for each value, which are sorted; 1 for point predictions.
        base_indices: (k,), position in the flattened raw sample of the value that each output is added to; None or
            empty if outputs are not differences.
        log_target: whether outputs are logarithms.
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
        """Return outputs * scale + shift, added to the base values in the raw samples x (b, ...)."""
        y = outputs.double().reshape(-1, len(self.shift), self.n_quantiles)  # (b, k * q) -> (b, k, q)
        if self.n_quantiles > 1:
            y = y.sort(dim=2).values
        y = y * self.scale[:, None] + self.shift[:, None]
        if len(self.base_indices):
            base = x.double().flatten(1).index_select(1, self.base_indices)[:, :, None]
            y = y + (base.log() if self.log_target else base)
        return (y.exp() if self.log_target else y).flatten(1)


class MultiTargetHead(nn.Module):
    """Outputs of several targets -> their predictions, concatenated (b, k).

    Args:
        heads: the head of each target.
        columns: the columns of each target, in outputs and predictions.
    """

    def __init__(self, heads: Sequence[nn.Module], columns: Sequence[slice]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.columns = columns
        self.use_float64 = any(isinstance(head, RegressionHead) for head in heads)

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return probabilities float32, or everything as float64 if a target is numeric."""
        predictions = [head(outputs[:, columns], x) for head, columns in zip(self.heads, self.columns, strict=True)]
        return torch.cat([p.double() for p in predictions] if self.use_float64 else predictions, dim=1)


SupervisedHead = SoftmaxHead | SigmoidHead | RegressionHead | MultiTargetHead


class InferenceModel(nn.Module):
    """Preprocessing, network and head in one module: raw samples (b, ...) -> predictions.

    Args:
        preprocess: raw samples -> features.
        network: features, or noise, -> outputs.
        head: outputs and raw samples -> probabilities, values, samples, latent codes or anomaly scores (b, ...).
        is_generator: whether the input is noise (b, l), which is not preprocessed.
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
        """Return the predictions for raw samples x (b, ...), or the samples generated from noise."""
        if self.is_generator:
            samples: Tensor = self.head(self.network(x), x)
            return samples
        x = self.preprocess.fill_missing_steps(x)
        y: Tensor = self.head(self.network(self.preprocess.transform(x)), x)
        return y
