"""What README tells a person to type works, in the order in which it stands there."""

import re
import shutil
import sys
from pathlib import Path

from .project import ROOT, Project

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", README, re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_readme_run(finished: Project, tmp_path: Path) -> None:
    lines = [line.partition("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    commands = [line for line in lines if line.startswith(("dvc ", "fivefold "))]
    assert len(commands) >= 5
    shutil.copytree(finished.folder, tmp_path / "fivefold")
    project = Project(tmp_path / "fivefold")
    shutil.rmtree(project.folder / "mlruns/artifacts")
    (project.folder / "mlruns/mlflow.db").unlink()  # its records point into the folder it was copied from
    for command in commands:
        project.run(*command.split())


def test_the_prediction_of_the_readme_runs(finished: Project) -> None:
    (program,) = blocks("python")
    told = finished.run(sys.executable, "-W", "error", "-c", program).stdout.splitlines()
    assert len(told) == 5
    assert all(re.fullmatch(r"compressive_strength [\d.]+ predicted [\d.]+", line) for line in told)
