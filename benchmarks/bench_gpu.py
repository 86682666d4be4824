"""Training on a GPU with resident data, against a Dataset and DataLoader with workers, on Fashion-MNIST.

Both train the same network with the same recipe: images scaled, flipped, cropped, bf16, SGD with momentum, one cycle.
Besides samples per second, the time of fivefold to a validation accuracy is recorded. Without a GPU nothing is measured
or written. `python -m benchmarks.bench_gpu FOLDER`: the folder with the four IDX files.
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
TARGETS = {"tutorial": (0.90, 15), "resnet-20": (0.94, 40)}
"""Validation accuracy to reach, and number of epochs."""


def model_of(network: str, epochs: int, accelerator: str) -> Model:
    """Return the model block."""
    training = {
        "max_epochs": epochs,
        "patience": 0,
        "batch_size": 256,
        "optimizer": {"name": "sgd", "lr": 0.2, "momentum": 0.9, "weight_decay": 0.0005},
        "schedule": {"name": "one_cycle"},
        "augment": {"crop_padding": 2, "horizontal_flip": True},
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
    """A usual Dataset: one image at a time, augmented when it is requested."""

    def __init__(self, train: dataset.Split, mean: float, std: float) -> None:
        self.x, self.y, self.mean, self.std = train.x, train.y, mean, std

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        """Return an image, scaled, randomly flipped and cropped, and its class."""
        x = (torch.from_numpy(self.x[i].astype(np.float32)) - self.mean) / self.std
        x = x.flip(-1) if torch.rand(()) < 0.5 else x
        top, left = torch.randint(0, 5, (2,)).tolist()
        height, width = x.shape[-2:]
        return functional.pad(x, (2, 2, 2, 2))[:, top : top + height, left : left + width], int(self.y[i])


def train_with_loader(network: str, data: dataset.Dataset, epochs: int, device: str) -> None:
    """Train with a DataLoader and workers, as it is usually written."""
    params = model_of(network, epochs, "auto")
    spec = InputSpec(data.schema.shape, len(data.schema.classes))
    module = build_network(params.network, spec).to(device, memory_format=torch.channels_last)
    pixels = data.train.x.astype(np.float32)
    rows = Rows(data.train, float(pixels.mean()), float(pixels.std()))
    loader = DataLoader(rows, 256, shuffle=True, num_workers=WORKERS, pin_memory=True, persistent_workers=True)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2, momentum=0.9, weight_decay=0.0005)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=epochs * len(loader))
    for _ in range(epochs):
        _train_epoch(module, loader, optimizer, schedule, device)


def _train_epoch(
    module: nn.Module,
    loader: "DataLoader[tuple[Tensor, Tensor]] | Any",
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    device: str,
) -> None:
    for x, y in loader:
        images = x.to(device, non_blocking=True, memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16):
            loss = functional.cross_entropy(module(images), y.to(device, non_blocking=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def train_with_fivefold(
    network: str, data: dataset.Dataset, epochs: int, accelerator: str, on_epoch: Callable[..., None] = lambda *_: None
) -> None:
    """Train with `fivefold.training.fit`."""
    chain = fit_scaling(data.train.x, data.schema, block(FASHION_MNIST))
    with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
        fit(
            "bench",
            model_of(network, epochs, accelerator),
            data,
            chain,
            seed=0,
            checkpoint_folder=Path(work),
            on_epoch=on_epoch,
        )


def block(folder: Path) -> Images:
    """Return the dataset block."""
    tree = {
        "kind": "images",
        "source": str(folder),
        "task": "classification",
        "split": {"by": "predefined", "validation": 5000},
        "normalize": "standard",
    }
    return Images.model_validate_json(json.dumps(tree))


def time_to(network: str, data: dataset.Dataset, accelerator: str) -> dict[str, Any]:
    """Return the seconds and epochs of fivefold until the accuracy of TARGETS, None if it is not reached."""
    target, epochs = TARGETS[network]
    started, reached = time.perf_counter(), dict[str, Any](accuracy=target, seconds=None, epoch=None)

    def on_epoch(epoch: int, metrics: dict[str, float], _: bool) -> None:
        if reached["seconds"] is None and metrics["val/accuracy"] >= target:
            reached.update(seconds=time.perf_counter() - started, epoch=epoch + 1)

    train_with_fivefold(network, data, epochs, accelerator, on_epoch)
    return reached


def measure(network: str, data: dataset.Dataset, device: str, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return samples per second of both; a round is two epochs of each, the first round is a warm-up."""
    epochs, accelerator = 2, {"cuda": "gpu"}.get(device, device)
    pairs = [
        (
            seconds(partial(train_with_fivefold, network, data, epochs, accelerator)),
            seconds(partial(train_with_loader, network, data, epochs, device)),
        )
        for _ in range(rounds + 1)
    ][1:]
    samples = epochs * len(data.train)
    fivefold, usual = (samples / median(column) for column in zip(*pairs, strict=True))
    return {"ours": fivefold, "usual": usual, "ratio": median(other / one for one, other in pairs)}


def main() -> int:
    """Measure both networks, print the table, write the result."""
    if not torch.cuda.is_available():
        print("no GPU: nothing is measured")
        return 0
    data, _ = prepare(block(Path(sys.argv[1]) if len(sys.argv) > 1 else FASHION_MNIST), 0)
    measured = {name: measure(name, data, "cuda") | {"goal": time_to(name, data, "gpu")} for name in NETWORKS}
    head = ("network", "fivefold, samples/s", "DataLoader, samples/s", "ratio", "seconds to", "val/accuracy", "epoch")
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
