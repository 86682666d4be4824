"""What scores of a generator cost: peak memory of 2,000 and of 10,000 images of 28x28 pixels, in a fresh process each.

And whether the distance that needs no judge puts records in the right order: rows of one set, what a generator makes at
the end of its training and on its way, noise, one record again and again.
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
"""Of a training on digits."""

GAN: dict[str, Any] = {
    "family": "gan",
    "architecture": "dcgan",
    "hidden": [32, 64],
    "latent": 32,
    "output": "sigmoid",
    "condition": "projection",
}
TRAINING: dict[str, Any] = {
    "batch_size": 64,
    "keep": "last",
    "ema_decay": 0.99,
    "optimizer": {"name": "adam", "lr": 0.0005, "beta1": 0.5},
    "schedule": {"name": "constant"},
}


def dataset_of(x: Array, y: Array, ends: tuple[int, int]) -> Dataset:
    """Return images and their classes as rows of training, up to the first end, of validation, and of test."""
    classes = tuple(map(str, range(int(y.max()) + 1)))
    schema = Schema(kind="images", task="classification", target="y", features=(), shape=x.shape[1:], classes=classes)
    records = Split(x, y, np.arange(len(x)))
    spans = ((0, ends[0]), (ends[0], ends[1]), (ends[1], len(x)))
    return Dataset(schema, *(records.take(np.arange(*span)) for span in spans))


def trained(data: Dataset, network: dict[str, Any], epochs: int, white: float) -> TrainedModel:
    """Return a generator of images up to `white`."""
    tree = {"dataset": "d", "depends_on": "none", "select": {"method": "none"}, "network": network}
    model = Model.model_validate_json(json.dumps(tree | {"training": TRAINING | {"max_epochs": epochs}}))
    chain = Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(0.0), "scale": np.array(1 / white)}))
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit("m", model, data, chain, seed=1, checkpoint_folder=Path(folder), on_epoch=lambda *_: None)
    return fitted.trained_model


def peak() -> float:
    """Return the most memory that this process has had, in MB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 2**20 if sys.platform == "darwin" else size / 2**10


def child(n: int) -> None:
    """Score n images beside n others; print what it took as JSON."""
    random = np.random.default_rng(0)
    few = random.integers(0, 256, (128, 1, 28, 28), dtype=np.uint8)
    saved = trained(dataset_of(few, np.arange(128) % 10, (64, 96)), GAN | {"condition": "none"}, 1, 255)
    before = peak()
    x = random.integers(0, 256, (2 * n + 64, 1, 28, 28), dtype=np.uint8)
    data = dataset_of(x, np.arange(len(x)) % 10, (64, 64 + n))
    found: dict[str, Any] = {}

    def score() -> None:
        compared = report.build_comparison(saved, data, None, 0)
        found["scores"] = report.compute_scores(compared, "test", 0)

    took = seconds(score)
    print(json.dumps({"before_mb": before, "more_mb": peak() - before, "seconds": took, **found}))


def measured_of(n: int) -> dict[str, Any]:
    """Return what a fresh process took for n images."""
    command = [sys.executable, "-m", "benchmarks.bench_generative_scores", str(n)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def ordered() -> dict[str, dict[str, float]]:
    """Return distances of digits from other digits, from what should be nearest to what should be farthest."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x, y = digits.images[order, None].astype(np.uint8), digits.target[order].astype(np.int64)
    data = dataset_of(x, y, (1257, 1527))
    half, other = x[:898], x[898:]
    random = np.random.default_rng(1)
    asked = random.choice(y, len(other))
    made = {}
    for epochs in EPOCHS:
        saved = trained(data, GAN, epochs, 16)
        made[epochs] = generate(saved, sample_noise(saved, len(other), 0, asked))
    first, half_way, last = (made[epochs] for epochs in EPOCHS)
    pixels = random.normal(half.mean(0), half.std(0), other.shape).clip(0, 16)
    sets = {
        "real rows": other,
        "generator": last,
        "noise of each pixel's mean and deviation": pixels,
        "generator half-trained": half_way,
        "generator at first": first,
        "one record again and again": np.repeat(last[:1], len(other), 0) + random.normal(0, 0.3, other.shape),
    }
    real = _flat(half)
    return {
        name: {"energy": energy_distance(real, _flat(rows)), "kid": kid(real, _flat(rows))}
        for name, rows in sets.items()
    }


def _flat(images: Array) -> torch.Tensor:
    return torch.from_numpy(images.astype(np.float32) / 16).flatten(1)


def main() -> int:
    """Measure, print the tables, keep the result."""
    torch.set_num_threads(1)
    memory = {n: measured_of(n) for n in SIZES}
    rows = [(f"{n} images", found["before_mb"], found["more_mb"], found["seconds"]) for n, found in memory.items()]
    print(table(("scored beside as many", "MB before", "MB more", "seconds"), rows))
    distances = ordered()
    print(table(("digits beside", "energy", "KID"), [(name, *found.values()) for name, found in distances.items()]))
    least, most = (memory[n]["more_mb"] for n in SIZES)
    energies = [found["energy"] for found in distances.values()]
    results = [
        Result("memory_of_10000_images_mb", most, 512),
        Result("memory_of_10000_images_of_that_of_2000", most / least, SIZES[1] / SIZES[0]),
        Result("pairs_of_sets_that_energy_puts_in_the_wrong_order", float(energies != sorted(energies)), 0),
    ]
    tree = {"memory": {str(n): found for n, found in memory.items()}, "distances": distances}
    return finish("generative_scores", tree, results)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        torch.set_num_threads(1)
        child(int(sys.argv[1]))
    else:
        sys.exit(main())
