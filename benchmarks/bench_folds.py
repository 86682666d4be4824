"""Time saved by a second process: ten folds of convolutional and recurrent networks, in one process and in two.

The commands are those of a user, `fivefold cv cnn --folds 10 --workers 2`, including imports, data preparation and the
start of processes. Both alternate. The folds of the default project's cnn, which are trained as one vectorized program
per process, and those of its lstm take a few seconds, as long as the imports that no process saves; those of a ResNet
and of a larger LSTM take longer.
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
EXTRA_MODELS: dict[str, dict[str, Any]] = {
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
"""Models added to those of the default project; `of` is the one whose dataset and training each uses."""
MODELS = ("cnn", "resnet", "lstm", "lstm_64")


def project(folder: Path) -> None:
    """Write the default project with additional models into a folder."""
    tree = read_yaml(ROOT / "params.yaml")
    for name, block in EXTRA_MODELS.items():
        base = tree["models"][block["of"]]
        training = {**base["training"], **block.get("training", {})}
        tree["models"][name] = {**base, "network": block["network"], "training": training}
    (folder / ".dvc").mkdir()
    shutil.copytree(ROOT / "data/raw", folder / "data/raw")
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(tree, file)


def cross_validate(model: str, folder: Path, workers: int) -> dict[str, dict[str, Any]]:
    """Cross-validate a model and return its estimates by metric."""
    command = [sys.executable, "-c", "from fivefold.cli.main import main; main()", "cv", model, "--json"]
    done = subprocess.run(
        [*command, "--folds", str(FOLDS), "--workers", str(workers)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["estimates"][model]


def measured(model: str, folder: Path) -> dict[int, list[float]]:
    """Return the seconds of each round, by number of processes; check that results are equal."""
    times_by_workers: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        estimates = {}
        for workers, times in times_by_workers.items():
            times.append(seconds(lambda: estimates.update({workers: cross_validate(model, folder, workers)})))  # noqa: B023
        metric = next(iter(estimates[1]))
        one, two = (estimate[metric]["mean"] for estimate in estimates.values())
        assert abs(one - two) <= 1e-4 * abs(one), f"{model}: {metric} must not depend on workers, but {one} != {two}"
    return times_by_workers


def main() -> int:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        project(folder)
        by_model = {model: measured(model, folder) for model in MODELS}
    ratios = {
        model: median(two / one for one, two in zip(times[1], times[2], strict=True))
        for model, times in by_model.items()
    }
    rows = [(model, median(times[1]), median(times[2]), ratios[model]) for model, times in by_model.items()]
    print(table((f"{FOLDS} folds", "one process, s", "two, s", "ratio"), rows))
    results = [Result(f"folds_{model}_of_one_process", ratio, BAR) for model, ratio in ratios.items()]
    return finish("folds", {"folds": FOLDS, "rounds": ROUNDS, "seconds": by_model}, results)


if __name__ == "__main__":
    sys.exit(main())
