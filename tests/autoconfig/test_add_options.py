"""What a person says on the command line goes before what is inferred; options that exclude each other are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.autoconfig.detect import detect_dataset
from fivefold.config.datasets import Series
from fivefold.data.readers.series import read_series
from fivefold.errors import DataError

RANDOM = np.random.default_rng(0)
N = 60
GRADE = np.arange(N) % 5
DAYS = [str(day.date()) for day in pd.date_range("2020-01-01", periods=N)]


def table(folder: Path, **columns: Any) -> Path:
    pd.DataFrame(columns).to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"task": "rank"},
            "--task must be one of classification, regression, forecasting, unsupervised, but is 'rank'; choose",
        ),
        ({"kind": "series", "task": "regression"}, "a series is told ahead, so --task must be forecasting, but is"),
        ({"kind": "table", "task": "forecasting"}, "--task forecasting is for series, but --kind table is said; leave"),
        ({"kind": "text", "step": "day"}, "--step is for sequences, but --kind text is said; leave out one of them"),
        ({"series": "day", "time": "x"}, "--time is for series or table or text, but --series is said; leave out one"),
        ({"time": "dya"}, "--time must name a column, but 'dya' is none; the columns are day, x, y; is 'day' meant"),
        ({"target": "x", "time": "x"}, "--target and --time must name two columns, but both name 'x'; mend one of"),
        ({"target": "day", "task": "regression"}, "--task regression needs numbers, but column 'day' is date, such"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        detect_dataset(table(tmp_path, day=DAYS, x=RANDOM.random(N), y=GRADE), **options)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("a.txt", {"task": "regression"}, "--task must be left out for .txt, but is 'regression'; leave it out"),
        (
            "a.zip",
            {"task": "regression"},
            "--task must be classification or unsupervised for a folder or zip of images, but is",
        ),
        ("a.npz", {"series": "id"}, "--series names a column, but .npz has none: .*; leave out --series id"),
        ("a.npz", {"header": False}, "--header and --no-header are for .csv, .csv.gz, .tsv, .tsv.gz, but the source"),
    ],
)
def test_options_that_a_source_cannot_follow(tmp_path: Path, name: str, options: Any, said: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=said):
        detect_dataset(tmp_path / name, **options)


def test_the_task_is_as_said(tmp_path: Path) -> None:
    path = table(tmp_path, x=RANDOM.random(N), y=GRADE)
    assert detect_dataset(path, "y").block["task"] == "classification"
    assert detect_dataset(path, "y", task="regression").block["split"]["by"] == "random"
    np.savez(tmp_path / "a.npz", x=RANDOM.random((N, 4)), y=GRADE)
    assert detect_dataset(tmp_path / "a.npz", task="regression").block["task"] == "regression"


def test_a_task_makes_a_table_or_a_series(tmp_path: Path) -> None:
    path = table(tmp_path, day=DAYS, word=["a", "b"] * (N // 2), load=RANDOM.random(N))
    looked = detect_dataset(path, "load", task="forecasting")
    assert (looked.block["kind"], looked.block["time"]) == ("series", "day")
    assert looked.notes == ("left out, as a series is of numeric_transform: word",)
    path = table(tmp_path, day=DAYS, load=RANDOM.random(N))
    assert detect_dataset(path, "load").block["kind"] == "series"
    assert detect_dataset(path, "load", task="regression").block["kind"] == "table"


def test_a_first_line_of_numbers_or_of_words_is_what_is_said(tmp_path: Path) -> None:
    path = table(tmp_path, **{"2001": RANDOM.random(N), "2002": GRADE})
    assert detect_dataset(path, "1").block["format"] == {"header": False}
    assert "format" not in detect_dataset(path, "2002", header=True).block
    (tmp_path / "words.csv").write_text("a,1\n" * 30 + "b,2\n" * 30)
    assert detect_dataset(tmp_path / "words.csv", "0", header=False).block["format"] == {"header": False}


def test_the_column_of_times_is_as_said(tmp_path: Path) -> None:
    path = table(tmp_path, tick=np.arange(N) * 2, x=RANDOM.random(N), load=RANDOM.random(N))
    assert detect_dataset(path, "load").block["kind"] == "table"
    block = detect_dataset(path, "load", time="tick").block
    assert (block["kind"], block["time"], block["exogenous"]) == ("series", "tick", ["x"])
    split = detect_dataset(path, "load", "table", time="tick").block["split"]
    assert split == {"by": "time", "column": "tick", "validation": 0.15, "test": 0.15}
    with pytest.raises(DataError, match=r"column 'word' must contain .* 'a' in rows 1.*with --time"):
        detect_dataset(table(tmp_path, word=["a", "b"] * (N // 2), load=RANDOM.random(N)), "load", time="word")


def test_what_is_read_as_a_number_is_said(tmp_path: Path) -> None:
    path = table(
        tmp_path, profit=["(45)", "12"] * (N // 2), took=["01:23:45"] * N, share=["12%"] * N, y=RANDOM.random(N)
    )
    assert detect_dataset(path, "y").notes == (
        "read as numeric_transform: profit '(45)' as -45, took '01:23:45' as 5025 seconds, share '12%' as 12",
    )
    days = table(tmp_path, day=DAYS, change=[f"{i}%" for i in range(N)], load=RANDOM.random(N))
    assert detect_dataset(days, "change").block["targets"] == ["change"]


@pytest.mark.parametrize(
    ("first", "second", "span"),
    [
        ("date", "clock", ("2020-01-01 00:00:00", "2020-01-10 23:00:00")),
        ("date", "hour", ("2020-01-01 00:00:00", "2020-01-10 23:00:00")),
        ("year", "month", ("2005-01-01", "2024-12-01")),
    ],
)
def test_a_time_in_two_columns(tmp_path: Path, first: str, second: str, span: tuple[str, str]) -> None:
    n = 240
    columns = {
        "date": np.repeat(DAYS[:10], 24), "clock": [f"{i % 24:02d}:00" for i in range(n)], "hour": np.arange(n) % 24,
        "year": np.repeat(np.arange(2005, 2025), 12), "month": np.arange(n) % 12 + 1,
    }  # fmt: skip
    path = table(tmp_path, **{name: columns[name] for name in (first, second)}, load=RANDOM.random(n))
    looked = detect_dataset(path, "load")
    assert looked.block["split"]["column"] == first
    assert looked.notes[-1].endswith(f"; --time {first},{second} would make one series of them")
    block = detect_dataset(path, "load", time=f"{first}, {second}").block
    assert (block["kind"], block["time"], block["targets"]) == ("series", [first, second], ["load"])
    read = read_series(path, Series.model_validate({**block, "source": str(path)}, strict=False))
    assert read.schema.time_range == span
    with pytest.raises(DataError, match=r"rows of a table are divided by one column, but --time is 'date,clock'; name"):
        detect_dataset(table(tmp_path, **columns, load=RANDOM.random(n)), "load", "table", time="date,clock")
