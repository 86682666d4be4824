"""Time of the pipeline: a cold `dvc repro` against `import torch`, an idle `dvc repro` against `dvc status`.

Runs the default project in a clone without data or cache; seconds per stage are measured from the lines of DVC.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from fivefold.config.loading import load_params

from .measure import ROOT, Result, finish, seconds, table

REPEATS = 5
STARTS = re.compile(r"Running stage '(.+)':")
ENDS = ("Generating lock file", "Updating lock file")
DROPPED_PREFIXES = ("DVC_", "MLFLOW_", "GIT_", "PYTHON")
"""Environment variables that would influence the clone."""


class Clone:
    """The files of the repository in another folder, with a git history of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        identity = {
            f"GIT_{role}_{what}": "bench@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED_PREFIXES)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**inherited, **identity, "PATH": path, "PYTHONPATH": str(folder / "src")}
        for name in _tracked_files():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        (folder / "dvc.lock").unlink(missing_ok=True)  # DVC prints the end of a stage only if its lock entry changes
        for words in ("init -q", "add -A", "commit -q -m start"):
            self.run("git", *words.split())

    def run(self, *command: str) -> str:
        """Run a command in the clone and return its output."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def repro(self) -> tuple[float, dict[str, float]]:
        """Run `dvc repro` and return its seconds and those of each stage that ran."""
        started = time.perf_counter()
        process = subprocess.Popen(
            ["dvc", "repro"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        stages = stage_seconds((time.perf_counter(), line) for line in process.stdout or ())
        if process.wait():
            sys.exit(f"dvc repro ended with {process.returncode}")
        return time.perf_counter() - started, stages


def stage_seconds(lines: Iterable[tuple[float, str]]) -> dict[str, float]:
    """Return the seconds of each stage from DVC's lines and their times."""
    stages: dict[str, float] = {}
    running, since = "", 0.0
    for when, line in lines:
        print(line, end="", flush=True)
        if match := STARTS.match(line):
            running, since = match[1], when
        elif running and line.startswith(ENDS):
            stages[running], running = when - since, ""
    return stages


def _tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _expected() -> set[str]:
    params = load_params(ROOT / "params.yaml")
    models = (f"{stage}@{m}" for stage in ("select_features", "train", "evaluate", "export") for m in params.models)
    return {"check", *(f"prepare@{dataset}" for dataset in params.datasets), *models}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder) / "fivefold")

        def import_torch() -> float:
            return seconds(lambda: clone.run(sys.executable, "-c", "import torch"))

        import_torch()  # warm-up: afterwards the files are cached by the system
        imports = [import_torch() for _ in range(REPEATS // 2 + 1)]
        total, stages = clone.repro()
        imports += [import_torch() for _ in range(REPEATS // 2 + 1)]
        if set(stages) != _expected():
            sys.exit(f"unexpected or missing stages: {sorted(set(stages) ^ _expected())}")
        status, idle = [], []
        for _ in range(REPEATS):
            status.append(seconds(lambda: clone.run("dvc", "status")))
            duration, ran = clone.repro()
            idle.append(duration)
            if ran:
                sys.exit(f"a second dvc repro must run no stage, but ran {sorted(ran)}")
    measured = {
        "import_torch_seconds": imports,
        "repro_seconds": total,
        "stage_seconds": stages,
        "dvc_seconds": total - sum(stages.values()),
        "status_seconds": status,
        "idle_repro_seconds": idle,
    }
    rows = [*stages.items(), ("DVC itself", measured["dvc_seconds"]), ("dvc repro", total)]
    rows += [("import torch", median(imports)), ("dvc status", median(status)), ("idle dvc repro", median(idle))]
    print(table(("what", "seconds"), rows))
    return finish(
        "pipeline",
        measured,
        [
            Result("repro_per_import_torch", total / median(imports), 100),
            Result("idle_repro_per_status", median(idle) / median(status), 1.8),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
