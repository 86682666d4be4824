"""Small jobs for the tests of vectorized training."""

from typing import Any

import numpy as np

from fivefold.config.models import Model
from fivefold.data.dataset import Dataset, Split
from fivefold.data.schema import Schema
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.training.vectorized.job import Job

from ..helpers import PIXELS as PIXELS
from ..helpers import model as build_model

MLP: dict[str, Any] = {"family": "mlp", "hidden": [16, 8]}
AUTOENCODER: dict[str, Any] = {"family": "autoencoder", "hidden": [8], "latent_dim": 3}
CNN: dict[str, Any] = {"family": "cnn", "architecture": "plain", "channels": [4], "dense": [8]}
PIPELINE = Pipeline("float64", ()).with_steps(Step("affine", {"shift": np.zeros(5), "scale": np.ones(5)}))


def dataset(classes: int, rows: int, seed: int, *, side: int = 0) -> Dataset:
    """Return rows whose target depends on two of their values.

    classes: number of classes; 0: a regression. side: height and width of images in pixels; 0: a table.
    """
    rng = np.random.default_rng(seed)
    n = rows + 40
    x = rng.integers(0, 256, (n, 2, side, side), dtype=np.uint8) if side else rng.normal(size=(n, 5))
    flat = x.reshape(n, -1) / x.std()
    value = flat[:, 0] + flat[:, 1] ** 2
    edges = np.quantile(value, np.linspace(0, 1, classes + 1)[1:-1])
    schema = Schema(
        kind="images" if side else "table",
        task="classification" if classes else "regression",
        target="t",
        features=() if side else tuple("abcde"),
        shape=x.shape[1:],
        classes=tuple(map(str, range(classes))),
        values=() if classes else ("t",),
    )
    split = Split(x, np.digitize(value, edges) if classes else 100 * value, np.arange(n))
    spans = ((0, rows), (rows, rows + 20 + seed), (rows + 20 + seed, n))
    return Dataset(schema, *(split.take(np.arange(*span)) for span in spans))


def model(network: dict[str, Any], **training: Any) -> Model:
    """Return a model that is trained on a CPU."""
    defaults = {"max_epochs": 4, "batch_size": 16, "accelerator": "cpu", "checkpoint_seconds": 600}
    return build_model(network, **(defaults | training))


def job(network: dict[str, Any] = MLP, classes: int = 3, rows: int = 40, seed: int = 0, **training: Any) -> Job:
    """Return a job on a table."""
    return Job(model(network, **training), dataset(classes, rows, seed), PIPELINE, seed)
