"""Autoencoders beside a PCA of as many components, fitted to the same rows: errors by size, and anomalies by error.

`python -m benchmarks.bench_autoencoders` measures digits; `... fashion_mnist` the 70,000 images of that example too, a
dozen trainings of about a minute each. Of anomalies each class is left out of training in turn, and found among test
rows by the error of what is told of it.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from fivefold.config.loading import load_params
from fivefold.config.models import Model
from fivefold.data.prepare import prepare
from fivefold.evaluation.evaluate import evaluate
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.training.fit import fit

from .measure import ROOT, Result, finish, table

Scored = Callable[[dict[str, Any]], dict[str, float]]
"""A network's block -> its test scores."""


class Case(NamedTuple):
    """Where a dataset's params.yaml lies, how it is learnt, sizes of codes, and that for anomalies."""

    folder: str
    hidden: list[int]
    training: dict[str, Any]
    sizes: tuple[int, ...]
    anomalies: int


CASES = {
    "digits": Case(".", [256, 128], {"max_epochs": 60, "batch_size": 64}, (2, 4, 8, 16, 32), 8),
    "fashion_mnist": Case("examples/fashion_mnist", [512, 256], {"max_epochs": 10, "batch_size": 256}, (16, 32), 16),
}


def scorer(name: str, case: Case, classes: list[str]) -> Scored:
    """Return what trains an autoencoder on a dataset and scores it; its classes are added to `classes`."""
    os.chdir(ROOT / case.folder)  # sources in params.yaml are relative to it
    params = load_params()
    block = params.datasets[name]
    dataset, _ = prepare(block, params.seed)
    chain = fit_scaling(dataset.train.x, dataset.schema, block)
    classes += dataset.schema.classes

    def scored(network: dict[str, Any]) -> dict[str, float]:
        tree = {
            "dataset": name,
            "depends_on": "none",
            "select": {"method": "none"},
            "network": {"family": "autoencoder", "activation": "silu", "hidden": case.hidden, **network},
            "training": {
                "patience": 0,
                "schedule": {"name": "one_cycle"},
                "optimizer": {"name": "adamw", "lr": 0.003},
                **case.training,
            },
        }
        model = Model.model_validate_json(json.dumps(tree))
        with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
            where, silent = Path(work), lambda *_: None
            fitted = fit(name, model, dataset, chain, seed=params.seed, checkpoint_folder=where, on_epoch=silent)
        saved = replace(fitted.trained_model, metadata={"params": {"seed": params.seed}})
        return evaluate(name, saved, dataset, fitted.history, fitted.diagnosis.measurements).scores["test"]

    return scored


def sizes(name: str, case: Case, scored: Scored) -> dict[str, dict[str, float]]:
    """Return the mean squared error a pixel of each size of code, of an autoencoder and of a PCA."""
    found = {}
    for latent in case.sizes:
        scores = scored({"latent": latent})
        found[str(latent)] = {"autoencoder": scores["mse"], "pca": scores["pca_mse"]}
        print(f"{name}, {latent} numeric_transform: {scores['mse']:.4f}, PCA {scores['pca_mse']:.4f}", flush=True)
    return found


def anomalies(name: str, case: Case, classes: list[str], scored: Scored) -> dict[str, dict[str, float]]:
    """Return the area under the ROC of each class left out, of an autoencoder and of a PCA."""
    found = {}
    for left_out in classes:
        normal = [each for each in classes if each != left_out]
        scores = scored({"latent": case.anomalies, "mode": {"name": "anomaly", "normal": normal}})
        found[left_out] = {"autoencoder": scores["roc_auc"], "pca": scores["pca_roc_auc"]}
        print(f"{name} without {left_out}: {scores['roc_auc']:.3f}, PCA {scores['pca_roc_auc']:.3f}", flush=True)
    return found


def main() -> int:
    """Measure digits, and what else is named; print the tables, keep the result."""
    measured: dict[str, Any] = {}
    results = []
    for name in ["digits", *(name for name in sys.argv[1:] if name != "digits")]:
        case, classes = CASES[name], list[str]()
        scored = scorer(name, case, classes)
        by_size, areas = sizes(name, case, scored), anomalies(name, case, classes, scored)
        measured[name] = {"training": case.training, "sizes": by_size, "anomalies": areas}
        print(table((f"{name}, numbers", "MSE", "of a PCA"), [(k, *v.values()) for k, v in by_size.items()]))
        ours, straight = (fmean(found[key] for found in areas.values()) for key in ("autoencoder", "pca"))
        rows = [(left_out, *found.values()) for left_out, found in areas.items()]
        print(table((f"{name}, left out", "AUROC", "of a PCA"), [*rows, ("mean", ours, straight)]))
        worst = max(found["autoencoder"] / found["pca"] for found in by_size.values())
        results.append(Result(f"{name}_largest_mse_per_pca", worst, 1.0))
        results.append(Result(f"{name}_auroc_per_pca", ours / straight, 1.0, "higher"))
    os.chdir(ROOT)
    return finish("autoencoders", measured, results)


if __name__ == "__main__":
    sys.exit(main())
