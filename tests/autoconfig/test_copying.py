"""A source is copied into the project completely, or not at all."""

from pathlib import Path

import pytest

from fivefold.autoconfig.add import copy_source
from fivefold.errors import DataError


def test_hidden_files_are_not_copied(tmp_path: Path) -> None:
    (tmp_path / "from/cat").mkdir(parents=True)
    for name in ("cat/1.png", ".DS_Store"):
        (tmp_path / "from" / name).write_text(name)
    copy_source(tmp_path / "from", tmp_path / "data/raw/pets")
    assert [path.name for path in (tmp_path / "data/raw").rglob("*")] == ["pets", "cat", "1.png"]


def test_a_failed_copy_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from/train.ts").symlink_to("nowhere")
    with pytest.raises(
        DataError, match=r"\A[^\n]+from must be copied to [^\n]+pets, but cannot be: [^\n]+; fix that\Z"
    ):
        copy_source(tmp_path / "from", tmp_path / "raw/pets")
    assert list((tmp_path / "raw").iterdir()) == []
