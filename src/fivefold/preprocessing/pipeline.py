"""Fitted preprocessing as a sequence of steps, in NumPy; models/inference.py has the same steps in PyTorch.

Shapes: n rows, f features, k selected features or components.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.special import erf, expit

from ..config.base import Activation
from ..data.dataset import Array
from ..errors import ArtifactError

ACTIVATIONS: dict[Activation, Callable[[Array], Array]] = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2).astype(x.dtype))) / 2,
    "silu": lambda x: x * expit(x),
}
"""Activations of an encoder, as defined in PyTorch."""

StepKind = Literal[
    "forward_fill",
    "missing_indicator",
    "impute",
    "clip",
    "log",
    "affine",
    "one_hot",
    "unit_norm",
    "mask",
    "take",
    "project",
    "dense",
    "conv2d",
    Activation,
]

CONV_BATCH_ROWS = 1_000
"""Rows per batch of convolutions: each row expands to many feature maps."""


@dataclass(frozen=True)
class Step:
    """One step and its fitted arrays.

    forward_fill: fill (f,), fill_past_end (1,)   (n, t, f): a missing value becomes the previous one, else the next
                                                  one, else fill; after the last observed step only if fill_past_end
                                                  is 1, not 0
    missing_indicator: index (g,)                 append g columns: 1 where the column at index is missing, else 0
    impute: fill (f,)                             replace missing values by fill
    clip: low, high (f,)                          limit values to low and high
    log: log_columns (f,)                         logarithm of the columns where log_columns is 1, not 0
    affine: shift, scale (f,) or (c, 1, 1)        (x - shift) * scale
    one_hot: keep (m,), column, code (q,)         the columns at keep, then q columns: 1 where column equals code
    unit_norm                                     scale each row to Euclidean length 1
    mask                                          (n, t, f) -> (n, t, f + 1): append 1 for a step, 0 for padding;
                                                  missing values become 0
    take: index (k,)                              flatten, select columns
    project: shift (f,), matrix (f, k)            flatten, (x - shift) @ matrix
    dense: weight (k, f), bias (k,)               flatten, x @ weight.T + bias
    conv2d: weight (k, c, h, w), bias (k,), stride, padding (1,)   (n, c, y, x) -> (n, k, y', x')
    relu, sigmoid, ...                            elementwise activation
    """

    kind: StepKind
    arrays: Mapping[str, Array]

    def __call__(self, x: Array) -> Array:
        """Apply the step to x (n, ...)."""
        arrays = self.arrays
        match self.kind:
            case "forward_fill":
                return _forward_fill(x, arrays["fill"], arrays["fill_past_end"])
            case "missing_indicator":
                return np.concatenate([x, np.isnan(x[:, arrays["index"]])], axis=1, dtype=x.dtype)
            case "impute":
                return np.where(np.isnan(x), arrays["fill"], x)
            case "clip":
                return np.clip(x, arrays["low"], arrays["high"])
            case "log":
                is_log = arrays["log_columns"] == 1
                return np.where(is_log, np.log(np.where(is_log, x, 1)), x)
            case "one_hot":
                one_hot = x[:, arrays["column"]] == arrays["code"]
                return np.concatenate([x[:, arrays["keep"]], one_hot], axis=1, dtype=x.dtype)
            case "mask":
                missing = np.isnan(x)
                is_step = ~missing.all(axis=-1, keepdims=True)
                return np.concatenate([np.where(missing, 0, x), is_step], axis=-1, dtype=x.dtype)
            case "affine":
                return (x - arrays["shift"]) * arrays["scale"]
            case "unit_norm":
                length: Array = np.linalg.norm(x.reshape(len(x), -1), axis=1, keepdims=True)
                return np.asarray(x / np.maximum(length, np.finfo(x.dtype).tiny))
            case "take":
                return x.reshape(len(x), -1)[:, arrays["index"]]
            case "project":
                return (x.reshape(len(x), -1) - arrays["shift"]) @ arrays["matrix"]
            case "dense":
                return x.reshape(len(x), -1) @ arrays["weight"].T + arrays["bias"]
            case "conv2d":
                return _convolve(
                    x, arrays["weight"], arrays["bias"], int(arrays["stride"][0]), int(arrays["padding"][0])
                )
            case activation:
                return ACTIVATIONS[activation](x)

    def cast(self, dtype: str) -> "Step":
        """Return the step with floating-point arrays cast to `dtype`; integer arrays are unchanged."""
        return Step(
            self.kind,
            {name: a if a.dtype.kind == "i" else a.astype(dtype) for name, a in self.arrays.items()},
        )


def _forward_fill(x: Array, fill: Array, fill_past_end: Array) -> Array:
    known = ~np.isnan(x)
    step = np.arange(x.shape[1])[:, None]
    previous = np.maximum.accumulate(np.where(known, step, -1), axis=1)
    source = np.where(previous < 0, known.argmax(axis=1, keepdims=True), previous)
    values = np.take_along_axis(x, source, axis=1)
    last_observed = previous[:, -1:].max(axis=2, keepdims=True)  # (n, t, f) -> (n, 1, 1)
    return np.where((step <= last_observed) | (fill_past_end == 1), np.where(np.isnan(values), fill, values), x)


def _convolve(x: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    pad = (padding, padding)
    padded = np.pad(x, ((0, 0), (0, 0), pad, pad))
    patches = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    output = np.tensordot(patches, weight, axes=((1, 4, 5), (1, 2, 3)))  # (n, c, y, x, h, w) -> (n, y, x, k)
    return np.moveaxis(output + bias, -1, 1)


@dataclass(frozen=True)
class Pipeline:
    """Fitted steps, applied in order.

    Args:
        dtype: of the arithmetic: float64 where raw units may be large, float32 for images, int32 for the tokens of a
            text, which are passed through: their pipeline has no steps.
        steps: the fitted steps.
        feature_names: names of the output features; empty if they have none.
    """

    dtype: Literal["float64", "float32", "int32"]
    steps: tuple[Step, ...]
    feature_names: tuple[str, ...] = ()

    def __call__(self, x: Array) -> Array:
        """Return the features (n, ...) float32 of raw records x; tokens are returned unchanged."""
        if self.dtype == "int32":
            return x
        if len(x) > CONV_BATCH_ROWS and any(step.kind == "conv2d" for step in self.steps):
            return np.concatenate([self(x[i : i + CONV_BATCH_ROWS]) for i in range(0, len(x), CONV_BATCH_ROWS)])
        values = x.astype(self.dtype)
        for step in self.steps:
            values = step(values)
        return values.astype(np.float32)

    def with_steps(self, *steps: Step, feature_names: Sequence[str] | None = None) -> "Pipeline":
        """Return a pipeline with `steps` appended, their arrays cast to the pipeline's dtype."""
        all_steps = (*self.steps, *(step.cast(self.dtype) for step in steps))
        return Pipeline(self.dtype, all_steps, self.feature_names if feature_names is None else tuple(feature_names))

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one sample's features, given the shape of a raw sample."""
        for step in self.steps:
            arrays = step.arrays
            match step.kind:
                case "take":
                    input_shape = arrays["index"].shape
                case "project":
                    input_shape = arrays["matrix"].shape[1:]
                case "missing_indicator":
                    input_shape = (input_shape[0] + len(arrays["index"]),)
                case "one_hot":
                    input_shape = (len(arrays["keep"]) + len(arrays["code"]),)
                case "mask":
                    input_shape = (*input_shape[:-1], input_shape[-1] + 1)
                case "dense":
                    input_shape = arrays["bias"].shape
                case "conv2d":
                    side = arrays["weight"].shape[2:]
                    stride, padding = int(arrays["stride"][0]), int(arrays["padding"][0])
                    y, x = ((n + 2 * padding - k) // stride + 1 for n, k in zip(input_shape[1:], side, strict=True))
                    input_shape = (len(arrays["weight"]), y, x)
        return input_shape

    def one_hot_sizes(self) -> tuple[int, ...]:
        """Return the number of one-hot features of each categorical column; empty if a later step mixes them."""
        kinds = [step.kind for step in self.steps]
        if "one_hot" not in kinds or {"take", "project", "dense", "unit_norm"} & set(kinds):
            return ()
        column = self.steps[kinds.index("one_hot")].arrays["column"]
        return tuple(int(n) for n in np.unique(column, return_counts=True)[1])

    def save(self, path: Path) -> None:
        """Write the pipeline as a safetensors file."""
        arrays = {
            f"{i}.{name}": np.ascontiguousarray(array)
            for i, step in enumerate(self.steps)
            for name, array in step.arrays.items()
        }
        kinds = [step.kind for step in self.steps]
        metadata = {"dtype": self.dtype, "steps": kinds, "names": self.feature_names}
        save_file(arrays, path, metadata={"pipeline": json.dumps(metadata)})

    @classmethod
    def load(cls, path: Path) -> "Pipeline":
        """Read a file written by `save`.

        Raises:
            ArtifactError: the file is missing or is not a saved pipeline.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = json.loads(file.metadata()["pipeline"])
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        except (FileNotFoundError, SafetensorError, KeyError, TypeError):
            raise ArtifactError(
                f"{path} must be a saved preprocessing pipeline, but is not; run `dvc repro` again"
            ) from None
        steps = (
            Step(
                kind,
                {key.partition(".")[2]: a for key, a in arrays.items() if key.partition(".")[0] == str(i)},
            )
            for i, kind in enumerate(metadata["steps"])
        )
        return cls(metadata["dtype"], tuple(steps), tuple(metadata["names"]))
