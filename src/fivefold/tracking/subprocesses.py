"""Processes beside a stage, which import mlflow so that no stage does."""

import os
from pathlib import Path

SOURCE_ROOT = Path(__file__).parents[2]


def subprocess_environment() -> dict[str, str]:
    """Return the environment of such a process: it takes fivefold from where this one has it.

    DVC runs a queued experiment in a copy of the project, and another copy may be installed.
    """
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{SOURCE_ROOT}{os.pathsep}{others}" if others else str(SOURCE_ROOT)}
