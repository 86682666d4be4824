"""A copy of this repository in another folder, and what a person does in it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]


class Project:
    """A clone as a newcomer has it: tracked and new files, its own git history, no data, no cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder.exists():
            return
        listed = subprocess.run(
            ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / "dvc.lock").unlink(missing_ok=True)
        for words in ("init -q", "add -A", "commit -q -m start"):
            self.run("git", *words.split())

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a shell in the project: its own source first, git able to commit, nothing of DVC's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_", "GIT_"))}
        who = {f"GIT_{role}_{what}": "test@example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**kept, **who, "PATH": path, "PYTHONPATH": str(self.folder / "src")}

    def run(self, *command: str, ok: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; `extra` is added to its environment."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment | extra, capture_output=True, text=True, check=False
        )
        assert not ok or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *command: str, **extra: str) -> subprocess.Popen[str]:
        """Start a command in the project, in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | extra,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def status(self) -> set[str]:
        """Return the stages that `dvc status` calls changed."""
        return set(json.loads(self.run("dvc", "status", "--json").stdout))

    def change(self, key: str, value: Any) -> None:
        """Set a dotted key of params.yaml."""
        yaml = YAML()
        tree = yaml.load(self.folder / "params.yaml")
        *blocks, last = key.split(".")
        block = tree
        for name in blocks:
            block = block[name]
        block[last] = value
        yaml.dump(tree, self.folder / "params.yaml")

    def keep_only(self, dataset: str, model: str) -> None:
        """Reduce params.yaml to one dataset and one model."""
        yaml = YAML()
        tree = yaml.load(self.folder / "params.yaml")
        tree["datasets"] = {dataset: tree["datasets"][dataset]}
        tree["models"] = {model: tree["models"][model]}
        yaml.dump(tree, self.folder / "params.yaml")
        self.run("fivefold", "dvc-update")

    def json(self, path: str) -> Any:
        """Read a JSON file of the project."""
        return json.loads((self.folder / path).read_text())

    def mlflow(self) -> MlflowClient:
        """Return a client of the project's store."""
        return MlflowClient(f"sqlite:///{self.folder}/mlruns/mlflow.db")

    def runs(self, name: str) -> list[Any]:
        """Return the MLflow runs of a model."""
        client = self.mlflow()
        experiment = client.get_experiment_by_name("fivefold")
        assert experiment is not None
        return list(client.search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'"))
