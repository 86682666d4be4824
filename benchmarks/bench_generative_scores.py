"""Peak memory of the metrics of a generator: 2,000 and 10,000 images of 28x28 pixels, each in a fresh process.

Also checks that the energy distance ranks sets of samples correctly: real rows, samples of a generator at the end and
in the middle of its training, noise, one repeated sample.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from fivefold.config.models import Model
from fivefold.data.dataset import Array, Dataset, Split
from fivefold.data.schema import Schema
from fivefold.evaluation.generation import report
from fivefold.evaluation.generation.samples import generate, sample_noise
from fivefold.models.feature_extractor import energy_distance, kid
from fivefold.models.serialization import TrainedModel
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.training.fit import fit

from .measure import ROOT, Result, finish, seconds, table

SIZES = (2_000, 10_000)
EPOCHS = (5, 10, 150)
"""Trainings on digits that are compared."""

GAN: dict[str, Any] = {
    "family": "gan",
    "architecture": "dcgan",
    "hidden": [32, 64],
    "latent_dim": 32,
    "output_activation": "sigmoid",
    "conditioning": "projection",
}
TRAINING: dict[str, Any] = {
    "batch_size": 64,
    "checkpoint": "last",
    "ema_decay": 0.99,
    "optimizer": {"name": "adam", "lr": 0.0005, "beta1": 0.5},
    "schedule": {"name": "constant"},
}


def dataset_of(x: Array, y: Array, ends: tuple[int, int]) -> Dataset:
    """Return images and classes as training rows up to the first end, then validation, then test rows."""
    classes = tuple(map(str, range(int(y.max()) + 1)))
    schema = Schema(kind="images", task="classification", target="y", features=(), shape=x.shape[1:], classes=classes)
    split = Split(x, y, np.arange(len(x)))
    spans = ((0, ends[0]), (ends[0], ends[1]), (ends[1], len(x)))
    return Dataset(schema, *(split.take(np.arange(*span)) for span in spans))


def train(data: Dataset, network: dict[str, Any], epochs: int, white: float) -> TrainedModel:
    """Return a generator of images whose largest value is `white`."""
    tree = {"dataset": "d", "depends_on": "none", "select": {"method": "none"}, "network": network}
    model = Model.model_validate_json(json.dumps(tree | {"training": TRAINING | {"max_epochs": epochs}}))
    chain = Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(0.0), "scale": np.array(1 / white)}))
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit("m", model, data, chain, seed=1, checkpoint_folder=Path(folder), on_epoch=lambda *_: None)
    return fitted.trained_model


def peak() -> float:
    """Return the peak memory of this process in MB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 2**20 if sys.platform == "darwin" else size / 2**10


def child(n: int) -> None:
    """Compute the metrics of n images against n others; print memory and time as JSON."""
    random = np.random.default_rng(0)
    training = random.integers(0, 256, (128, 1, 28, 28), dtype=np.uint8)
    model = train(dataset_of(training, np.arange(128) % 10, (64, 96)), GAN | {"conditioning": "none"}, 1, 255)
    before = peak()
    x = random.integers(0, 256, (2 * n + 64, 1, 28, 28), dtype=np.uint8)
    data = dataset_of(x, np.arange(len(x)) % 10, (64, 64 + n))
    result: dict[str, Any] = {}

    def score() -> None:
        comparison = report.build_comparison(model, data, None, 0)
        result["scores"] = report.compute_scores(comparison, "test", 0)

    duration = seconds(score)
    print(json.dumps({"before_mb": before, "more_mb": peak() - before, "seconds": duration, **result}))


def measure_memory(n: int) -> dict[str, Any]:
    """Return the measurements of a fresh process for n images."""
    command = [sys.executable, "-m", "benchmarks.bench_generative_scores", str(n)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure_distances() -> dict[str, dict[str, float]]:
    """Return distances of sets from real digits, in the expected order from the nearest to the farthest."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x, y = digits.images[order, None].astype(np.uint8), digits.target[order].astype(np.int64)
    data = dataset_of(x, y, (1257, 1527))
    half, other = x[:898], x[898:]
    random = np.random.default_rng(1)
    labels = random.choice(y, len(other))
    samples = {}
    for epochs in EPOCHS:
        model = train(data, GAN, epochs, 16)
        samples[epochs] = generate(model, sample_noise(model, len(other), 0, labels))
    first, half_way, last = (samples[epochs] for epochs in EPOCHS)
    pixels = random.normal(half.mean(0), half.std(0), other.shape).clip(0, 16)
    sets = {
        "real rows": other,
        "generator": last,
        "noise with the mean and std of each pixel": pixels,
        "half-trained generator": half_way,
        "untrained generator": first,
        "one sample repeated": np.repeat(last[:1], len(other), 0) + random.normal(0, 0.3, other.shape),
    }
    real = _flat(half)
    return {
        name: {"energy_distance": energy_distance(real, _flat(rows)), "kid": kid(real, _flat(rows))}
        for name, rows in sets.items()
    }


def _flat(images: Array) -> torch.Tensor:
    return torch.from_numpy(images.astype(np.float32) / 16).flatten(1)


def main() -> int:
    """Measure, print the tables, write the result."""
    torch.set_num_threads(1)
    memory = {n: measure_memory(n) for n in SIZES}
    rows = [(f"{n} images", row["before_mb"], row["more_mb"], row["seconds"]) for n, row in memory.items()]
    print(table(("against as many", "MB before", "MB more", "seconds"), rows))
    distances = measure_distances()
    print(
        table(
            ("real digits against", "energy distance", "KID"),
            [(name, *row.values()) for name, row in distances.items()],
        )
    )
    smaller, larger = (memory[n]["more_mb"] for n in SIZES)
    energies = [row["energy_distance"] for row in distances.values()]
    results = [
        Result("memory_of_10000_images_mb", larger, 512),
        Result("memory_of_10000_images_of_that_of_2000", larger / smaller, SIZES[1] / SIZES[0]),
        Result("energy_distance_ranks_sets_wrongly", float(energies != sorted(energies)), 0),
    ]
    tree = {"memory": {str(n): row for n, row in memory.items()}, "distances": distances}
    return finish("generative_scores", tree, results)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        torch.set_num_threads(1)
        child(int(sys.argv[1]))
    else:
        sys.exit(main())
