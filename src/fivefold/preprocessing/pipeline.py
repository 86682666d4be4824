"""A fitted preprocessing as a chain of plain steps, the same in NumPy here and in PyTorch in models/inference.py.

Shapes: n rows, f features, k features kept or components.

Activations of an encoder in NumPy, as PyTorch has them.
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


StepKind = Literal[
    "carry",
    "indicate",
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
    "convolve",
    Activation,
]

CONV_BATCH_ROWS = 1_000
"""Rows that convolutions see at a time: each gives many images of one."""


@dataclass(frozen=True)
class Step:
    """One step and its fitted arrays.

    carry:     fill (f,), whole (1,)          of (n, t, f), a gap becomes the value before, else the next, else fill;
                                              behind the last step that has a value only where whole is 1, not 0
    indicate:  index (g,)                     append g columns: 1 where the column at index is missing, else 0
    impute:    fill (f,)                      a missing value becomes fill
    clip:      low, high (f,)                 values beyond become low or high
    log:       which (f,)                     the logarithm of the columns where which is 1, not 0
    affine:    shift, scale (f,) or (c, 1, 1)   (x - shift) * scale
    one_hot:   keep (m,), column, code (q,)   the columns at keep, then q columns: 1 where column holds code, else 0
    unit_norm:                                each row to Euclidean length 1
    mask:                                     (n, t, f) -> (n, t, f + 1): last 1 for a step, 0 for padding, which is 0
    take:      index (k,)                     flatten, keep columns
    project:   shift (f,), matrix (f, k)      flatten, (x - shift) @ matrix
    dense:     weight (k, f), bias (k,)       flatten, x @ weight.T + bias
    convolve:  weight (k, c, h, w), bias (k,), stride, padding (1,)   (n, c, y, x) -> (n, k, y', x')
    relu, sigmoid ...                         of each number alone
    """

    kind: StepKind
    arrays: Mapping[str, Array]

    def __call__(self, x: Array) -> Array:
        """Apply the step to x (n, ...)."""
        arrays = self.arrays
        match self.kind:
            case "carry":
                return _forward_fill(x, arrays["fill"], arrays["whole"])
            case "indicate":
                return np.concatenate([x, np.isnan(x[:, arrays["index"]])], axis=1, dtype=x.dtype)
            case "impute":
                return np.where(np.isnan(x), arrays["fill"], x)
            case "clip":
                return np.clip(x, arrays["low"], arrays["high"])
            case "log":
                which = arrays["which"] == 1
                return np.where(which, np.log(np.where(which, x, 1)), x)
            case "one_hot":
                shown = x[:, arrays["column"]] == arrays["code"]
                return np.concatenate([x[:, arrays["keep"]], shown], axis=1, dtype=x.dtype)
            case "mask":
                gaps = np.isnan(x)
                real = ~gaps.all(axis=-1, keepdims=True)
                return np.concatenate([np.where(gaps, 0, x), real], axis=-1, dtype=x.dtype)
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
            case "convolve":
                return _convolve(
                    x, arrays["weight"], arrays["bias"], int(arrays["stride"][0]), int(arrays["padding"][0])
                )
            case activation:
                return ACTIVATIONS[activation](x)

    def cast(self, dtype: str) -> "Step":
        """Return the step with floating numbers of type `dtype`; an index stays an index."""
        return Step(
            self.kind,
            {name: a if a.dtype.kind == "i" else a.astype(dtype) for name, a in self.arrays.items()},
        )


def _forward_fill(x: Array, fill: Array, fill_past_end: Array) -> Array:
    known = ~np.isnan(x)
    step = np.arange(x.shape[1])[:, None]
    before = np.maximum.accumulate(np.where(known, step, -1), axis=1)
    source = np.where(before < 0, known.argmax(axis=1, keepdims=True), before)
    values = np.take_along_axis(x, source, axis=1)
    last = before[:, -1:].max(axis=2, keepdims=True)  # (n, t, f) -> (n, 1, 1)
    return np.where((step <= last) | (fill_past_end == 1), np.where(np.isnan(values), fill, values), x)


def _convolve(x: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    edge = (padding, padding)
    wide = np.pad(x, ((0, 0), (0, 0), edge, edge))
    patches = np.lib.stride_tricks.sliding_window_view(wide, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    told = np.tensordot(patches, weight, axes=((1, 4, 5), (1, 2, 3)))  # (n, c, y, x, h, w) -> (n, y, x, k)
    return np.moveaxis(told + bias, -1, 1)


@dataclass(frozen=True)
class Pipeline:
    """Steps in order. Arithmetic is float64 where raw units may be large, and float32 for images.

    Tokens of a text, int32, stay what and where they are: a chain of theirs has no steps.

    names: of the features that come out, where they have names.
    """

    dtype: Literal["float64", "float32", "int32"]
    steps: tuple[Step, ...]
    feature_names: tuple[str, ...] = ()

    def __call__(self, x: Array) -> Array:
        """Return the features (n, ...) float32 of raw records x; tokens as they are."""
        if self.dtype == "int32":
            return x
        if len(x) > CONV_BATCH_ROWS and any(step.kind == "convolve" for step in self.steps):
            return np.concatenate([self(x[i : i + CONV_BATCH_ROWS]) for i in range(0, len(x), CONV_BATCH_ROWS)])
        values = x.astype(self.dtype)
        for step in self.steps:
            values = step(values)
        return values.astype(np.float32)

    def with_steps(self, *steps: Step, feature_names: Sequence[str] | None = None) -> "Pipeline":
        """Return this chain with more steps at its end, their numbers in this chain's type."""
        both = (*self.steps, *(step.cast(self.dtype) for step in steps))
        return Pipeline(self.dtype, both, self.feature_names if feature_names is None else tuple(feature_names))

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one record's features, given the shape of a raw record."""
        for step in self.steps:
            arrays = step.arrays
            match step.kind:
                case "take":
                    input_shape = arrays["index"].shape
                case "project":
                    input_shape = arrays["matrix"].shape[1:]
                case "indicate":
                    input_shape = (input_shape[0] + len(arrays["index"]),)
                case "one_hot":
                    input_shape = (len(arrays["keep"]) + len(arrays["code"]),)
                case "mask":
                    input_shape = (*input_shape[:-1], input_shape[-1] + 1)
                case "dense":
                    input_shape = arrays["bias"].shape
                case "convolve":
                    side = arrays["weight"].shape[2:]
                    stride, padding = int(arrays["stride"][0]), int(arrays["padding"][0])
                    y, x = ((n + 2 * padding - k) // stride + 1 for n, k in zip(input_shape[1:], side, strict=True))
                    input_shape = (len(arrays["weight"]), y, x)
        return input_shape

    def one_hot_sizes(self) -> tuple[int, ...]:
        """Return how many of the last features stand for each categorical column; empty if a later step mixes them."""
        kinds = [step.kind for step in self.steps]
        if "one_hot" not in kinds or {"take", "project", "dense", "unit_norm"} & set(kinds):
            return ()
        column = self.steps[kinds.index("one_hot")].arrays["column"]
        return tuple(int(n) for n in np.unique(column, return_counts=True)[1])

    def save(self, path: Path) -> None:
        """Write the chain as a safetensors file."""
        arrays = {
            f"{i}.{name}": np.ascontiguousarray(array)
            for i, step in enumerate(self.steps)
            for name, array in step.arrays.items()
        }
        kinds = [step.kind for step in self.steps]
        head = {"dtype": self.dtype, "steps": kinds, "names": self.feature_names}
        save_file(arrays, path, metadata={"chain": json.dumps(head)})

    @classmethod
    def load(cls, path: Path) -> "Pipeline":
        """Read what `save` wrote; an `ArtifactError` if the file is missing or something else."""
        try:
            with safe_open(path, framework="numpy") as file:
                head = json.loads(file.metadata()["chain"])
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        except (FileNotFoundError, SafetensorError, KeyError, TypeError):
            raise ArtifactError(
                f"{path} must hold a preprocessing chain, but does not; run `dvc repro` again"
            ) from None
        steps = (
            Step(
                kind,
                {key.partition(".")[2]: a for key, a in arrays.items() if key.partition(".")[0] == str(i)},
            )
            for i, kind in enumerate(head["steps"])
        )
        return cls(head["dtype"], tuple(steps), tuple(head["names"]))
