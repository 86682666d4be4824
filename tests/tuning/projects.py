"""Small projects in which every family trains within a second."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

Tree = dict[str, Any]

CYCLEGAN = {
    "downsampling": 1,
    "blocks": 1,
    "discriminator": {"filters": 4, "layers": 1},
    "output_activation": "sigmoid",
}

FAMILIES: Mapping[str, tuple[str, Tree]] = {
    "mlp": ("bars", {"family": "mlp", "hidden": [8]}),
    "cnn": ("bars", {"family": "cnn", "architecture": "plain", "channels": [4], "dense": [8]}),
    "rnn": ("waves", {"family": "rnn", "cell": "gru", "hidden": [4]}),
    "autoencoder": ("bars", {"family": "autoencoder", "architecture": "dense", "hidden": [8], "latent_dim": 2}),
    "gan": ("bars", {"family": "gan", "architecture": "dense", "hidden": [8], "latent_dim": 4, "validate_every": 1}),
    "cyclegan": ("bars", {"family": "cyclegan", "filters": 2, "validate_every": 1, **CYCLEGAN}),
}
"""Dataset and network block of a model of each family; the model is named after its family."""

SPLIT = {"validation": 0.2, "test": 0.2, "by": "stratified"}


def write_project(folder: Path, models: Tree, **training: Any) -> None:
    """Write data files and params.yaml with the given model blocks."""
    (folder / ".dvc").mkdir()
    _write_bars(folder / "bars.npz")
    _write_waves(folder / "waves.npz")
    write_mixes(folder / "mixes.csv")
    classification = {"task": "classification", "split": SPLIT}
    random_split = {**SPLIT, "by": "random"}
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
            "bars": {"kind": "images", "source": "bars.npz", "normalize": "minmax", **classification},
            "waves": {"kind": "sequences", "source": "waves.npz", "normalize": "standard", **classification},
            "mixes": {
                "kind": "table", "source": "mixes.csv", "task": "regression", "target": "y", "split": random_split,
                "normalize": "standard",
            },
        },
        "models": models,
    }  # fmt: skip
    YAML().dump(json.loads(json.dumps(tree)), folder / "params.yaml")


def model_block(dataset: str, network: Tree, **changes: Any) -> Tree:
    """Return the block of a model."""
    block = {"dataset": dataset, "depends_on": "none", "select": {"method": "none"}, "network": network, "training": {}}
    return copy.deepcopy(block | changes)


def write_mixes(path: Path, n: int = 90, altered: Any = ()) -> None:
    """Write a table with a nearly linear target; `altered` rows have other values of the same types."""
    random = np.random.default_rng(0)
    x = random.normal(size=(n, 3))
    y = x @ [1.0, -2.0, 0.5] + random.normal(0, 0.1, n)
    for row in altered:
        x[row], y[row] = x[row] * 30 + 7, 50 - y[row]
    pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}).to_csv(path, index=False)


def _write_bars(path: Path, n: int = 60) -> None:
    random = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = random.integers(0, 60, (n, 8, 8)).astype(np.uint8)
    x[y == 0, :, 2:5] += 150
    x[y == 1, 2:5] += 150
    np.savez(path, x=x, y=y)


def _write_waves(path: Path, n: int = 40) -> None:
    random = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = np.sin(np.arange(6) * (1.0 + y[:, None])) + random.normal(0, 0.1, (n, 6))
    np.savez(path, x=x, y=y)
