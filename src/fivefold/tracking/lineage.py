"""Lineage of a run: git commit, DVC state and package versions."""

import getpass
import hashlib
import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from .. import paths

PACKAGES = ("fivefold", "torch", "pytorch-lightning", "scikit-learn", "numpy")


def run_tags(stage: str, fingerprint: str) -> dict[str, str]:
    """Return the tags of a run: fingerprint, git commit and state, digest of dvc.lock, stage, experiment, versions."""
    commit = _run_git("rev-parse", "HEAD")
    tags = {
        "fivefold.fingerprint": fingerprint,
        "mlflow.source.type": "PROJECT",
        "mlflow.source.name": f"dvc.yaml:{stage}",
        "mlflow.source.git.commit": commit,
        "mlflow.user": getpass.getuser(),
        "git.commit": commit,
        "git.branch": _run_git("branch", "--show-current"),
        "git.dirty": str(bool(_run_git("status", "--porcelain", "--untracked-files=no"))).lower() if commit else "",
        "dvc.lock": dvc_lock_digest(),
        "dvc.stage": os.environ.get("DVC_STAGE", stage),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "python": platform.python_version(),
        **{f"version.{package}": version(package) for package in PACKAGES},
    }
    return {key: value for key, value in tags.items() if value}


def dvc_lock_digest() -> str:
    """Return the first 16 digits of the SHA-256 of dvc.lock; empty if there is no such file."""
    return hashlib.sha256(paths.DVC_LOCK.read_bytes()).hexdigest()[:16] if paths.DVC_LOCK.exists() else ""


def dvc_output_digest(folder: Path) -> str:
    """Return DVC's MD5 digest of an output folder; empty if dvc.lock does not list it."""
    if not paths.DVC_LOCK.exists():
        return ""
    stages: dict[str, Any] = YAML(typ="safe").load(paths.DVC_LOCK.read_text())["stages"]
    outputs = (out for stage in stages.values() for out in stage.get("outs", ()))
    return next((str(out["md5"]) for out in outputs if out["path"] == folder.as_posix()), "")


def _run_git(*args: str) -> str:
    if shutil.which("git") is None:
        return ""
    process = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
    return process.stdout.strip() if process.returncode == 0 else ""
