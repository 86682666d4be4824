"""The encoder of a trained autoencoder as steps of a chain: what another model takes of it, without PyTorch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from ..data.dataset import Array
from ..data.storage import verify
from ..errors import ArtifactError
from .chain import Step


def encoder_of(folder: Path) -> tuple[Step, ...]:
    """Return what leads from features, as the autoencoder in `folder` sees them, to its codes (n, l).

    Raises:
        ArtifactError: it is missing, was altered, or is no dense or convolutional autoencoder.
    """
    verify(folder)
    layers = json.loads((folder / "model.json").read_text()).get("encoder")
    if layers is None:
        raise ArtifactError(f"{folder} must hold a dense or conv autoencoder, but does not; run `dvc repro` again")
    weights = load_file(folder / "weights.safetensors")
    return tuple(step for layer in layers for step in _steps(layer, weights))


def _steps(layer: dict[str, Any], weights: dict[str, Array]) -> Iterator[Step]:
    """Yield the steps of a layer, as families/autoencoder/unrolled.py tells it."""
    kind, at = layer["kind"], layer.get("at")
    own = {name: weights[f"{at}.{name}"] for name in ("weight", "bias") if f"{at}.{name}" in weights}
    match kind:
        case "dense":
            yield Step("dense", {"bias": np.zeros(len(own["weight"]), np.float32)} | own)
        case "convolve":
            sizes = {name: np.array([layer[name]]) for name in ("stride", "padding")}
            yield Step("convolve", {"bias": np.zeros(len(own["weight"]), np.float32)} | own | sizes)
        case "norm":
            across = (-1, *(1,) * layer["places"])
            mean, variance = (weights[f"{at}.running_{name}"].reshape(across) for name in ("mean", "var"))
            gain, bias = (own[name].reshape(across) for name in ("weight", "bias"))
            yield Step("affine", {"shift": mean, "scale": gain / np.sqrt(variance + np.float32(layer["eps"]))})
            yield Step("affine", {"shift": -bias, "scale": np.ones_like(bias)})
        case _:
            yield Step(kind, {})
