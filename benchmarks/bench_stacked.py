"""Folds and trials of a small network as one stack, against loops written by hand one after the other, and Lightning.

One thread, interleaved, in CPU time: other work on the machine hardly moves it. The loop by hand sees the same batches,
begins with the same weights, draws the same dropout, validates each epoch and keeps the best weights.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, pairwise
from statistics import median
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from fivefold.config.models import Model
from fivefold.data.dataset import Dataset, Split
from fivefold.data.schema import Schema
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.training.batches import derive_seed, shuffled_order
from fivefold.training.vectorized.fit import fit_vectorized
from fivefold.training.vectorized.job import Job

from .measure import Result, finish, table

ROUNDS = 5
EPOCHS = 20
BATCH = 32
TRIALS = 20
SIDE = 8
"""Of digits, pixels."""
SOURCES: dict[str, Callable[..., Any]] = {"digits": load_digits, "breast_cancer": load_breast_cancer}
BARS = {"folds": 0.30, "trials": 0.25, "images": 0.50, "lightning": 0.10}


@dataclass(frozen=True)
class Chosen:
    """What a trial may choose; with channels a convolutional network, else a feed-forward one."""

    lr: float = 0.003
    weight_decay: float = 0.0
    dropout: float = 0.0
    channels: tuple[int, ...] = ()

    def job(self, data: Dataset) -> Job:
        """Return the job of a stack."""
        network: dict[str, Any] = {"family": "mlp", "hidden": [64, 32]}
        if self.channels:
            network = {
                "family": "cnn",
                "architecture": "stack",
                "channels": self.channels,
                "dense": [32],
                "init": "xavier",
            }
        tree = {
            "dataset": "bench",
            "depends_on": "none",
            "select": {"method": "none"},
            "network": network | {"dropout": self.dropout},
            "training": {
                "max_epochs": EPOCHS,
                "patience": 0,
                "batch_size": BATCH,
                "optimizer": {"name": "adamw", "lr": self.lr, "weight_decay": self.weight_decay},
                "accelerator": "cpu",
            },
        }
        return Job(Model.model_validate_json(json.dumps(tree)), data, Pipeline("float32", ()), 0)

    def network(self, data: Dataset) -> nn.Sequential:
        """Return the network as a person would write it."""
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        widths: tuple[int, ...] = (data.schema.shape[0], 64, 32)
        for before, after in pairwise((1, *self.channels)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
        if self.channels:
            layers.append(nn.Flatten())
            widths = (self.channels[-1] * (SIDE // 2 ** len(self.channels)) ** 2, 32)
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
            layers += [nn.Dropout(self.dropout)] if self.dropout else []
        network = nn.Sequential(*layers, nn.Linear(32, len(data.schema.classes)))
        for layer in network:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        return network.to(memory_format=torch.channels_last)


def folds(source: str, *, images: bool = False) -> list[Dataset]:
    """Return five folds of a dataset of scikit-learn, standardised; images: of digits, as such."""
    x, y = SOURCES[source](return_X_y=True)
    x = ((x - x.mean(0)) / (x.std(0) + 1e-6)).astype(np.float32)
    x = x.reshape(-1, 1, SIDE, SIDE) if images else x
    schema = Schema(
        kind="images" if images else "table",
        task="classification",
        target="y",
        features=() if images else tuple(f"x{i}" for i in range(x.shape[1])),
        shape=x.shape[1:],
        classes=tuple(map(str, np.unique(y))),
    )
    records, order = Split(x, y.astype(np.int64), np.arange(len(x))), np.random.default_rng(0).permutation(len(x))
    parts = ((np.setdiff1d(order, order[fold::5]), order[fold::5]) for fold in range(5))
    return [Dataset(schema, records.take(train), *[records.take(held_out)] * 2) for train, held_out in parts]


def trials() -> list[Chosen]:
    """Return what trials chose."""
    random = np.random.default_rng(1)
    low, high = (-3.5, -5.0, 0.05), (-2.0, -2.0, 0.5)
    drawn = random.uniform(low, high, (TRIALS, 3))
    return [Chosen(float(10**lr), float(10**decay), float(dropout)) for lr, decay, dropout in drawn]


def tensors(data: Dataset) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return training rows and rows held out."""
    x, y, held_x, held_y = (torch.from_numpy(a) for part in (data.train, data.validation) for a in (part.x, part.y))
    if x.ndim == 4:
        x, held_x = (part.contiguous(memory_format=torch.channels_last) for part in (x, held_x))
    return x, y, held_x, held_y


def by_hand(chosen: Chosen, data: Dataset) -> float:
    """Train as a person would write it; return the accuracy of the epoch that is kept."""
    x, y, held_x, held_y = tensors(data)
    network = chosen.network(data)
    weights = list(network.parameters())
    matrices, rest = ([p for p in weights if (p.ndim > 1) == wanted] for wanted in (True, False))
    groups = [{"params": matrices, "weight_decay": chosen.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups if chosen.weight_decay else weights, lr=chosen.lr, weight_decay=0.0, fused=True
    )
    lowest, accuracy, kept = float("inf"), 0.0, {}
    for epoch in range(EPOCHS):
        torch.manual_seed(derive_seed(0, epoch))
        network.train()
        for index in shuffled_order(len(x), 0, lambda: epoch)().split(BATCH):  # noqa: B023 (called at once)
            loss = functional.cross_entropy(network(x[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            out = network(held_x)
            held_out = float(functional.cross_entropy(out, held_y))
        if held_out < lowest:
            lowest, accuracy = held_out, float((out.argmax(1) == held_y).float().mean())
            kept = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    return accuracy


class Plain(pl.LightningModule):
    """The same network as Lightning's documentation would have it trained."""

    def __init__(self, network: nn.Module, chosen: Chosen) -> None:
        super().__init__()
        self.network, self.chosen = network, chosen

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        loss = functional.cross_entropy(self.network(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Log the loss and the accuracy of a batch."""
        out = self.network(batch[0])
        self.log("val_loss", functional.cross_entropy(out, batch[1]))
        self.log("val_accuracy", (out.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser."""
        return torch.optim.AdamW(self.parameters(), lr=self.chosen.lr, weight_decay=self.chosen.weight_decay)


def by_lightning(chosen: Chosen, data: Dataset) -> None:
    """Train by Lightning with its default logger, checkpoint and bar."""
    x, y, held_x, held_y = tensors(data)
    quiet = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        trainer = pl.Trainer(max_epochs=EPOCHS, accelerator="cpu", default_root_dir=folder)
        batches = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
        held_out = DataLoader(TensorDataset(held_x, held_y), batch_size=BATCH)
        trainer.fit(Plain(chosen.network(data), chosen), batches, held_out)


def stacked(chosen: list[Chosen], data: list[Dataset]) -> list[float]:
    """Train all at once; return the accuracy of the epoch that is kept, of each."""
    jobs = [one.job(rows) for one, rows in zip(chosen, data, strict=True)]
    found = []
    for outcome in fit_vectorized("bench", jobs, lambda *_: ()):
        assert outcome is not None
        found.append(outcome.metrics_by_epoch[outcome.best_epoch - 1]["val/accuracy"])
    return found


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds that a call takes, and what it returns."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def measure(chosen: list[Chosen], data: list[Dataset], *, lightning: bool) -> dict[str, Any]:
    """Return CPU seconds of each way, the medians of their ratios, and how far accuracies are apart."""
    pairs = list(zip(chosen, data, strict=True))
    ways: dict[str, Callable[[], Any]] = {
        "stacked": lambda: stacked(chosen, data),
        "by_hand": lambda: [by_hand(*pair) for pair in pairs],
    }
    if lightning:
        ways["lightning"] = lambda: [by_lightning(*pair) for pair in pairs]
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    accuracies: dict[str, Any] = {}
    for turn in range(ROUNDS + 1):
        for way in islice([*ways, *ways], turn % len(ways), turn % len(ways) + len(ways)):
            took, accuracies[way] = spent(ways[way])
            seconds[way] += [took] if turn else []  # the first round warms up
    mine, theirs = accuracies["stacked"], accuracies["by_hand"]
    ratios = {
        f"of_{way}": median(one / other for one, other in zip(seconds["stacked"], took, strict=True))
        for way, took in seconds.items()
        if way != "stacked"
    }
    apart = max(abs(one - other) for one, other in zip(mine, theirs, strict=True))
    rows = len(data[0].validation)
    return {"cpu_seconds": seconds, **ratios, "accuracies": mine, "rows_apart": round(apart * rows), "held_out": rows}


def main() -> int:
    """Measure both, print the table, keep the result."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    measured = {}
    for source in SOURCES:
        parts = folds(source)
        measured[f"{source}, 5 folds"] = measure([Chosen()] * 5, parts, lightning=True)
        measured[f"{source}, {TRIALS} trials"] = measure(trials(), parts[:1] * TRIALS, lightning=False)
    convolutional = [Chosen(channels=(8, 16))] * 5
    measured["digits, 5 folds of images"] = measure(convolutional, folds("digits", images=True), lightning=False)
    head = ("CPU time", "stacked, s", "by hand, s", "of by hand", "of Lightning", "rows apart at most")
    print(table(head, [_row(name, found) for name, found in measured.items()]))
    return finish("stacked", measured, [each for name, found in measured.items() for each in _results(name, found)])


def _row(name: str, found: dict[str, Any]) -> tuple[object, ...]:
    times = (median(found["cpu_seconds"][way]) for way in ("stacked", "by_hand"))
    return (name, *times, found["of_by_hand"], found.get("of_lightning", "-"), found["rows_apart"])


def _results(name: str, found: dict[str, Any]) -> list[Result]:
    kind = name.rpartition(" ")[2]
    key = name.replace(", ", "_").replace(" ", "_")
    results = [Result(f"{key}_stacked_time_of_by_hand", found["of_by_hand"], BARS[kind])]
    if "of_lightning" in found:
        results.append(Result(f"{key}_stacked_time_of_lightning", found["of_lightning"], BARS["lightning"]))
    return [*results, Result(f"{key}_rows_told_otherwise", found["rows_apart"], 0)]


if __name__ == "__main__":
    sys.exit(main())
