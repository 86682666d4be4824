"""Benefit of a study: test scores of the values it would apply, against random search and manually chosen values.

For digits, concrete and ItalyPowerDemand, each with three seeds: a study of 40 trials with the sampler of `auto`, one
with random sampling, and manually chosen parameters. Each choice is trained like in the pipeline, with the best epoch
selected on validation rows, and evaluated on the test rows, which no study used. A score is the mean of five trainings,
the first with the seed of the pipeline, because the randomness of one training exceeds the differences. Classifiers
are searched by their log loss: of 1500 rows all good ones misclassify the same few.
`... digits` measures one dataset again.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from fivefold.config.loading import read_yaml
from fivefold.folds import Fold
from fivefold.training.batches import derive_seed
from fivefold.tuning.execution.objective import train_model
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.identity import TRIAL_PARAMS
from fivefold.tuning.scoring import score_model
from fivefold.tuning.search import Search

from .measure import RESULTS, ROOT, Result, finish, table

TRIALS = 40
SEEDS = (1, 2, 3)
TRAININGS = 5
"""Number of trainings over which a test score is averaged."""
RATES = {
    "lr": {"type": "float", "low": 0.001, "high": 0.05, "log": True},
    "weight_decay": {"type": "float", "low": 0.0001, "high": 0.3, "log": True},
}


class Case(NamedTuple):
    """Folder of params.yaml, model, manually chosen values if params.yaml has others, search space, study block."""

    folder: str
    model: str
    hand: dict[str, Any]
    search: dict[str, Any]
    study: dict[str, Any]


CASES = {
    "digits": Case(
        ".",
        "cnn",
        {},
        {
            "network": {
                "channels": {"type": "categorical", "choices": [[16, 32], [32, 32], [32, 64]]},
                "dense": {"type": "categorical", "choices": [[64], [128]]},
                "dropout": {"type": "float", "low": 0.0, "high": 0.5},
            },
            "training": {
                "batch_size": {"type": "categorical", "choices": [32, 64, 128]},
                "optimizer": RATES,
            },
        },
        {"metric": "log_loss"},
    ),
    "concrete": Case(
        ".",
        "mlp_regression",
        {
            "network": {"family": "mlp", "hidden": [128, 64], "activation": "silu", "init": "kaiming"},
            "training": {
                "max_epochs": 100,
                "batch_size": 64,
                "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.01},
            },
        },
        {
            "network": {
                "hidden": {
                    "type": "categorical",
                    "choices": [[64, 64], [128, 64], [256, 128], [128, 128, 128], [256, 256, 256]],
                },
                "activation": {"type": "categorical", "choices": ["relu", "silu", "tanh"]},
                "dropout": {"type": "float", "low": 0.0, "high": 0.3},
            },
            "training": {"batch_size": {"type": "categorical", "choices": [16, 32, 64]}, "optimizer": RATES},
        },
        {},
    ),
    "italy_power": Case(
        "examples/ucr",
        "italy_lstm",
        {},
        {
            "network": {
                "cell": {"type": "categorical", "choices": ["lstm", "gru"]},
                "hidden": {"type": "categorical", "choices": [[32], [64], [32, 32]]},
                "pool": {"type": "categorical", "choices": ["last", "mean", "max"]},
                "dropout": {"type": "float", "low": 0.0, "high": 0.6},
            },
            "training": {
                "optimizer": RATES,
                "augment": {"jitter": {"type": "float", "low": 0.0, "high": 0.8}},
            },
        },
        {"metric": "log_loss"},
    ),
}


def project(case: Case, seed: int, sampler: str, folder: Path) -> None:
    """Write a project with one dataset and one model into `folder`, and copy its source."""
    original = ROOT / case.folder
    tree = read_yaml(original / "params.yaml")
    block = {**tree["models"][case.model], **case.hand, "search": case.search}
    block["study"] = {**case.study, "sampler": sampler}
    dataset = tree["datasets"][block["dataset"]]
    tree = {**tree, "seed": seed, "models": {case.model: block}, "datasets": {block["dataset"]: dataset}}
    source = Path(dataset["source"])
    (folder / ".dvc").mkdir(parents=True)
    (folder / source).parent.mkdir(parents=True)
    candidates = (original / source, ROOT.parent / "shared/data" / source.name)
    shutil.copy2(next(path for path in candidates if path.exists()), folder / source)
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(tree, file)


def run_study(case: Case, folder: Path) -> dict[str, Any]:
    """Run a study in a project and return the values it would apply."""
    command = [sys.executable, "-c", "from fivefold.cli.main import main; main()", "study", "run", case.model]
    done = subprocess.run([*command, "--trials", str(TRIALS)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    os.chdir(folder)
    best = TrialQueue.load(case.model).best_trial()
    assert best is not None
    return dict(best.user_attrs[TRIAL_PARAMS])


def test_score(case: Case, values: dict[str, Any]) -> float:
    """Return the mean test score of models with these values, trained like in the pipeline."""
    search = Search.read(case.model)
    model, seed = search.space.build_model(values), search.space.seed
    dataset, chain = Fold(search.split_dataset, search.split_dataset.indices).prepare(model, seed)
    scores = []
    for number in range(TRAININGS):
        with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
            training_seed = derive_seed(seed, number) if number else seed
            trained_model, history, best_epoch = train_model(
                case.model, model, dataset, chain, training_seed, Path(work), lambda *_: None
            )
        metrics = score_model(model, trained_model, dataset.test, history, best_epoch)
        scores.append(metrics["accuracy"] if "accuracy" in metrics else next(iter(metrics.values())))
    return fmean(scores)


def measured(name: str, seed: int) -> dict[str, float]:
    """Return the test scores of one case with one seed, and the durations of the studies."""
    case, scores = CASES[name], dict[str, float]()
    for sampler in ("auto", "random"):
        with tempfile.TemporaryDirectory() as root:
            folder = Path(root) / "project"
            project(case, seed, sampler, folder)
            started = time.monotonic()
            values = run_study(case, folder)
            scores[f"{sampler} seconds"] = time.monotonic() - started
            scores[sampler] = test_score(case, values)
            if sampler == "auto":
                scores["hand"] = test_score(case, {})
            os.chdir(ROOT)
    print(f"{name}, seed {seed}: " + ", ".join(f"{key} {value:.4g}" for key, value in scores.items()), flush=True)
    return scores


def load_previous() -> dict[str, dict[str, dict[str, float]]]:
    """Return the scores of the last measurement."""
    path = RESULTS / "search.json"
    scores: dict[str, dict[str, dict[str, float]]] = json.loads(path.read_text())["measured"]["scores"]
    return scores


def main() -> int:
    """Measure the datasets named on the command line, by default all."""
    names = [name for name in CASES if name in sys.argv[1:]] or list(CASES)
    scores = load_previous() if len(names) < len(CASES) else {}
    scores |= {name: {str(seed): measured(name, seed) for seed in SEEDS} for name in names}
    means = {
        name: {
            method: fmean(by_method[method] for by_method in seeds.values()) for method in ("hand", "random", "auto")
        }
        for name, seeds in scores.items()
    }
    print(
        table(("test score, mean of seeds", "by hand", "random", "study"), [(k, *v.values()) for k, v in means.items()])
    )
    results = [
        Result(f"{name}_study_less_{other}", mean["auto"] - mean[other], 0.0, "higher")
        for name, mean in means.items()
        for other in ("hand", "random")
    ]
    return finish("search", {"trials": TRIALS, "scores": scores}, results)


if __name__ == "__main__":
    sys.exit(main())
