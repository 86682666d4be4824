"""Errors of the checks abort `add` with a single line, unless `skip_invalid` is set."""

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


def test_the_message_lists_all_columns_and_the_option() -> None:
    message = (
        r"\Amixed_types: column 'age' must contain finite numbers .*contains 'thirty' in row 60; "
        r".*non_finite: column 'size' must contain finite numbers .*contains inf in row 1;[^\n]*"
        r"; or add it with --skip-invalid: such cells become missing values\Z"
    )
    with pytest.raises(DataError, match=message):
        add(table())


def test_invalid_cells_become_missing_values_and_checks_warnings() -> None:
    added = add(table(), skip_invalid=True)
    assert added.dataset_block["checks"] == {"mixed_types": "warning", "non_finite": "warning"}
    assert "checks: {mixed_types: warning, non_finite: warning}" in added.yaml_after
    assert [result.rule for result in added.check_results if result.level == "warning"][:2] == [
        "mixed_types",
        "non_finite",
    ]
    assert "errors reported as warnings: mixed_types, non_finite (see `checks` in params.yaml)" in added.notes


def test_rows_without_a_target_are_dropped_from_tables_but_not_from_sequences() -> None:
    answers = ["", *["u", "v"] * 29, ""]
    pd.DataFrame({"a": RANDOM.normal(size=N), "y": answers}).to_csv("mine.csv", index=False)
    with pytest.raises(DataError, match=r"'y' is empty in 2 of 60 rows \(rows 1, 60\).* --skip-invalid to drop them$"):
        add(Path("mine.csv"))
    added = add(Path("mine.csv"), skip_invalid=True)
    assert added.dataset_block["missing"] == {"target": "drop"}
    assert "2 rows without y are dropped (see `missing` in params.yaml)" in added.notes
    assert sum(map(len, added.dataset.splits().values())) == N - 2
    steps = {"id": np.repeat(range(12), 5), "t": [*range(5)] * 12, "v": RANDOM.normal(size=N)}
    pd.DataFrame({**steps, "y": [""] * 5 + ["u"] * 30 + ["v"] * 25}).to_csv("many.csv", index=False)
    with pytest.raises(DataError, match=r"is empty in 5 of 60 rows .* delete these rows and add the file again$"):
        add(Path("many.csv"), skip_invalid=True)


def test_skip_invalid_does_not_change_a_valid_dataset() -> None:
    pd.DataFrame({"a": RANDOM.normal(size=N), "y": ["u", "v"] * (N // 2)}).to_csv("mine.csv", index=False)
    assert "checks" not in add(Path("mine.csv"), skip_invalid=True).dataset_block


def test_unreadable_images_are_reported_or_dropped() -> None:
    for i in range(40):
        path = Path("pets") / ("cat" if i % 2 else "dog") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RANDOM.integers(0, 256, (8, 8), np.uint8)).save(path)
    for name in ("cat/1.png", "dog/2.png"):
        (Path("pets") / name).write_bytes(b"")
    with pytest.raises(
        DataError, match=r"such files: cat/1.png, dog/2.png.* --skip-invalid: such images are dropped\Z"
    ):
        add(Path("pets"))
    added = add(Path("pets"), skip_invalid=True)
    assert added.dataset_block["checks"] == {"corrupt": "warning"}
    assert sum(map(len, added.dataset.splits().values())) == 38


def unreadable(**others: object) -> Path:
    pd.DataFrame({"x": ["50,3%"] * N, **others, "y": ["u", "v"] * (N // 2)}).to_csv("mine.csv", index=False)
    return Path("mine.csv")


def test_a_column_without_valid_cells_is_dropped() -> None:
    added = add(unreadable(a=RANDOM.normal(size=N)), skip_invalid=True)
    assert (added.dataset_block["drop"], added.empty_columns) == (["x"], ("x",))
    assert added.dataset.schema.features == ("a",)
    assert "checks" not in added.dataset_block


def test_only_invalid_columns_raise() -> None:
    with pytest.raises(DataError, match=r"at least one feature must vary, but no column besides 'y' does: x; clean"):
        add(unreadable(), skip_invalid=True)
