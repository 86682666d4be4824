"""Autoencoders against a PCA with as many components: errors by latent dimensions, and anomaly detection by error.

`python -m benchmarks.bench_autoencoders` measures digits; `... fashion_mnist` also the 70,000 images of that example, a
dozen trainings of about a minute each. For anomalies each class in turn is excluded from training and detected among
test rows by its reconstruction error.
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

ScoreFn = Callable[[dict[str, Any]], dict[str, float]]
"""Network block -> test scores."""


class Case(NamedTuple):
    """Folder of the dataset's params.yaml, hidden layers, training block, latent sizes, and the size for anomalies."""

    folder: str
    hidden: list[int]
    training: dict[str, Any]
    sizes: tuple[int, ...]
    anomaly_size: int


CASES = {
    "digits": Case(".", [256, 128], {"max_epochs": 60, "batch_size": 64}, (2, 4, 8, 16, 32), 8),
    "fashion_mnist": Case("examples/fashion_mnist", [512, 256], {"max_epochs": 10, "batch_size": 256}, (16, 32), 16),
}


def build_scorer(name: str, case: Case, classes: list[str]) -> ScoreFn:
    """Return a function that trains and evaluates an autoencoder; the dataset's classes are added to `classes`."""
    os.chdir(ROOT / case.folder)  # sources in params.yaml are relative to it
    params = load_params()
    block = params.datasets[name]
    dataset, _ = prepare(block, params.seed)
    chain = fit_scaling(dataset.train.x, dataset.schema, block)
    classes += dataset.schema.classes

    def score(network: dict[str, Any]) -> dict[str, float]:
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
            folder, silent = Path(work), lambda *_: None
            fitted = fit(name, model, dataset, chain, seed=params.seed, checkpoint_folder=folder, on_epoch=silent)
        trained_model = replace(fitted.trained_model, metadata={"params": {"seed": params.seed}})
        return evaluate(name, trained_model, dataset, fitted.history, fitted.diagnosis.measurements).scores["test"]

    return score


def sizes(name: str, case: Case, score: ScoreFn) -> dict[str, dict[str, float]]:
    """Return the mean squared error per pixel of an autoencoder and a PCA, by latent size."""
    errors = {}
    for latent in case.sizes:
        scores = score({"latent_dim": latent})
        errors[str(latent)] = {"autoencoder": scores["mse"], "pca": scores["pca_mse"]}
        print(f"{name}, {latent} dimensions: {scores['mse']:.4f}, PCA {scores['pca_mse']:.4f}", flush=True)
    return errors


def anomalies(name: str, case: Case, classes: list[str], score: ScoreFn) -> dict[str, dict[str, float]]:
    """Return the ROC AUC of an autoencoder and a PCA, by excluded class."""
    areas = {}
    for excluded in classes:
        normal = [label for label in classes if label != excluded]
        scores = score({"latent_dim": case.anomaly_size, "mode": {"name": "anomaly", "normal_classes": normal}})
        areas[excluded] = {"autoencoder": scores["roc_auc"], "pca": scores["pca_roc_auc"]}
        print(f"{name} without {excluded}: {scores['roc_auc']:.3f}, PCA {scores['pca_roc_auc']:.3f}", flush=True)
    return areas


def main() -> int:
    """Measure digits and the datasets named; print the tables, write the result."""
    measured: dict[str, Any] = {}
    results = []
    for name in ["digits", *(name for name in sys.argv[1:] if name != "digits")]:
        case, classes = CASES[name], list[str]()
        score = build_scorer(name, case, classes)
        by_size, areas = sizes(name, case, score), anomalies(name, case, classes, score)
        measured[name] = {"training": case.training, "sizes": by_size, "anomalies": areas}
        print(table((f"{name}, dimensions", "MSE", "PCA"), [(k, *v.values()) for k, v in by_size.items()]))
        autoencoder, pca = (fmean(area[key] for area in areas.values()) for key in ("autoencoder", "pca"))
        rows = [(excluded, *area.values()) for excluded, area in areas.items()]
        print(table((f"{name}, excluded", "ROC AUC", "PCA"), [*rows, ("mean", autoencoder, pca)]))
        worst = max(errors["autoencoder"] / errors["pca"] for errors in by_size.values())
        results.append(Result(f"{name}_largest_mse_per_pca", worst, 1.0))
        results.append(Result(f"{name}_auroc_per_pca", autoencoder / pca, 1.0, "higher"))
    os.chdir(ROOT)
    return finish("autoencoders", measured, results)


if __name__ == "__main__":
    sys.exit(main())
