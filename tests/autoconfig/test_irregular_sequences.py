"""A flaw in a series or in sequences raises with its row, instead of splitting rows at random."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.autoconfig.detect import detect_dataset
from fivefold.errors import DataError

RANDOM = np.random.default_rng(0)
N = 200
DAYS = [str(day.date()) for day in pd.date_range("2020-01-01", periods=N)]


def csv(folder: Path, **columns: Any) -> Path:
    pd.DataFrame(columns).to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


@pytest.mark.parametrize("kind", ["", "series"])
@pytest.mark.parametrize(
    ("cell", "flaw"),
    [
        (DAYS[3], r"'2020-01-04' of column 'day' occurs in rows 4 and 200 \(1 such rows\)"),
        (None, r"row 200 of column 'day' is empty \(1 such rows\)"),
    ],
)
def test_a_duplicate_or_missing_time_raises(tmp_path: Path, kind: str, cell: Any, flaw: str) -> None:
    path = csv(tmp_path, day=[*DAYS[:-1], cell], load=RANDOM.random(N), heat=RANDOM.random(N))
    with pytest.raises(DataError, match=f"times of a series must be unique, but {flaw}; remove or fix such rows, or"):
        detect_dataset(path, "load", kind)
    assert detect_dataset(path, "load", "table").block["kind"] == "table"


def test_many_duplicate_dates_are_a_table(tmp_path: Path) -> None:
    path = csv(tmp_path, day=RANDOM.choice(DAYS, N), load=RANDOM.random(N))
    assert detect_dataset(path, "load").block["kind"] == "table"


def test_several_series_are_split_by_time(tmp_path: Path) -> None:
    path = csv(tmp_path, station=["A"] * N + ["B"] * N, day=DAYS * 2, load=RANDOM.random(2 * N))
    with pytest.raises(
        DataError,
        match=r"a file must contain a single series, but each station has its own times in column 'day'; keep",
    ):
        detect_dataset(path, "load", "series")
    for kind in ("", "table"):
        proposal = detect_dataset(path, "load", kind)
        assert proposal.block["kind"] == "table"
        assert proposal.block["split"] == {"by": "time", "column": "day", "validation": 0.15, "test": 0.15}
        assert proposal.notes == (
            "each day has several rows: split by time, the latest rows are the test rows, because a random split would"
            " leak future rows into training; day is not a feature; override with `split`; to forecast one station,"
            " keep only its rows",
        )


def sequences(folder: Path, step: Any = None, label: Any = None) -> Path:
    steps, labels = np.tile(np.arange(6), 40), np.repeat(["run", "walk"] * 20, 6)
    if step is not None:
        steps[9] = step
    if label is not None:
        labels[9] = label
    return csv(folder, id=np.repeat(np.arange(40), 6), t=steps, v=RANDOM.random(240), label=labels)


@pytest.mark.parametrize("kind", ["", "sequences"])
@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ({"step": 2}, r"t 2 of id 1 is duplicated in row 10 \(1 such rows\); fix"),
        ({"label": "run"}, r"label of id 1 changes from 'walk' to 'run' in row 10 \(1 such sequences\); fix"),
    ],
)
def test_a_flaw_in_sequences_raises(tmp_path: Path, kind: str, flaw: Any, message: str) -> None:
    assert detect_dataset(sequences(tmp_path)).block["kind"] == "sequences"
    with pytest.raises(DataError, match=message):
        detect_dataset(sequences(tmp_path, **flaw), "", kind)
