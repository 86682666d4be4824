"""Whole fits against a loop written by hand over tensors in memory, one thread, interleaved.

The loop by hand shuffles, indexes, runs forward, backward and step, and computes the validation loss of each epoch.
`same layout` uses the layer order of fivefold (pooling before ReLU, channels last) in the loop by hand too.
"""

import contextlib
import io
import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fivefold.config.models import Model
from fivefold.data.dataset import Dataset, Split
from fivefold.data.schema import Schema
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.training.fit import fit

from .measure import Result, finish, seconds, table

ROUNDS = 7
HELD_OUT = 256

Loop = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A network: the block for fivefold, and `make`, which builds it for the loop by hand.

    hold: upper limit of the time of fivefold relative to that of the loop by hand.
    """

    name: str
    hold: float
    shape: tuple[int, ...]
    classes: int
    rows: int
    epochs: int
    batch: int
    network: dict[str, Any]
    make: Callable[[], nn.Module]
    channels_last: bool = False
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Number of steps of a fit."""
        return self.epochs * -(-self.rows // self.batch)


class Lstm(nn.Module):
    """An LSTM with a dense layer on its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(8, 64, batch_first=True)
        self.head = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, 5) of sequences (b, t, 8)."""
        steps, _ = self.cell(x)
        out: Tensor = self.head(steps[:, -1])
        return out


def mlp() -> nn.Module:
    """Return the network of the default project."""
    return nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))


def cnn(*, pool_first: bool = False) -> nn.Module:
    """Return the tutorial network."""
    layers: list[nn.Module] = []
    for before, after in ((1, 16), (16, 32)):
        pair = [nn.MaxPool2d(2), nn.ReLU()] if pool_first else [nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(before, after, 3, padding=1), *pair]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1568, 128), nn.ReLU(), nn.Linear(128, 10))


TUTORIAL = {"family": "cnn", "architecture": "tutorial"}
IMAGES: dict[str, Any] = {"shape": (1, 28, 28), "classes": 10, "rows": 6400, "epochs": 3, "batch": 64}
CASES = (
    Case("mlp", 1.8, (30,), 2, 3200, 10, 32, {"family": "mlp", "hidden": [64, 32]}, mlp),
    Case(
        "cnn, same layout", 1 / 0.95, **IMAGES, network=TUTORIAL, make=lambda: cnn(pool_first=True), channels_last=True
    ),
    Case("cnn, plain layout", 1 / 1.25, **IMAGES, network=TUTORIAL, make=cnn),
    Case(
        "lstm",
        1.1,
        (50, 8),
        5,
        3200,
        6,
        64,
        {"family": "rnn", "cell": "lstm", "hidden": [64], "dropout": 0.0},
        Lstm,
    ),
)


def dataset_of(case: Case) -> Dataset:
    """Return random rows; the time does not depend on their values."""
    random = np.random.default_rng(0)
    kind = {1: "table", 2: "series", 3: "images"}[len(case.shape)]
    schema = Schema(
        kind=kind,  # type: ignore[arg-type]
        task="classification",
        target="y",
        features=tuple(f"x{i}" for i in range(case.shape[-1])) if kind != "images" else (),
        shape=case.shape,
        classes=tuple(map(str, range(case.classes))),
    )
    x = random.normal(size=(case.rows, *case.shape)).astype(np.float32)
    train = Split(x, random.integers(0, case.classes, case.rows), np.arange(case.rows))
    held_out = train.take(np.arange(HELD_OUT))
    return Dataset(schema, train, held_out, held_out)


def by_hand(case: Case, data: Dataset) -> None:
    """Train in a loop written by hand."""
    torch.manual_seed(0)
    network = case.make()
    x, y = torch.from_numpy(data.train.x), torch.from_numpy(data.train.y)
    held_x, held_y = torch.from_numpy(data.validation.x), torch.from_numpy(data.validation.y)
    if case.channels_last:
        network = network.to(memory_format=torch.channels_last)
        x, held_x = (part.contiguous(memory_format=torch.channels_last) for part in (x, held_x))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    for _ in range(case.epochs):
        total = torch.zeros(())
        network.train()
        for index in torch.randperm(len(x)).split(case.batch):
            loss = functional.cross_entropy(network(x[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(index)
        network.eval()
        with torch.no_grad():
            functional.cross_entropy(network(held_x), held_y)


def train_with_fivefold(case: Case, data: Dataset, work: Path) -> None:
    """Train with `fivefold.training.fit`."""
    tree = {
        "dataset": "bench",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": case.network,
        "training": {
            "max_epochs": case.epochs,
            "patience": 0,
            "batch_size": case.batch,
            "optimizer": {"name": "adamw", "lr": 1e-3},
            "accelerator": "cpu",
            **case.training,
        },
    }
    model = Model.model_validate_json(json.dumps(tree))
    with contextlib.redirect_stdout(io.StringIO()):
        fit(
            "bench",
            model,
            data,
            Pipeline("float32", ()),
            seed=0,
            checkpoint_folder=work / secrets.token_hex(8),
            on_epoch=lambda *_: None,
        )


def alternate(loops: tuple[Loop, Loop]) -> Iterator[tuple[float, float]]:
    """Yield the seconds of both loops per round, alternating which is first; the first round is a warm-up."""
    for order in islice(cycle([(0, 1), (1, 0)]), ROUNDS + 1):
        times = {i: seconds(loops[i]) for i in order}
        yield times[0], times[1]


def measure(case: Case, work: Path) -> dict[str, Any]:
    """Return the seconds of whole fits and the median of their ratios."""
    data = dataset_of(case)
    rounds = list(alternate((lambda: train_with_fivefold(case, data, work), lambda: by_hand(case, data))))[1:]
    fivefold, by_hand_seconds = ([pair[i] for pair in rounds] for i in (0, 1))
    return {
        "steps": case.steps,
        "ours_seconds": fivefold,
        "by_hand_seconds": by_hand_seconds,
        "ratio": median(one / other for one, other in rounds),
        "throughput": median(other / one for one, other in rounds),
    }


def main() -> int:
    """Measure every case, print the table, write the result."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        measured = {case.name: measure(case, Path(folder)) for case in CASES}
    head = ("whole fit", "steps", "by hand, ms per step", "fivefold, ms per step", "time", "throughput")
    print(table(head, [_row(name, result) for name, result in measured.items()]))
    return finish("training", measured, [_result(case, measured[case.name]["ratio"]) for case in CASES])


def _row(name: str, result: dict[str, Any]) -> tuple[object, ...]:
    times = (1e3 * median(result[key]) / result["steps"] for key in ("by_hand_seconds", "ours_seconds"))
    return (name, result["steps"], *times, result["ratio"], result["throughput"])


def _result(case: Case, ratio: float) -> Result:
    return Result(f"{case.name.replace(', ', '_').replace(' ', '_')}_time_of_by_hand", ratio, round(case.hold, 3))


if __name__ == "__main__":
    sys.exit(main())
