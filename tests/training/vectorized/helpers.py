"""Small jobs for the tests of this room."""

import json
from typing import Any

import numpy as np

from fivefold.config.models import Model
from fivefold.data.dataset import Dataset, Split
from fivefold.data.schema import Schema
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.training.vectorized.job import Job

MLP: dict[str, Any] = {"family": "mlp", "hidden": [16, 8]}
AUTOENCODER: dict[str, Any] = {"family": "autoencoder", "hidden": [8], "latent": 3}
CONVOLUTIONS: dict[str, Any] = {"family": "cnn", "architecture": "stack", "channels": [4], "dense": [8]}
PLAIN = Pipeline("float64", ()).with_steps(Step("affine", {"shift": np.zeros(5), "scale": np.ones(5)}))
PIXELS = Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(0.0), "scale": np.array(1 / 255)}))


def dataset(classes: int, rows: int, seed: int, *, side: int = 0) -> Dataset:
    """Rows whose target depends on two of their numbers; no classes are a regression; side: of images, in pixels."""
    random = np.random.default_rng(seed)
    n = rows + 40
    x = random.integers(0, 256, (n, 2, side, side), dtype=np.uint8) if side else random.normal(size=(n, 5))
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
    records = Split(x, np.digitize(value, edges) if classes else 100 * value, np.arange(n))
    spans = ((0, rows), (rows, rows + 20 + seed), (rows + 20 + seed, n))
    return Dataset(schema, *(records.take(np.arange(*span)) for span in spans))


def model(network: dict[str, Any], **training: Any) -> Model:
    """A block of params.yaml."""
    given = {"max_epochs": 4, "patience": 0, "batch_size": 16, "accelerator": "cpu"} | training
    tree = {"dataset": "d", "depends_on": "none", "select": {"method": "none"}, "network": network, "training": given}
    return Model.model_validate_json(json.dumps(tree))


def job(network: dict[str, Any] = MLP, classes: int = 3, rows: int = 40, seed: int = 0, **training: Any) -> Job:
    """A job on a table."""
    return Job(model(network, **training), dataset(classes, rows, seed), PLAIN, seed)
