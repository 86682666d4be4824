"""Anomalies: each class left out of training in turn, and found among test rows by the error of an autoencoder.

`python -m benchmarks.bench_anomalies` measures digits; `... fashion_mnist` the 70,000 images of that example too, ten
trainings of about a minute each. Beside it stands the error of a PCA of as many components, fitted to the same rows.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from fivefold.data.prepared import prepare
from fivefold.params.load import load_params
from fivefold.params.models import Model
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.scoring.judge import judge
from fivefold.training.fit import fit

from .measure import ROOT, Result, finish, table

SETS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    # where its params.yaml lies, the network, the training
    "digits": (".", {"hidden": [256, 128], "latent": 8}, {"max_epochs": 60, "batch_size": 64}),
    "fashion_mnist": (
        "examples/fashion_mnist",
        {"hidden": [512, 256], "latent": 16},
        {"max_epochs": 10, "batch_size": 256},
    ),
}


def measure(name: str) -> dict[str, dict[str, float]]:
    """Return the area under the ROC of each class left out, of an autoencoder and of a PCA."""
    folder, network, training = SETS[name]
    os.chdir(ROOT / folder)  # sources in params.yaml are relative to it
    params = load_params(Path("params.yaml"))
    block = params.datasets[name]
    dataset, _ = prepare(block, params.seed)
    chain = fit_scaling(dataset.train.x, dataset.schema, block)
    areas: dict[str, dict[str, float]] = {}
    for left_out in dataset.schema.classes:
        normal = [each for each in dataset.schema.classes if each != left_out]
        purpose = {"name": "anomaly", "normal": normal}
        tree = {
            "dataset": name,
            "uses": "none",
            "select": {"method": "none"},
            "network": {"family": "autoencoder", "activation": "silu", "purpose": purpose, **network},
            "training": {
                "patience": 0,
                "schedule": {"name": "one_cycle"},
                "optimizer": {"name": "adamw", "lr": 0.003},
                **training,
            },
        }
        model = Model.model_validate_json(json.dumps(tree))
        with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
            tell = {"seed": params.seed, "checkpoints": Path(work), "on_epoch": lambda *_: None}
            fitted = fit(name, model, dataset, chain, **tell)
        saved = replace(fitted.saved, facts={"params": {"seed": params.seed}})
        scores = judge(name, saved, dataset, fitted.history, fitted.checkup.measured).scores["test"]
        areas[left_out] = {"autoencoder": scores["auroc"], "pca": scores["pca_auroc"]}
        print(f"{name} without {left_out}: {scores['auroc']:.3f}, PCA {scores['pca_auroc']:.3f}", flush=True)
    return areas


def main() -> int:
    """Measure digits, and what else is named; print the table, keep the result."""
    names = ["digits", *(name for name in sys.argv[1:] if name != "digits")]
    measured = {name: measure(name) for name in names}
    results = []
    for name, areas in measured.items():
        rows = [(left_out, found["autoencoder"], found["pca"]) for left_out, found in areas.items()]
        ours, straight = (fmean(found[key] for found in areas.values()) for key in ("autoencoder", "pca"))
        print(table((f"{name}, left out", "autoencoder", "PCA"), [*rows, ("mean", ours, straight)]))
        results.append(Result(f"{name}_auroc_per_pca", ours / straight, 1.0, "higher"))
    os.chdir(ROOT)
    return finish("anomalies", measured, results)


if __name__ == "__main__":
    sys.exit(main())
