"""Folds and trials of a small network as one vectorized program, against sequential loops by hand and Lightning.

One thread, interleaved, in CPU time, which other load on the machine hardly affects. The loop by hand uses the same
batches, initial weights and dropout, validates each epoch and saves the best weights.
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
"""Height and width of digits in pixels."""
SOURCES: dict[str, Callable[..., Any]] = {"digits": load_digits, "breast_cancer": load_breast_cancer}
BARS = {"folds": 0.30, "trials": 0.25, "images": 0.50, "lightning": 0.10}


@dataclass(frozen=True)
class TrialParams:
    """Parameters of a trial; a convolutional network if it has channels, else a feed-forward one."""

    lr: float = 0.003
    weight_decay: float = 0.0
    dropout: float = 0.0
    channels: tuple[int, ...] = ()

    def job(self, data: Dataset) -> Job:
        """Return the training job."""
        network: dict[str, Any] = {"family": "mlp", "hidden": [64, 32]}
        if self.channels:
            network = {
                "family": "cnn",
                "architecture": "plain",
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
        """Return the same network as a sequential module."""
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
    """Return five folds of a scikit-learn dataset, standardized; digits as images if `images`."""
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
    rows, order = Split(x, y.astype(np.int64), np.arange(len(x))), np.random.default_rng(0).permutation(len(x))
    indices = ((np.setdiff1d(order, order[fold::5]), order[fold::5]) for fold in range(5))
    return [Dataset(schema, rows.take(train), *[rows.take(held_out)] * 2) for train, held_out in indices]


def trials() -> list[TrialParams]:
    """Return the parameters of random trials."""
    random = np.random.default_rng(1)
    low, high = (-3.5, -5.0, 0.05), (-2.0, -2.0, 0.5)
    drawn = random.uniform(low, high, (TRIALS, 3))
    return [TrialParams(float(10**lr), float(10**decay), float(dropout)) for lr, decay, dropout in drawn]


def tensors(data: Dataset) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return inputs and targets of training rows, then of held-out rows."""
    x, y, held_x, held_y = (torch.from_numpy(a) for part in (data.train, data.validation) for a in (part.x, part.y))
    if x.ndim == 4:
        x, held_x = (part.contiguous(memory_format=torch.channels_last) for part in (x, held_x))
    return x, y, held_x, held_y


def by_hand(params: TrialParams, data: Dataset) -> float:
    """Train in a loop written by hand and return the accuracy of the best epoch."""
    x, y, held_x, held_y = tensors(data)
    network = params.network(data)
    weights = list(network.parameters())
    matrices, rest = ([p for p in weights if (p.ndim > 1) == wanted] for wanted in (True, False))
    groups = [{"params": matrices, "weight_decay": params.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups if params.weight_decay else weights, lr=params.lr, weight_decay=0.0, fused=True
    )
    lowest, accuracy, best_weights = float("inf"), 0.0, {}
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
            val_loss = float(functional.cross_entropy(out, held_y))
        if val_loss < lowest:
            lowest, accuracy = val_loss, float((out.argmax(1) == held_y).float().mean())
            best_weights = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best_weights)
    return accuracy


class PlainModule(pl.LightningModule):
    """The same network in a module as in the documentation of Lightning."""

    def __init__(self, network: nn.Module, params: TrialParams) -> None:
        super().__init__()
        self.network, self.params = network, params

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
        """Return the optimizer."""
        return torch.optim.AdamW(self.parameters(), lr=self.params.lr, weight_decay=self.params.weight_decay)


def by_lightning(params: TrialParams, data: Dataset) -> None:
    """Train with Lightning and its default logger, checkpoints and progress bar."""
    x, y, held_x, held_y = tensors(data)
    quiet = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        trainer = pl.Trainer(max_epochs=EPOCHS, accelerator="cpu", default_root_dir=folder)
        batches = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
        held_out = DataLoader(TensorDataset(held_x, held_y), batch_size=BATCH)
        trainer.fit(PlainModule(params.network(data), params), batches, held_out)


def vectorized(trial_params: list[TrialParams], data: list[Dataset]) -> list[float]:
    """Train all at once and return the accuracy of the best epoch of each."""
    jobs = [params.job(rows) for params, rows in zip(trial_params, data, strict=True)]
    accuracies = []
    for outcome in fit_vectorized("bench", jobs, lambda *_: ()):
        assert outcome is not None
        accuracies.append(outcome.metrics_by_epoch[outcome.best_epoch - 1]["val/accuracy"])
    return accuracies


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a call and its result."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def measure(trial_params: list[TrialParams], data: list[Dataset], *, lightning: bool) -> dict[str, Any]:
    """Return the CPU seconds of each method, the medians of their ratios, and the difference of accuracies."""
    pairs = list(zip(trial_params, data, strict=True))
    methods: dict[str, Callable[[], Any]] = {
        "stacked": lambda: vectorized(trial_params, data),
        "by_hand": lambda: [by_hand(*pair) for pair in pairs],
    }
    if lightning:
        methods["lightning"] = lambda: [by_lightning(*pair) for pair in pairs]
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    accuracies: dict[str, Any] = {}
    for turn in range(ROUNDS + 1):
        for method in islice([*methods, *methods], turn % len(methods), turn % len(methods) + len(methods)):
            duration, accuracies[method] = timed(methods[method])
            seconds[method] += [duration] if turn else []  # the first round is a warm-up
    own, reference = accuracies["stacked"], accuracies["by_hand"]
    ratios = {
        f"of_{method}": median(one / other for one, other in zip(seconds["stacked"], durations, strict=True))
        for method, durations in seconds.items()
        if method != "stacked"
    }
    difference = max(abs(one - other) for one, other in zip(own, reference, strict=True))
    rows = len(data[0].validation)
    return {
        "cpu_seconds": seconds,
        **ratios,
        "accuracies": own,
        "rows_apart": round(difference * rows),
        "held_out": rows,
    }


def main() -> int:
    """Measure folds and trials, print the table, write the result."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    measured = {}
    for source in SOURCES:
        datasets = folds(source)
        measured[f"{source}, 5 folds"] = measure([TrialParams()] * 5, datasets, lightning=True)
        measured[f"{source}, {TRIALS} trials"] = measure(trials(), datasets[:1] * TRIALS, lightning=False)
    convolutional = [TrialParams(channels=(8, 16))] * 5
    measured["digits, 5 folds of images"] = measure(convolutional, folds("digits", images=True), lightning=False)
    head = ("CPU time", "vectorized, s", "by hand, s", "ratio", "ratio to Lightning", "different rows, at most")
    print(table(head, [_row(name, result) for name, result in measured.items()]))
    return finish("stacked", measured, [limit for name, result in measured.items() for limit in _results(name, result)])


def _row(name: str, result: dict[str, Any]) -> tuple[object, ...]:
    times = (median(result["cpu_seconds"][method]) for method in ("stacked", "by_hand"))
    return (name, *times, result["of_by_hand"], result.get("of_lightning", "-"), result["rows_apart"])


def _results(name: str, measured: dict[str, Any]) -> list[Result]:
    kind = name.rpartition(" ")[2]
    key = name.replace(", ", "_").replace(" ", "_")
    results = [Result(f"{key}_stacked_time_of_by_hand", measured["of_by_hand"], BARS[kind])]
    if "of_lightning" in measured:
        results.append(Result(f"{key}_stacked_time_of_lightning", measured["of_lightning"], BARS["lightning"]))
    return [*results, Result(f"{key}_different_predictions", measured["rows_apart"], 0)]


if __name__ == "__main__":
    sys.exit(main())
