"""Outputs that DVC removed are restored from its cache."""

import shutil
import subprocess
from pathlib import Path

import pytest

from fivefold.stages.restore import restore_outputs

STAGE = """
stages:
  write:
    cmd: mkdir -p folder && echo 1 > folder/a && echo 2 > folder/b && echo 3 > file
    outs: [folder, file]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a DVC project with one completed stage, whose outputs are deleted."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(STAGE)
    for command in ("git init -q", "dvc init -q", "dvc repro -q"):
        subprocess.run(command.split(), check=True)
    shutil.rmtree("folder")
    Path("file").unlink()
    return tmp_path


def cached(text: str) -> Path:
    """Return the file of the DVC cache that starts with `text`."""
    (path,) = (path for path in Path(".dvc/cache").rglob("*") if path.is_file() and path.read_text().startswith(text))
    return path


@pytest.mark.parametrize(
    ("deleted", "restored"),
    [("", {"folder/a", "folder/b", "file"}), ("3", {"folder/a", "folder/b"}), ("2", {"file"}), ("[", {"file"})],
    ids=["nothing", "a file", "a file of a folder", "a list of a folder"],
)
def test_outputs_with_complete_cache_are_restored(project: Path, deleted: str, restored: set[str]) -> None:
    if deleted:
        cached(deleted).unlink()
    restore_outputs("write", project / "work")
    assert {name for name in ("folder/a", "folder/b", "file") if Path(name).exists()} == restored


def test_nothing_is_restored_without_a_cache(project: Path) -> None:
    shutil.rmtree(".dvc/cache")
    restore_outputs("write", project / "work")
    assert not Path("folder").exists()
    assert not Path("file").exists()
