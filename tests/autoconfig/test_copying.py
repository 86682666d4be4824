"""A source comes into the project wholly, or not at all."""

from pathlib import Path

import pytest

from fivefold.autoconfig.add import copy_source
from fivefold.errors import DataError


def test_a_folder_comes_without_what_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "from/cat").mkdir(parents=True)
    for name in ("cat/1.png", ".DS_Store"):
        (tmp_path / "from" / name).write_text(name)
    copy_source(tmp_path / "from", tmp_path / "data/raw/pets")
    assert [path.name for path in (tmp_path / "data/raw").rglob("*")] == ["pets", "cat", "1.png"]


def test_a_folder_that_cannot_be_copied_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from/train.ts").symlink_to("nowhere")
    with pytest.raises(
        DataError, match=r"\A[^\n]+from must be copied to [^\n]+pets, but cannot be: [^\n]+; mend that\Z"
    ):
        copy_source(tmp_path / "from", tmp_path / "raw/pets")
    assert list((tmp_path / "raw").iterdir()) == []
