"""Test scores of the models of the project and its examples, over several seeds.

    python -m benchmarks.bench_accuracy [--reported] [EXAMPLE ...]

Each model runs the functions that the stages call, in this process: prepare, scaling, selection, fit, evaluate. A seed
determines the split, unless the source or time does, and the training. An example whose source is not on this machine
is skipped; its earlier measurements stay in results/accuracy.json, as do those of examples not named.

With --reported nothing runs: models that were never measured get the scores of their committed
reports/<model>/metrics.json, one seed run by the stages. The file marks them, and tables do not count them as seeds.
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

from fivefold.config.datasets import DatasetConfig
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

UNSUPERVISED_FAMILIES = ("autoencoder", "gan", "cyclegan")
"""Families without a target."""

SEEDS = (0, 1, 2)
MAX_CPU_SECONDS = 60
"""CPU time of a run from which on one seed is enough."""
GPU_EXAMPLES = ("fashion_mnist_gpu",)
"""Examples that take hours without a GPU, and are skipped then."""
FOLDS = {"breast_cancer": 5}
"""Datasets evaluated by cross-validation, like their published results: the value is the mean over folds."""
VALIDATION_FOLDS = 7
"""One of this many parts of a fold's training rows selects the best epoch."""


class Bar(NamedTuple):
    """The limit of the mean over seeds."""

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
"""By example and model; a model without a limit is measured by its primary metric."""


@dataclass(frozen=True)
class Run:
    """The result of one seed: test scores, epochs and seconds of training, total CPU seconds.

    With folds, scores and epochs are means.
    """

    seed: int
    scores: dict[str, float]
    epochs: float
    seconds: float
    processor_seconds: float


def run(name: str, params: Params, seed: int) -> Run:
    """Prepare, fit and evaluate model `name` with a seed, on each split of its rows."""
    started = time.process_time()
    model = params.model(name)
    block = params.dataset(model.dataset)
    fits = [_fit_and_score(name, model, block, dataset, seed) for dataset in splits(model.dataset, block, seed)]
    scores = {metric: fmean(values[metric] for _, values in fits) for metric in fits[0][1]}
    epochs, seconds = fmean(len(result.history) for result, _ in fits), sum(result.seconds for result, _ in fits)
    return Run(seed, scores, epochs, seconds, time.process_time() - started)


def splits(name: str, block: DatasetConfig, seed: int) -> Iterator[Dataset]:
    """Yield the dataset as `prepare` splits it, or, if it is in FOLDS, once per fold, whose rows are the test rows."""
    if name not in FOLDS:
        yield prepare(block, seed)[0]
        return
    raw, empty = read_raw_dataset(block), np.arange(0)
    all_rows = {"train": np.arange(len(raw.keys.y)), "validation": empty}
    for rest, test in split_folds(raw.keys, all_rows, block.split.by, FOLDS[name], seed):
        inner = split_folds(raw.keys, {"train": rest, "validation": empty}, block.split.by, VALIDATION_FOLDS, seed)
        train, validation = next(inner)
        yield raw.encode({"train": train, "validation": validation, "test": test})


def _fit_and_score(
    name: str, model: Model, block: DatasetConfig, dataset: Dataset, seed: int
) -> tuple[FitResult, dict[str, float]]:
    """Return the model fitted to a split, and its scores on the test rows."""
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
    """Return an entry for each model of an example whose source exists; print which are skipped."""
    params = load_params(folder / "params.yaml")
    entries: dict[str, dict[str, Any]] = {}
    if example in GPU_EXAMPLES and not torch.cuda.is_available():
        print(f"{example} is skipped: it takes hours without a GPU", flush=True)
        return entries
    with contextlib.chdir(folder):  # sources are relative to it
        for name, model in params.models.items():
            try:
                resolve_source(params.dataset(model.dataset))
            except DataError as error:
                print(f"{example}/{name} is skipped: {error}", flush=True)
                continue
            if model.network.family in UNSUPERVISED_FAMILIES or model.source_model:
                print(f"{example}/{name} is skipped: see bench_autoencoders and bench_adversarial", flush=True)
                continue
            entries[f"{example}/{name}"] = _entry(f"{example}/{name}", name, params)
    return entries


def _entry(key: str, name: str, params: Params) -> dict[str, Any]:
    runs: list[Run] = []
    for seed in SEEDS:
        runs.append(run(name, params, seed))
        print(f"{key}, seed {seed}: {_format_scores(runs[-1].scores)}, {runs[-1].seconds:.1f} s", flush=True)
        if runs[-1].processor_seconds > MAX_CPU_SECONDS:
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


def _format_scores(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


def folders() -> dict[str, Path]:
    """Return the folder of the project and of each example, by name."""
    by_name = {path.parent.name: path.parent for path in sorted((ROOT / "examples").glob("*/params.yaml"))}
    return {DEFAULT: ROOT, **by_name}


def load_previous(path: Path) -> dict[str, dict[str, Any]]:
    """Return earlier measurements of models that still exist."""
    entries = json.loads(path.read_text())["measured"] if path.exists() else {}
    existing = {
        f"{example}/{name}"
        for example, folder in folders().items()
        for name in load_params(folder / "params.yaml").models
    }
    return {key: entry for key, entry in entries.items() if key in existing}


def row(key: str, entry: dict[str, Any]) -> tuple[object, ...]:
    """Return an entry as a row of the table."""
    mean, std = f"{entry['mean']:.4f}", entry["deviation"]
    spread = "" if std is None else f"{std:.4f}"
    bar = str(BARS.get(key, ""))
    seeds = f"{len(entry['runs'])}, reported" if "reported" in entry else len(entry["runs"])
    return key, entry["dataset"], entry["metric"], mean, spread, seeds, bar


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    by_name = folders()
    parser.add_argument("example", nargs="*", help=f"one or more of {', '.join(by_name)}; default: all")
    parser.add_argument(
        "--reported", action="store_true", help="use committed reports of models that were never measured"
    )
    arguments = parser.parse_args()
    examples = arguments.example or list(by_name)
    if unknown := set(examples) - set(by_name):
        parser.error(f"{', '.join(sorted(unknown))} must be among {', '.join(by_name)}")
    previous, fresh = load_previous(RESULTS / "accuracy.json"), dict[str, dict[str, Any]]()
    for example in examples:
        fresh |= (reported if arguments.reported else measured)(example, by_name[example])
    kept_measurements = {
        key: entry for key, entry in previous.items() if arguments.reported and "reported" not in entry
    }
    entries = dict(sorted((previous | fresh | kept_measurements).items()))
    head = ("model", "dataset", "metric", "mean", "std", "seeds", "limit")
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
