"""A CSV read in chunks has the same values as a CSV read at once."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fivefold.data.readers import csv
from fivefold.data.readers.csv import read_frame
from fivefold.errors import DataError

N = 1_000
COLUMNS = {
    "integer": [str(i % 7) for i in range(N)],
    "large": [str(i * 10**7) for i in range(N)],
    "missing": ["" if i == 900 else str(i) for i in range(N)],
    "number": ["0.5" if i == 600 else str(i) for i in range(N)],
    "word_late": ["oops" if i == 980 else f"{i:03}" for i in range(N)],
    "word_early": ["oops" if i == 1 else f"{i}.50" for i in range(N)],
    "word": [f"w{i % 3}" if i > 300 else "" for i in range(N)],
    "flag": ["True" if i % 2 else "False" for i in range(N)],
    "flag_or_word": ["maybe" if i == 700 else "True" for i in range(N)],
    "empty": [""] * N,
}


def write_file(folder: Path, **columns: list[str]) -> Path:
    lines = [",".join(columns), *(",".join(cells) for cells in zip(*columns.values(), strict=True))]
    (folder / "a.csv").write_text("\n".join(lines) + "\n")
    return folder / "a.csv"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "CHUNK_CELLS", 1_000)


def test_chunked_reading_returns_the_values_of_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(tmp_path, **COLUMNS)
    expected = read_frame(path, text_columns=["large"])
    monkeypatch.setattr(csv, "CHUNK_CELLS", 1_000)
    read = read_frame(path, text_columns=["large"])
    assert [str(kind) for kind in read.dtypes[["integer", "missing", "number", "word_late"]]] == [
        "int8",
        "float64",
        "float64",
        "str",
    ]
    pd.testing.assert_frame_equal(read, expected, check_dtype=False)
    odd = [name for name in read if (read[name].dtype == "str") != (expected[name].dtype == "str")]
    assert odd == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2,3", "line 902 has 3 cells, previous lines have 2; fix it"),
        ('"1,2', "a quote that opens in line 902 is never closed; close or remove it"),
    ],
)
def test_line_numbers_count_from_the_beginning_of_the_file(tmp_path: Path, row: str, message: str) -> None:
    lines = ["a,b", *(f"{i},{i}" for i in range(N))]
    (tmp_path / "a.csv").write_text("\n".join([*lines[:901], row, *lines[901:]]))
    with pytest.raises(DataError, match=re.escape(message)):
        read_frame(tmp_path / "a.csv")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("rows", [1, 500, 501])
def test_the_last_chunk_can_have_any_size(tmp_path: Path, rows: int) -> None:
    read = read_frame(write_file(tmp_path, a=[str(i) for i in range(rows)], b=["u"] * rows))
    assert read["a"].tolist() == np.arange(rows).tolist()
