"""Outputs come back that DVC removed, as far as its cache has them."""

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
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project whose only stage has run, its outputs removed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(STAGE)
    for command in ("git init -q", "dvc init -q", "dvc repro -q"):
        subprocess.run(command.split(), check=True)
    shutil.rmtree("folder")
    Path("file").unlink()
    return tmp_path


def cached(text: str) -> Path:
    """Return the file of DVC's cache that begins with `text`."""
    (path,) = (path for path in Path(".dvc/cache").rglob("*") if path.is_file() and path.read_text().startswith(text))
    return path


@pytest.mark.parametrize(
    ("lost", "back"),
    [("", {"folder/a", "folder/b", "file"}), ("3", {"folder/a", "folder/b"}), ("2", {"file"}), ("[", {"file"})],
    ids=["nothing", "a file", "a file of a folder", "a list of a folder"],
)
def test_what_the_cache_has_whole_comes_back(written: Path, lost: str, back: set[str]) -> None:
    if lost:
        cached(lost).unlink()
    restore_outputs("write", written / "work")
    assert {name for name in ("folder/a", "folder/b", "file") if Path(name).exists()} == back


def test_a_clone_without_a_cache_gets_nothing_and_no_traceback(written: Path) -> None:
    shutil.rmtree(".dvc/cache")
    restore_outputs("write", written / "work")
    assert not Path("folder").exists()
    assert not Path("file").exists()
