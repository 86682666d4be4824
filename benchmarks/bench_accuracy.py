"""How well the models of the project and of its examples do, over several seeds.

    python -m benchmarks.bench_accuracy [--reported] [EXAMPLE ...]

Each model goes through what the stages call, in this process: prepare, scaling, selection, fit, score. A seed draws the
rows of the three sets, unless the source or time gives them, and the training. An example whose source is not on this
machine is skipped; what was measured of it before stays in results/accuracy.json, as it does of examples not named.

With --reported nothing runs: models that were never measured get what their committed reports/<model>/metrics.json has,
one seed that the stages ran. The file says so of them, and no table takes them for other seeds.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from fivefold.config.datasets import DatasetConfig as DatasetParams
from fivefold.config.loading import load_params
from fivefold.config.models import Model
from fivefold.config.schema import Params
from fivefold.data.dataset import Dataset
from fivefold.data.prepare import prepare, read_raw_dataset
from fivefold.data.source import resolve_source
from fivefold.data.splitting import split_folds
from fivefold.errors import DataError
from fivefold.evaluation.metrics import naive_scores, score_target
from fivefold.evaluation.predict import predict_for_metrics
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.preprocessing.selection import fit_selection
from fivefold.training.fit import FitResult, fit

from .measure import DEFAULT, RESULTS, ROOT, Result, environment, finish, table

OF_RECORDS = ("autoencoder", "gan", "cyclegan")
"""Families that learn no targets."""

SEEDS = (0, 1, 2)
PATIENCE = 60
"""Seconds of the processor that a run may take; beyond, one seed must do."""
FOR_A_GPU = ("fashion_mnist_gpu",)
"""Examples that take hours without one, and are skipped then."""
FOLDS = {"breast_cancer": 5}
"""Datasets of which every row is a test row once, as their published results have it: the value is the folds' mean."""
VALIDATION_FOLDS = 7
"""One of so many parts of a fold's training rows chooses the best epoch."""


class Bar(NamedTuple):
    """What the mean over seeds must hold."""

    metric: str
    sign: Literal[">=", "<="]
    value: float

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


BARS = {
    "fashion_mnist/fashion_mlp": Bar("accuracy", ">=", 0.895),
    "fashion_mnist/tutorial_cnn": Bar("accuracy", ">=", 0.915),
    "fashion_mnist_gpu/fashion_resnet": Bar("accuracy", ">=", 0.949),
    "forecasting/airline": Bar("rmse", "<=", 17.0),
    "forecasting/sunspots": Bar("rmse", "<=", 19.5),
    "forecasting/sunspots_lstm": Bar("rmse", "<=", 19.5),
    "language/lstm": Bar("bits_per_token", "<=", 1.95),
    "reviews/pairs": Bar("accuracy", ">=", 0.80),
    "tables/breast_cancer": Bar("accuracy", ">=", 0.965),
    "tables/concrete": Bar("r2", ">=", 0.90),
    "tables/digits": Bar("accuracy", ">=", 0.985),
    "tables/penguins": Bar("accuracy", ">=", 0.98),
    "ucr/italy_lstm": Bar("accuracy", ">=", 0.955),
    "ucr/leaf_resnet": Bar("accuracy", ">=", 0.95),
    "ucr/pickup_resnet": Bar("accuracy", ">=", 0.75),
}
"""By example and model; a model without one is measured all the same, by its leading metric."""


@dataclass(frozen=True)
class Run:
    """What came of one seed: scores of the test rows, epochs and seconds of training, seconds of the processor in all.

    Of folds scores and epochs are means.
    """

    seed: int
    scores: dict[str, float]
    epochs: float
    seconds: float
    processor_seconds: float


def run(name: str, params: Params, seed: int) -> Run:
    """Prepare, fit and score model `name` with a seed, on each division of its rows."""
    started = time.process_time()
    model = params.model(name)
    block = params.dataset(model.dataset)
    parts = [_fitted(name, model, block, dataset, seed) for dataset in divided(model.dataset, block, seed)]
    scores = {metric: fmean(found[metric] for _, found in parts) for metric in parts[0][1]}
    epochs, seconds = fmean(len(fitted.history) for fitted, _ in parts), sum(fitted.seconds for fitted, _ in parts)
    return Run(seed, scores, epochs, seconds, time.process_time() - started)


def divided(name: str, block: DatasetParams, seed: int) -> Iterator[Dataset]:
    """Yield a dataset as `prepare` divides it, or, if it is in FOLDS, once for each fold, whose rows are test rows."""
    if name not in FOLDS:
        yield prepare(block, seed)[0]
        return
    raw, none = read_raw_dataset(block), np.arange(0)
    every = {"train": np.arange(len(raw.keys.y)), "validation": none}
    for rest, test in split_folds(raw.keys, every, block.split.by, FOLDS[name], seed):
        inner = split_folds(raw.keys, {"train": rest, "validation": none}, block.split.by, VALIDATION_FOLDS, seed)
        train, validation = next(inner)
        yield raw.encode({"train": train, "validation": validation, "test": test})


def _fitted(
    name: str, model: Model, block: DatasetParams, dataset: Dataset, seed: int
) -> tuple[FitResult, dict[str, float]]:
    """Return a model fitted to a division of rows, and its scores on the test rows."""
    train, test, schema = dataset.train, dataset.test, dataset.schema
    scaling = fit_scaling(train.x, schema, block)
    selected = fit_selection(scaling(train.x), train.y, schema, model.select, seed, scaling.feature_names)
    chain = scaling.with_steps(*selected.steps)
    with tempfile.TemporaryDirectory() as checkpoints, contextlib.redirect_stdout(io.StringIO()):
        fitted = fit(
            name, model, dataset, chain, seed=seed, checkpoint_folder=Path(checkpoints) / name, on_epoch=lambda *_: None
        )
    schema = fitted.trained_model.schema
    return fitted, score_target(schema, test.y, predict_for_metrics(fitted.trained_model, test)) | naive_scores(
        schema, test
    )


def measured(example: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Return an entry for each model of an example whose source is there; say which are skipped."""
    params = load_params(folder / "params.yaml")
    entries: dict[str, dict[str, Any]] = {}
    if example in FOR_A_GPU and not torch.cuda.is_available():
        print(f"{example} is skipped: it takes hours without a GPU", flush=True)
        return entries
    with contextlib.chdir(folder):  # sources are relative to it
        for name, model in params.models.items():
            try:
                resolve_source(params.dataset(model.dataset))
            except DataError as error:
                print(f"{example}/{name} is skipped: {error}", flush=True)
                continue
            if model.network.family in OF_RECORDS or model.source_model:
                print(f"{example}/{name} is skipped: bench_autoencoders and bench_adversarial measure such", flush=True)
                continue
            entries[f"{example}/{name}"] = _entry(f"{example}/{name}", name, params)
    return entries


def _entry(key: str, name: str, params: Params) -> dict[str, Any]:
    runs: list[Run] = []
    for seed in SEEDS:
        runs.append(run(name, params, seed))
        print(f"{key}, seed {seed}: {_told(runs[-1].scores)}, {runs[-1].seconds:.1f} s", flush=True)
        if runs[-1].processor_seconds > PATIENCE:
            break
    metric = BARS[key].metric if key in BARS else next(iter(runs[0].scores))
    values = [one.scores[metric] for one in runs]
    return {
        "dataset": params.model(name).dataset,
        "metric": metric,
        "mean": fmean(values),
        "deviation": stdev(values) if len(values) > 1 else None,
        "folds": FOLDS.get(params.model(name).dataset),
        "runs": [vars(one) for one in runs],
        "environment": environment(),
    }


def reported(example: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Return an entry for each model of an example that has a report."""
    params = load_params(folder / "params.yaml")
    entries: dict[str, dict[str, Any]] = {}
    for name, model in params.models.items():
        path = folder / f"reports/{name}/metrics.json"
        if not path.exists():
            print(f"{example}/{name} is skipped: {path.relative_to(ROOT)} does not exist", flush=True)
            continue
        key, scores = f"{example}/{name}", json.loads(path.read_text())["test"]
        metric = BARS[key].metric if key in BARS else next(iter(scores))
        entries[key] = {
            "dataset": model.dataset,
            "metric": metric,
            "mean": scores[metric],
            "deviation": None,
            "folds": None,
            "runs": [{"seed": params.seed, "scores": scores}],
            "reported": path.relative_to(ROOT).as_posix(),
        }
    return entries


def _told(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


def folders() -> dict[str, Path]:
    """Return the folder of each example by its name, and that of the project."""
    found = {path.parent.name: path.parent for path in sorted((ROOT / "examples").glob("*/params.yaml"))}
    return {DEFAULT: ROOT, **found}


def known(path: Path) -> dict[str, dict[str, Any]]:
    """Return what was measured before of models that are still there."""
    kept = json.loads(path.read_text())["measured"] if path.exists() else {}
    there = {
        f"{example}/{name}"
        for example, folder in folders().items()
        for name in load_params(folder / "params.yaml").models
    }
    return {key: entry for key, entry in kept.items() if key in there}


def row(key: str, entry: dict[str, Any]) -> tuple[object, ...]:
    """Return an entry as a row of the table."""
    values, deviation = f"{entry['mean']:.4f}", entry["deviation"]
    spread = "" if deviation is None else f"{deviation:.4f}"
    bar = str(BARS.get(key, ""))
    seeds = f"{len(entry['runs'])}, reported" if "reported" in entry else len(entry["runs"])
    return key, entry["dataset"], entry["metric"], values, spread, seeds, bar


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    there = folders()
    parser.add_argument("example", nargs="*", help=f"one or more of {', '.join(there)}; left out: all")
    parser.add_argument("--reported", action="store_true", help="take committed reports of what was never measured")
    asked = parser.parse_args()
    named = asked.example or list(there)
    if unknown := set(named) - set(there):
        parser.error(f"{', '.join(sorted(unknown))} must be of {', '.join(there)}")
    before, fresh = known(RESULTS / "accuracy.json"), dict[str, dict[str, Any]]()
    for example in named:
        fresh |= (reported if asked.reported else measured)(example, there[example])
    own = {key: entry for key, entry in before.items() if asked.reported and "reported" not in entry}
    entries = dict(sorted((before | fresh | own).items()))
    head = ("model", "dataset", "metric", "mean", "deviation", "seeds", "bar")
    print(table(head, (row(key, entry) for key, entry in entries.items())))
    better: dict[str, Literal["lower", "higher"]] = {"<=": "lower", ">=": "higher"}
    results = [
        Result(key, entry["mean"], BARS[key].value, better[BARS[key].sign])
        for key, entry in entries.items()
        if key in BARS
    ]
    return finish("accuracy", entries, results)


if __name__ == "__main__":
    sys.exit(main())
