"""What a second process saves: ten folds of convolutional and of recurrent networks, in one process and in two.

The commands are those that a person runs, `fivefold cv cnn --folds 10 --workers 2`, from their start to their end:
imports, rows and the start of processes are all in it. Both run in turn. The folds of the default project's cnn, which
learn as one stacked program in each process, and those of its lstm take a few seconds in all, as long as the imports
that no process saves; those of a ResNet and of a larger LSTM take longer.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from ruamel.yaml import YAML

from fivefold.config.loading import read_yaml

from .measure import ROOT, Result, finish, seconds, table

ROUNDS, FOLDS, BAR = 5, 10, 0.70
OTHERS: dict[str, dict[str, Any]] = {
    "resnet": {
        "of": "cnn",
        "network": {"family": "cnn", "architecture": "resnet", "depth": 20},
        "training": {"max_epochs": 6},
    },
    "lstm_64": {
        "of": "lstm",
        "network": {"family": "rnn", "cell": "lstm", "hidden": [64]},
        "training": {"max_epochs": 160},
    },
}
"""Models beside those of the default project, with the one whose dataset and training each has."""
MODELS = ("cnn", "resnet", "lstm", "lstm_64")


def project(folder: Path) -> None:
    """Write the default project into a folder, with more models."""
    tree = read_yaml(ROOT / "params.yaml")
    for name, other in OTHERS.items():
        of = tree["models"][other["of"]]
        training = {**of["training"], **other.get("training", {})}
        tree["models"][name] = {**of, "network": other["network"], "training": training}
    (folder / ".dvc").mkdir()
    shutil.copytree(ROOT / "data/raw", folder / "data/raw")
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(tree, file)


def validated(model: str, folder: Path, workers: int) -> dict[str, dict[str, Any]]:
    """Cross-validate a model; return what is known of each metric."""
    command = [sys.executable, "-c", "from fivefold.cli.main import main; main()", "cv", model, "--json"]
    done = subprocess.run(
        [*command, "--folds", str(FOLDS), "--workers", str(workers)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["estimates"][model]


def measured(model: str, folder: Path) -> dict[int, list[float]]:
    """Return the seconds of each round, by number of processes; their results must be the same."""
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        told = {}
        for workers, times in found.items():
            times.append(seconds(lambda: told.update({workers: validated(model, folder, workers)})))  # noqa: B023
        metric = next(iter(told[1]))
        one, two = (each[metric]["mean"] for each in told.values())
        assert abs(one - two) <= 1e-4 * abs(one), f"{model}: {metric} must not depend on workers, but {one} != {two}"
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        project(folder)
        found = {model: measured(model, folder) for model in MODELS}
    ratios = {
        model: median(two / one for one, two in zip(times[1], times[2], strict=True)) for model, times in found.items()
    }
    rows = [(model, median(times[1]), median(times[2]), ratios[model]) for model, times in found.items()]
    print(table((f"{FOLDS} folds", "one process, s", "two, s", "ratio"), rows))
    results = [Result(f"folds_{model}_of_one_process", ratio, BAR) for model, ratio in ratios.items()]
    return finish("folds", {"folds": FOLDS, "rounds": ROUNDS, "seconds": found}, results)


if __name__ == "__main__":
    sys.exit(main())
