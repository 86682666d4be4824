"""Small projects in which every family trains in a moment."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

Tree = dict[str, Any]

CYCLE = {"downsampling": 1, "blocks": 1, "critic": {"filters": 4, "layers": 1}, "output": "sigmoid"}

FAMILIES: Mapping[str, tuple[str, Tree]] = {
    "mlp": ("bars", {"family": "mlp", "hidden": [8]}),
    "cnn": ("bars", {"family": "cnn", "architecture": "stack", "channels": [4], "dense": [8]}),
    "rnn": ("waves", {"family": "rnn", "cell": "gru", "hidden": [4]}),
    "autoencoder": ("bars", {"family": "autoencoder", "architecture": "dense", "hidden": [8], "latent": 2}),
    "gan": ("bars", {"family": "gan", "architecture": "dense", "hidden": [8], "latent": 4, "validate_every": 1}),
    "cyclegan": ("bars", {"family": "cyclegan", "filters": 2, "validate_every": 1, **CYCLE}),
}
"""Dataset and network of a model of each family, which has its name."""

SPLIT = {"validation": 0.2, "test": 0.2, "by": "stratified"}


def write_project(folder: Path, models: Tree, **training: Any) -> None:
    """Write sources and params.yaml; models: blocks that differ from `model_of`."""
    (folder / ".dvc").mkdir()
    _bars(folder / "bars.npz")
    _waves(folder / "waves.npz")
    mixes(folder / "mixes.csv")
    classed = {"task": "classification", "split": SPLIT}
    drawn = {**SPLIT, "by": "random"}
    tree = {
        "seed": 1,
        "training": {
            "max_epochs": 2,
            "batch_size": 16,
            "optimizer": {"name": "adam", "lr": 0.01},
            "accelerator": "cpu",
            **training,
        },
        "datasets": {
            "bars": {"kind": "images", "source": "bars.npz", "normalize": "minmax", **classed},
            "waves": {"kind": "sequences", "source": "waves.npz", "normalize": "standard", **classed},
            "mixes": {
                "kind": "table", "source": "mixes.csv", "task": "regression", "target": "y", "split": drawn,
                "normalize": "standard",
            },
        },
        "models": models,
    }  # fmt: skip
    YAML().dump(json.loads(json.dumps(tree)), folder / "params.yaml")


def model_of(dataset: str, network: Tree, **changes: Any) -> Tree:
    """A block of a model."""
    block = {"dataset": dataset, "depends_on": "none", "select": {"method": "none"}, "network": network, "training": {}}
    return copy.deepcopy(block | changes)


def mixes(path: Path, n: int = 90, altered: Any = ()) -> None:
    """Write a table of which a line tells the most; rows `altered` are other ones, of the same types."""
    random = np.random.default_rng(0)
    x = random.normal(size=(n, 3))
    y = x @ [1.0, -2.0, 0.5] + random.normal(0, 0.1, n)
    for row in altered:
        x[row], y[row] = x[row] * 30 + 7, 50 - y[row]
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}).to_csv(path, index=False)


def _bars(path: Path, n: int = 60) -> None:
    random = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = random.integers(0, 60, (n, 8, 8)).astype(np.uint8)
    x[y == 0, :, 2:5] += 150
    x[y == 1, 2:5] += 150
    np.savez(path, x=x, y=y)


def _waves(path: Path, n: int = 40) -> None:
    random = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = np.sin(np.arange(6) * (1.0 + y[:, None])) + random.normal(0, 0.1, (n, 6))
    np.savez(path, x=x, y=y)
