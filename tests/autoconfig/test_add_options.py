"""Options take precedence over inference; options that exclude each other raise."""

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
    ("options", "message"),
    [
        (
            {"task": "rank"},
            "--task must be one of classification, regression, forecasting, unsupervised, but is 'rank'; choose",
        ),
        (
            {"kind": "series", "task": "regression"},
            "--task must be forecasting for --kind series, but is 'regression'; omit it",
        ),
        ({"kind": "table", "task": "forecasting"}, "--task forecasting is for series, but --kind table is given; omit"),
        (
            {"kind": "text", "time_step": "day"},
            "--time-step is for sequences, but --kind text is given; omit one of them",
        ),
        (
            {"sequence_id": "day", "time": "x"},
            "--time is for series or table or text, but --sequence-id is given; omit",
        ),
        ({"time": "dya"}, "--time must be a column, but is 'dya'; the columns are day, x, y; did you mean 'day'"),
        ({"target": "x", "time": "x"}, "--target and --time must be different columns, but both are 'x'; fix one of"),
        ({"target": "day", "task": "regression"}, "--task regression needs numbers, but column 'day' is date, such"),
    ],
)
def test_invalid_options_raise(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        detect_dataset(table(tmp_path, day=DAYS, x=RANDOM.random(N), y=GRADE), **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.txt", {"task": "regression"}, "--task must be omitted for .txt, but is 'regression'; omit it"),
        (
            "a.zip",
            {"task": "regression"},
            "--task must be classification or unsupervised for a folder or zip of images, but is",
        ),
        ("a.npz", {"sequence_id": "id"}, "--sequence-id needs a column, but .npz has none: .*; omit --sequence-id id"),
        ("a.npz", {"header": False}, "--header and --no-header are for .csv, .csv.gz, .tsv, .tsv.gz, but the source"),
    ],
)
def test_options_that_do_not_fit_the_source_raise(tmp_path: Path, name: str, options: Any, message: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=message):
        detect_dataset(tmp_path / name, **options)


def test_the_task_option_overrides_inference(tmp_path: Path) -> None:
    path = table(tmp_path, x=RANDOM.random(N), y=GRADE)
    assert detect_dataset(path, "y").block["task"] == "classification"
    assert detect_dataset(path, "y", task="regression").block["split"]["by"] == "random"
    np.savez(tmp_path / "a.npz", x=RANDOM.random((N, 4)), y=GRADE)
    assert detect_dataset(tmp_path / "a.npz", task="regression").block["task"] == "regression"


def test_the_task_option_selects_table_or_series(tmp_path: Path) -> None:
    path = table(tmp_path, day=DAYS, word=["a", "b"] * (N // 2), load=RANDOM.random(N))
    proposal = detect_dataset(path, "load", task="forecasting")
    assert (proposal.block["kind"], proposal.block["time"]) == ("series", "day")
    assert proposal.notes == ("dropped, not numeric: word",)
    path = table(tmp_path, day=DAYS, load=RANDOM.random(N))
    assert detect_dataset(path, "load").block["kind"] == "series"
    assert detect_dataset(path, "load", task="regression").block["kind"] == "table"


def test_the_header_option_overrides_inference(tmp_path: Path) -> None:
    path = table(tmp_path, **{"2001": RANDOM.random(N), "2002": GRADE})
    assert detect_dataset(path, "1").block["format"] == {"header": False}
    assert "format" not in detect_dataset(path, "2002", header=True).block
    (tmp_path / "words.csv").write_text("a,1\n" * 30 + "b,2\n" * 30)
    assert detect_dataset(tmp_path / "words.csv", "0", header=False).block["format"] == {"header": False}


def test_the_time_option_overrides_inference(tmp_path: Path) -> None:
    path = table(tmp_path, tick=np.arange(N) * 2, x=RANDOM.random(N), load=RANDOM.random(N))
    assert detect_dataset(path, "load").block["kind"] == "table"
    block = detect_dataset(path, "load", time="tick").block
    assert (block["kind"], block["time"], block["exogenous"]) == ("series", "tick", ["x"])
    split = detect_dataset(path, "load", "table", time="tick").block["split"]
    assert split == {"by": "time", "column": "tick", "validation": 0.15, "test": 0.15}
    with pytest.raises(DataError, match=r"column 'word' must contain .* 'a' in rows 1.*with --time"):
        detect_dataset(table(tmp_path, word=["a", "b"] * (N // 2), load=RANDOM.random(N)), "load", time="word")


def test_formatted_numbers_are_reported(tmp_path: Path) -> None:
    path = table(
        tmp_path, profit=["(45)", "12"] * (N // 2), took=["01:23:45"] * N, share=["12%"] * N, y=RANDOM.random(N)
    )
    assert detect_dataset(path, "y").notes == (
        "parsed as numbers: profit '(45)' as -45, took '01:23:45' as 5025 seconds, share '12%' as 12",
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
    proposal = detect_dataset(path, "load")
    assert proposal.block["split"]["column"] == first
    assert proposal.notes[-1].endswith(f"; --time {first},{second} would combine them into one series")
    block = detect_dataset(path, "load", time=f"{first}, {second}").block
    assert (block["kind"], block["time"], block["targets"]) == ("series", [first, second], ["load"])
    read = read_series(path, Series.model_validate({**block, "source": str(path)}, strict=False))
    assert read.schema.time_range == span
    with pytest.raises(
        DataError, match=r"a table is split by a single time column, but --time is 'date,clock'; choose"
    ):
        detect_dataset(table(tmp_path, **columns, load=RANDOM.random(n)), "load", "table", time="date,clock")
