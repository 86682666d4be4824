"""What the whole pipeline costs: a cold `dvc repro` against `import torch`, a `dvc repro` with nothing to do against
`dvc status`.

Runs the default project in a clone without data or cache; seconds a stage are read off DVC's own lines as they come.
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
DROPPED = ("DVC_", "MLFLOW_", "GIT_", "PYTHON")
"""Variables that would make the clone behave unlike a newcomer's."""


class Clone:
    """The repository's files in another folder, under a git history of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        who = {
            f"GIT_{role}_{what}": "bench@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**kept, **who, "PATH": path, "PYTHONPATH": str(folder / "src")}
        for name in _listed():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        (folder / "dvc.lock").unlink(missing_ok=True)  # DVC says when a stage has ended only where its lock changes
        for words in ("init -q", "add -A", "commit -q -m start"):
            self.run("git", *words.split())

    def run(self, *command: str) -> str:
        """Run a command in the clone; return what it said."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def repro(self) -> tuple[float, dict[str, float]]:
        """Run `dvc repro`; return its seconds, and the seconds of each stage that ran."""
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
    """Return the seconds of each stage from DVC's lines and when they came."""
    stages: dict[str, float] = {}
    running, since = "", 0.0
    for when, line in lines:
        print(line, end="", flush=True)
        if found := STARTS.match(line):
            running, since = found[1], when
        elif running and line.startswith(ENDS):
            stages[running], running = when - since, ""
    return stages


def _listed() -> list[str]:
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

        import_torch()  # from here on the system has the files in memory
        imports = [import_torch() for _ in range(REPEATS // 2 + 1)]
        whole, stages = clone.repro()
        imports += [import_torch() for _ in range(REPEATS // 2 + 1)]
        if set(stages) != _expected():
            sys.exit(f"other stages ran than expected: {sorted(set(stages) ^ _expected())}")
        status, again = [], []
        for _ in range(REPEATS):
            status.append(seconds(lambda: clone.run("dvc", "status")))
            idle, ran = clone.repro()
            again.append(idle)
            if ran:
                sys.exit(f"a second dvc repro must run no stage, but ran {sorted(ran)}")
    measured = {
        "import_torch_seconds": imports,
        "repro_seconds": whole,
        "stage_seconds": stages,
        "dvc_seconds": whole - sum(stages.values()),
        "status_seconds": status,
        "idle_repro_seconds": again,
    }
    rows = [*stages.items(), ("DVC itself", measured["dvc_seconds"]), ("dvc repro", whole)]
    rows += [("import torch", median(imports)), ("dvc status", median(status)), ("idle dvc repro", median(again))]
    print(table(("what", "seconds"), rows))
    return finish(
        "pipeline",
        measured,
        [
            Result("repro_per_import_torch", whole / median(imports), 100),
            Result("idle_repro_per_status", median(again) / median(status), 1.8),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
