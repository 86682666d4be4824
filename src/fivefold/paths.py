"""Where everything lies.

What DVC tracks is relative to the working directory, since DVC runs a stage in a copy of the project for a queued
experiment. What belongs to the project as a whole (the MLflow store, what waits to be sent to it) is found from its
root, which DVC names in `DVC_ROOT` in every copy.
"""

import os
from pathlib import Path

from .errors import InputError

PARAMS = Path("params.yaml")
DVC_YAML = Path("dvc.yaml")
DVC_LOCK = Path("dvc.lock")


def config_check_file() -> Path:
    """File that says that params.yaml was found in order."""
    return Path("data/checked.txt")


def prepared_dir(dataset: str) -> Path:
    """Folder of a prepared dataset."""
    return Path("data/prepared") / dataset


def selected_dir(model: str) -> Path:
    """Folder of a model's fitted preprocessing."""
    return Path("data/selected") / model


def model_dir(name: str) -> Path:
    """Folder of a model's weights and exported graphs."""
    return Path("models") / name


def report_dir(model: str) -> Path:
    """Folder of a model's scores and plots."""
    return Path("reports") / model


def work_dir(stage: str, name: str) -> Path:
    """Folder where a running stage keeps its lock and its checkpoints; DVC never sees it."""
    return Path(".fivefold/work") / f"{stage}@{name}"


def checkpoints_dir(model: str, fingerprint: str) -> Path:
    """Folder where a training keeps its checkpoints, another one for each state of what it learns from."""
    return work_dir("train", model) / fingerprint


def study_dir(name: str) -> Path:
    """Folder of a study: its trials, what its workers said, and checkpoints; DVC never sees it."""
    return Path(".fivefold/studies") / name


def crossval_dir(title: str) -> Path:
    """Folder of a cross-validation: its lock, what its trainings said, and checkpoints; its scores stand beside it."""
    return Path(".fivefold/cv") / title


def lr_plot_file(model: str) -> Path:
    """Picture of a model's sweep over learning rates."""
    return Path(".fivefold/lr") / f"{model}.png"


def project_root() -> Path:
    """The project's root: `DVC_ROOT`, or the nearest folder upwards that holds a .dvc, or the working directory.

    To DVC an example is a repository of its own; its root is the project's.
    """
    here = Path(os.environ.get("DVC_ROOT", Path.cwd())).resolve()
    found = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
    project = found.parent.parent
    return project if found.parent.name == "examples" and (project / ".dvc").is_dir() else found


def mlflow_dir() -> Path:
    """Folder of the MLflow store: mlflow.db and artifacts/."""
    return project_root() / "mlruns"


def spool_dir() -> Path:
    """Folder of what waits to be sent to MLflow."""
    return project_root() / ".fivefold/spool"


def enter_project() -> Path:
    """Go up to the folder of params.yaml, as DVC goes to its root; return the folder that it was."""
    top, here = project_root(), Path.cwd()
    if not (top / ".dvc").exists():
        raise InputError(f"this must run within a project, but there is no .dvc in {top} or above; go there")
    inside = (folder for folder in (here, *here.parents) if folder.is_relative_to(top))
    os.chdir(next((folder for folder in inside if (folder / PARAMS).exists()), here))
    return here
