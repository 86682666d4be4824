"""Training on a GPU: rows that lie there, against the usual Dataset and DataLoader with workers, on Fashion-MNIST.

Both train the same network by the same recipe: images scaled, flipped, cropped, bf16, SGD with momentum, one cycle.
What is kept beside samples a second is how long ours takes to a validation accuracy. Without a GPU nothing is measured,
and nothing is written. `python -m benchmarks.bench_gpu FOLDER`: where the four IDX files lie.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from fivefold.config.datasets import Images
from fivefold.config.models import Model
from fivefold.data import dataset
from fivefold.data.prepare import prepare
from fivefold.models.factory import InputSpec, build_network
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.training.fit import fit

from .measure import Result, finish, seconds, table

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
ROUNDS = 5
WORKERS = 8
NETWORKS: dict[str, dict[str, Any]] = {
    "tutorial": {"family": "cnn", "architecture": "tutorial"},
    "resnet-20": {"family": "cnn", "architecture": "resnet", "depth": 20},
}
GOALS = {"tutorial": (0.90, 15), "resnet-20": (0.94, 40)}
"""Validation accuracy to reach, and epochs to do it in."""


def model_of(network: str, epochs: int, accelerator: str) -> Model:
    """Return the block of a model."""
    training = {
        "max_epochs": epochs,
        "patience": 0,
        "batch_size": 256,
        "optimizer": {"name": "sgd", "lr": 0.2, "momentum": 0.9, "weight_decay": 0.0005},
        "schedule": {"name": "one_cycle"},
        "augment": {"crop": 2, "horizontal_flip": True},
        "precision": "bf16",
        "accelerator": accelerator,
    }
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": NETWORKS[network],
        "training": training,
    }
    return Model.model_validate_json(json.dumps(tree))


class Rows(Dataset[tuple[Tensor, int]]):
    """Images as a person would serve them: one at a time, altered as it is asked for."""

    def __init__(self, train: dataset.Split, mean: float, deviation: float) -> None:
        self.x, self.y, self.mean, self.deviation = train.x, train.y, mean, deviation

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        """Return an image, scaled, flipped half of the time, cropped from a wider one, and its class."""
        x = (torch.from_numpy(self.x[i].astype(np.float32)) - self.mean) / self.deviation
        x = x.flip(-1) if torch.rand(()) < 0.5 else x
        top, left = torch.randint(0, 5, (2,)).tolist()
        height, width = x.shape[-2:]
        return functional.pad(x, (2, 2, 2, 2))[:, top : top + height, left : left + width], int(self.y[i])


def usual(network: str, data: dataset.Dataset, epochs: int, device: str) -> None:
    """Train with workers that make batches, as a person would write it."""
    params = model_of(network, epochs, "auto")
    shape = InputSpec(data.schema.shape, len(data.schema.classes))
    inner = build_network(params.network, shape).to(device, memory_format=torch.channels_last)
    pixels = data.train.x.astype(np.float32)
    rows = Rows(data.train, float(pixels.mean()), float(pixels.std()))
    loader = DataLoader(rows, 256, shuffle=True, num_workers=WORKERS, pin_memory=True, persistent_workers=True)
    optimizer = torch.optim.SGD(inner.parameters(), lr=0.2, momentum=0.9, weight_decay=0.0005)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=epochs * len(loader))
    for _ in range(epochs):
        _epoch(inner, loader, optimizer, schedule, device)


def _epoch(
    inner: nn.Module,
    loader: "DataLoader[tuple[Tensor, Tensor]] | Any",
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    device: str,
) -> None:
    for x, y in loader:
        given = x.to(device, non_blocking=True, memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16):
            loss = functional.cross_entropy(inner(given), y.to(device, non_blocking=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def ours(
    network: str, data: dataset.Dataset, epochs: int, accelerator: str, tell: Callable[..., None] = lambda *_: None
) -> None:
    """Train by the library's `fit`."""
    chain = fit_scaling(data.train.x, data.schema, block(FASHION_MNIST))
    with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
        fit(
            "bench",
            model_of(network, epochs, accelerator),
            data,
            chain,
            seed=0,
            checkpoint_folder=Path(work),
            on_epoch=tell,
        )


def block(folder: Path) -> Images:
    """Return the block of the dataset."""
    tree = {
        "kind": "images",
        "source": str(folder),
        "task": "classification",
        "split": {"by": "column", "validation": 5000},
        "normalize": "standard",
    }
    return Images.model_validate_json(json.dumps(tree))


def time_to(network: str, data: dataset.Dataset, accelerator: str) -> dict[str, Any]:
    """Return after how many seconds and epochs ours reaches the accuracy of GOALS; None where it does not."""
    goal, epochs = GOALS[network]
    started, found = time.perf_counter(), dict[str, Any](accuracy=goal, seconds=None, epoch=None)

    def tell(epoch: int, metrics: dict[str, float], _: bool) -> None:
        if found["seconds"] is None and metrics["val/accuracy"] >= goal:
            found.update(seconds=time.perf_counter() - started, epoch=epoch + 1)

    ours(network, data, epochs, accelerator, tell)
    return found


def measure(network: str, data: dataset.Dataset, device: str, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return samples a second of both, a round being two epochs of each; the first round warms up."""
    epochs, accelerator = 2, {"cuda": "gpu"}.get(device, device)
    pairs = [
        (
            seconds(partial(ours, network, data, epochs, accelerator)),
            seconds(partial(usual, network, data, epochs, device)),
        )
        for _ in range(rounds + 1)
    ][1:]
    samples = epochs * len(data.train)
    mine, theirs = (samples / median(column) for column in zip(*pairs, strict=True))
    return {"ours": mine, "usual": theirs, "ratio": median(other / one for one, other in pairs)}


def main() -> int:
    """Measure both networks, print the table, keep the result."""
    if not torch.cuda.is_available():
        print("no GPU here: nothing is measured")
        return 0
    data, _ = prepare(block(Path(sys.argv[1]) if len(sys.argv) > 1 else FASHION_MNIST), 0)
    measured = {name: measure(name, data, "cuda") | {"goal": time_to(name, data, "gpu")} for name in NETWORKS}
    head = ("network", "ours, samples/s", "usual, samples/s", "ratio", "seconds to", "val/accuracy", "epoch")
    rows = [
        (name, m["ours"], m["usual"], m["ratio"], m["goal"]["seconds"], m["goal"]["accuracy"], m["goal"]["epoch"])
        for name, m in measured.items()
    ]
    print(table(head, rows))
    return finish(
        "gpu", measured, [Result(f"{name}_throughput", m["ratio"], 1.25, "higher") for name, m in measured.items()]
    )


if __name__ == "__main__":
    sys.exit(main())
