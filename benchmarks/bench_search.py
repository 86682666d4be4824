"""What a study is worth: test scores of what it would adopt, beside random search and what a person wrote.

For digits, concrete and ItalyPowerDemand, each with three seeds: a study of 40 trials with the sampler that `auto`
chooses, one that draws at random, and the parameters of a person. Each choice is trained as the pipeline trains it,
the best epoch chosen by validation rows, and scored on the test rows, which no study saw; a score is the mean of five
trainings, the pipeline's own seed first, since what one training draws moves it more than what is compared. Classifiers
are searched by their log loss: of 1500 rows all good ones get the same few wrong.
`... digits` measures one dataset anew.
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
"""Of which a test score is the mean."""
RATES = {
    "lr": {"type": "float", "low": 0.001, "high": 0.05, "log": True},
    "weight_decay": {"type": "float", "low": 0.0001, "high": 0.3, "log": True},
}


class Case(NamedTuple):
    """Where params.yaml lies, the model, what a person wrote of it where that is not what stands there now, a space."""

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
    """Write a project of one dataset and one model below `folder`, its sources beside it."""
    own = ROOT / case.folder
    tree = read_yaml(own / "params.yaml")
    block = {**tree["models"][case.model], **case.hand, "search": case.search}
    block["study"] = {**case.study, "sampler": sampler}
    dataset = tree["datasets"][block["dataset"]]
    tree = {**tree, "seed": seed, "models": {case.model: block}, "datasets": {block["dataset"]: dataset}}
    source = Path(dataset["source"])
    (folder / ".dvc").mkdir(parents=True)
    (folder / source).parent.mkdir(parents=True)
    found = next(path for path in (own / source, ROOT.parent / "shared/data" / source.name) if path.exists())
    shutil.copy2(found, folder / source)
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(tree, file)


def studied(case: Case, folder: Path) -> dict[str, Any]:
    """Run a study in a project; return the values that it would adopt."""
    command = [sys.executable, "-c", "from fivefold.cli.main import main; main()", "study", "run", case.model]
    done = subprocess.run([*command, "--trials", str(TRIALS)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    os.chdir(folder)
    best = TrialQueue.load(case.model).best_trial()
    assert best is not None
    return dict(best.user_attrs[TRIAL_PARAMS])


def tested(case: Case, values: dict[str, Any]) -> float:
    """Return the mean test score of the models that `values` make, trained as the pipeline trains them."""
    search = Search.read(case.model)
    model, seed = search.space.build_model(values), search.space.seed
    dataset, chain = Fold(search.split_dataset, search.split_dataset.indices).prepare(model, seed)
    found = []
    for number in range(TRAININGS):
        with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(io.StringIO()):
            drawn = derive_seed(seed, number) if number else seed
            saved, epochs, kept = train_model(case.model, model, dataset, chain, drawn, Path(work), lambda *_: None)
        every = score_model(model, saved, dataset.test, epochs, kept)
        found.append(every["accuracy"] if "accuracy" in every else next(iter(every.values())))
    return fmean(found)


def measured(name: str, seed: int) -> dict[str, float]:
    """Return the test scores of one case with one seed, and how long the studies took."""
    case, found = CASES[name], dict[str, float]()
    for sampler in ("auto", "random"):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "project"
            project(case, seed, sampler, folder)
            started = time.monotonic()
            values = studied(case, folder)
            found[f"{sampler} seconds"] = time.monotonic() - started
            found[sampler] = tested(case, values)
            if sampler == "auto":
                found["hand"] = tested(case, {})
            os.chdir(ROOT)
    print(f"{name}, seed {seed}: " + ", ".join(f"{key} {value:.4g}" for key, value in found.items()), flush=True)
    return found


def known() -> dict[str, dict[str, dict[str, float]]]:
    """Return what was measured before."""
    path = RESULTS / "search.json"
    scores: dict[str, dict[str, dict[str, float]]] = json.loads(path.read_text())["measured"]["scores"]
    return scores


def main() -> int:
    """Measure what the command line names, or all of it."""
    names = [name for name in CASES if name in sys.argv[1:]] or list(CASES)
    found = known() if len(names) < len(CASES) else {}
    found |= {name: {str(seed): measured(name, seed) for seed in SEEDS} for name in names}
    means = {
        name: {which: fmean(each[which] for each in every.values()) for which in ("hand", "random", "auto")}
        for name, every in found.items()
    }
    print(
        table(("test score, mean of seeds", "by hand", "random", "study"), [(k, *v.values()) for k, v in means.items()])
    )
    results = [
        Result(f"{name}_study_less_{other}", mean["auto"] - mean[other], 0.0, "higher")
        for name, mean in means.items()
        for other in ("hand", "random")
    ]
    return finish("search", {"trials": TRIALS, "scores": found}, results)


if __name__ == "__main__":
    sys.exit(main())
