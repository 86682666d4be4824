"""Environment of the subprocesses that import mlflow so that stages need not."""

import os
from pathlib import Path

SOURCE_ROOT = Path(__file__).parents[2]


def subprocess_environment() -> dict[str, str]:
    """Return environment variables with which a subprocess imports the same copy of fivefold as this process.

    DVC runs queued experiments in a copy of the project, while another copy may be installed.
    """
    python_path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{SOURCE_ROOT}{os.pathsep}{python_path}" if python_path else str(SOURCE_ROOT)}
