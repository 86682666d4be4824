"""Paths of all files and folders.

Paths that DVC tracks are relative to the working directory, since DVC runs queued experiments in a copy of the project.
The MLflow store and its spool belong to the whole project and are found from its root, which DVC passes to every copy
in `DVC_ROOT`.
"""

import os
from pathlib import Path

from .errors import InputError

PARAMS = Path("params.yaml")
DVC_YAML = Path("dvc.yaml")
DVC_LOCK = Path("dvc.lock")


def config_check_file() -> Path:
    """Return the file that marks params.yaml as valid."""
    return Path("data/config_ok.txt")


def prepared_dir(dataset: str) -> Path:
    """Return the folder of a prepared dataset."""
    return Path("data/prepared") / dataset


def selected_dir(model: str) -> Path:
    """Return the folder of a model's fitted preprocessing."""
    return Path("data/selected") / model


def model_dir(name: str) -> Path:
    """Return the folder of a model's weights and exported graph."""
    return Path("models") / name


def report_dir(model: str) -> Path:
    """Return the folder of a model's metrics, tables and plots."""
    return Path("reports") / model


def work_dir(stage: str, name: str) -> Path:
    """Return the folder of a stage's lock, checkpoints and backups; not tracked by DVC."""
    return Path(".fivefold/work") / f"{stage}@{name}"


def checkpoints_dir(model: str, fingerprint: str) -> Path:
    """Return the folder of a training's checkpoints, one per fingerprint of its inputs and parameters."""
    return work_dir("train", model) / fingerprint


def study_dir(name: str) -> Path:
    """Return the folder of a study's trials, worker logs and checkpoints; not tracked by DVC."""
    return Path(".fivefold/studies") / name


def crossval_dir(title: str) -> Path:
    """Return the folder of a cross-validation's lock, logs and checkpoints, or the file of its scores."""
    return Path(".fivefold/cv") / title


def lr_plot_file(model: str) -> Path:
    """Return the plot of a model's learning rate range test."""
    return Path(".fivefold/lr") / f"{model}.png"


def project_root() -> Path:
    """Return the root of the project: `DVC_ROOT`, the nearest parent folder with a .dvc, or the working directory.

    An example is a DVC repository of its own, but its root is that of the project.
    """
    here = Path(os.environ.get("DVC_ROOT", Path.cwd())).resolve()
    root = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
    project = root.parent.parent
    return project if root.parent.name == "examples" and (project / ".dvc").is_dir() else root


def mlflow_dir() -> Path:
    """Return the folder of the MLflow store: mlflow.db and artifacts/."""
    return project_root() / "mlruns"


def spool_dir() -> Path:
    """Return the folder of events to be sent to MLflow."""
    return project_root() / ".fivefold/spool"


def enter_project() -> Path:
    """Change to the nearest parent folder with a params.yaml; return the former working directory.

    Raises:
        InputError: the working directory is not in a project.
    """
    root, working_dir = project_root(), Path.cwd()
    if not (root / ".dvc").exists():
        raise InputError(
            f"the command must run in a project, but there is no .dvc in {root} or a parent folder; change to the"
            " project"
        )
    candidates = (folder for folder in (working_dir, *working_dir.parents) if folder.is_relative_to(root))
    os.chdir(next((folder for folder in candidates if (folder / PARAMS).exists()), working_dir))
    return working_dir
