"""Helpers of the training tests: small datasets and models, and trainings that are interrupted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fivefold.config.models import Model
from fivefold.data.dataset import Array, Dataset, Split
from fivefold.data.schema import Schema
from fivefold.models.feature_extractor import ReferenceClassifier
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.training.fit import FitResult, fit

from ..conftest import schema_of

SCHEMA = Schema(
    kind="table", task="classification", target="t", features=("a", "b", "c"), shape=(3,), classes=("no", "yes")
)
PIPELINE = Pipeline("float64", ()).with_steps(Step("affine", {"shift": np.zeros(3), "scale": np.ones(3)}))
POINTS = Pipeline("float64", ()).with_steps(Step("affine", {"shift": np.zeros(2), "scale": np.full(2, 0.5)}))
"""Preprocessing of points in the plane."""
PIXELS = Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(0.0), "scale": np.array(1 / 255)}))
"""Preprocessing of images."""


class InterruptedEpochError(Exception):
    """Raised by `interrupt_at`."""


def interrupt_at(last: int) -> Callable[[int], None]:
    """Return an `on_epoch` that interrupts training after epoch `last`, counted from 0."""

    def on_epoch(epoch: int) -> None:
        if epoch == last:
            raise InterruptedEpochError

    return on_epoch


def is_same(one: FitResult, other: FitResult) -> bool:
    """Return whether two trainings have the same weights, bit for bit, and the same history."""
    weights, others = one.trained_model.model.state_dict(), other.trained_model.model.state_dict()
    return all(torch.equal(weights[key], others[key]) for key in weights) and one.history.equals(other.history)


def split_dataset(schema: Schema, x: Array, y: Array, *sizes: int) -> Dataset:
    """Return a dataset with consecutive training, validation and test rows; by default 1/2, 1/4 and 1/4 of the rows."""
    n = len(x)
    first, second = np.cumsum(sizes[:2]) if sizes else (n // 2, n * 3 // 4)
    split = Split(x, y, np.arange(n))
    return Dataset(schema, *(split.take(np.arange(*span)) for span in ((0, first), (first, second), (second, n))))


def model(network: dict[str, Any], **training: Any) -> Model:
    """Return a model of dataset `d` with a checkpoint after each epoch."""
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": network,
        "training": {"patience": 0, "checkpoint_seconds": 0, **training},
    }
    return Model.model_validate_json(json.dumps(tree))


def mlp_model(**training: Any) -> Model:
    """Return a small MLP with dropout."""
    network = {"family": "mlp", "hidden": [16], "dropout": 0.3}
    return model(network, **{"max_epochs": 8, "schedule": {"name": "one_cycle"}, **training})


def gan_model(network: dict[str, Any], **training: Any) -> Model:
    """Return a small GAN."""
    defaults = {"max_epochs": 6, "batch_size": 16, "optimizer": {"name": "adam", "lr": 0.001, "beta1": 0.5}}
    block = {"family": "gan", "latent_dim": 4, "hidden": [16], "validate_every": 2, **network}
    return model(block, **{**defaults, **training})


def image_dataset(n: int = 160) -> Dataset:
    """Return images of two classes: the upper or the left half is white."""
    y = np.random.default_rng(0).integers(0, 2, n)
    x = np.zeros((n, 1, 8, 8), np.uint8)
    x[y == 0, :, :4], x[y == 1, :, :, :4] = 255, 255
    return split_dataset(schema_of((1, 8, 8), 2), x, y)


def train_generator(
    folder: Path,
    params: Model,
    data: Dataset | None = None,
    *,
    seed: int = 1,
    reference: ReferenceClassifier | None = None,
    on_epoch: Callable[[int], None] = int,
    **options: Any,
) -> FitResult:
    """Train a model on images or on points in the plane."""
    data = data or image_dataset()
    pipeline = PIXELS if data.schema.kind == "images" else POINTS
    options["on_epoch"] = lambda epoch, *_: on_epoch(epoch)
    return fit("m", params, data, pipeline, None, reference, seed=seed, checkpoint_folder=folder, **options)
