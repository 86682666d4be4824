"""What checks find wrong stops `add`, all of it in one line, unless it is told to accept it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fivefold.autoconfig.add import add
from fivefold.errors import DataError

ROOT = Path(__file__).parents[2]
N = 60
RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)


def table() -> Path:
    age = [*map(str, range(N - 1)), "thirty"]
    size = [np.inf, *RANDOM.normal(size=N - 1)]
    pd.DataFrame({"age": age, "size": size, "y": ["u", "v"] * (N // 2)}).to_csv("mine.csv", index=False)
    return Path("mine.csv")


def test_all_columns_are_told_at_once_with_the_option() -> None:
    said = (
        r"\Amixed_types: column 'age' must contain .*'thirty' in row 60; "
        r".*non_finite: column 'size' must contain .*inf in row 1;[^\n]*"
        r"; or add it with --accept: such cells are gaps\Z"
    )
    with pytest.raises(DataError, match=said):
        add(table())


def test_accepted_cells_are_gaps_and_the_block_says_so() -> None:
    found = add(table(), skip_invalid=True)
    assert found.dataset_block["checks"] == {"mixed_types": "warning", "non_finite": "warning"}
    assert "checks: {mixed_types: warning, non_finite: warning}" in found.yaml_after
    assert [f.rule for f in found.check_results if f.level == "warning"][:2] == ["mixed_types", "non_finite"]
    assert "accepted: mixed_types, non_finite; `checks` in params.yaml holds it" in found.notes


def test_rows_without_a_target_are_left_out_of_a_table_and_refused_of_sequences() -> None:
    answers = ["", *["u", "v"] * 29, ""]
    pd.DataFrame({"a": RANDOM.normal(size=N), "y": answers}).to_csv("mine.csv", index=False)
    with pytest.raises(DataError, match=r"'y' is empty in 2 of 60 rows \(rows 1, 60\).* --accept to leave them out$"):
        add(Path("mine.csv"))
    found = add(Path("mine.csv"), skip_invalid=True)
    assert found.dataset_block["missing"] == {"target": "drop"}
    assert "accepted: 2 rows without y are left out; `missing` in params.yaml holds it" in found.notes
    assert sum(map(len, found.dataset.splits().values())) == N - 2
    steps = {"id": np.repeat(range(12), 5), "t": [*range(5)] * 12, "v": RANDOM.normal(size=N)}
    pd.DataFrame({**steps, "y": [""] * 5 + ["u"] * 30 + ["v"] * 25}).to_csv("many.csv", index=False)
    with pytest.raises(DataError, match=r"is empty in 5 of 60 rows .* delete these rows and add the file again$"):
        add(Path("many.csv"), skip_invalid=True)


def test_nothing_to_accept_leaves_no_trace() -> None:
    pd.DataFrame({"a": RANDOM.normal(size=N), "y": ["u", "v"] * (N // 2)}).to_csv("mine.csv", index=False)
    assert "checks" not in add(Path("mine.csv"), skip_invalid=True).dataset_block


def test_images_that_cannot_be_read_are_named_or_left_out() -> None:
    for i in range(40):
        path = Path("pets") / ("cat" if i % 2 else "dog") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RANDOM.integers(0, 256, (8, 8), np.uint8)).save(path)
    for name in ("cat/1.png", "dog/2.png"):
        (Path("pets") / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"such files: cat/1.png, dog/2.png.* --accept: such images are left out\Z"):
        add(Path("pets"))
    found = add(Path("pets"), skip_invalid=True)
    assert found.dataset_block["checks"] == {"corrupt": "warning"}
    assert sum(map(len, found.dataset.splits().values())) == 38


def unreadable(**others: object) -> Path:
    pd.DataFrame({"x": ["50,3%"] * N, **others, "y": ["u", "v"] * (N // 2)}).to_csv("mine.csv", index=False)
    return Path("mine.csv")


def test_a_column_of_which_no_cell_can_be_read_is_left_out() -> None:
    found = add(unreadable(a=RANDOM.normal(size=N)), skip_invalid=True)
    assert (found.dataset_block["drop"], found.empty_columns) == (["x"], ("x",))
    assert found.dataset.schema.features == ("a",)
    assert "checks" not in found.dataset_block


def test_nothing_but_such_columns_is_refused() -> None:
    with pytest.raises(DataError, match=r"a feature must have values that differ, but none beside 'y' has: x; clean"):
        add(unreadable(), skip_invalid=True)
