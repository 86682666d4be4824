"""One flaw does not make a table, drawn at random, of a series or of sequences: the row is named."""

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
        (DAYS[3], r"'2020-01-04' of column 'day' stands in rows 4 and 200 \(1 such rows\)"),
        (None, r"row 200 of column 'day' is empty \(1 such rows\)"),
    ],
)
def test_a_time_that_repeats_is_named(tmp_path: Path, kind: str, cell: Any, flaw: str) -> None:
    path = csv(tmp_path, day=[*DAYS[:-1], cell], load=RANDOM.random(N), heat=RANDOM.random(N))
    with pytest.raises(DataError, match=f"a series must have each time once, but {flaw}; remove or mend such rows, or"):
        detect_dataset(path, "load", kind)
    assert detect_dataset(path, "load", "table").block["kind"] == "table"


def test_dates_that_often_repeat_are_a_table(tmp_path: Path) -> None:
    path = csv(tmp_path, day=RANDOM.choice(DAYS, N), load=RANDOM.random(N))
    assert detect_dataset(path, "load").block["kind"] == "table"


def test_several_series_are_not_taken_for_rows_to_draw(tmp_path: Path) -> None:
    path = csv(tmp_path, station=["A"] * N + ["B"] * N, day=DAYS * 2, load=RANDOM.random(2 * N))
    with pytest.raises(
        DataError, match=r"each station has times of its own in column 'day', and several series in one"
    ):
        detect_dataset(path, "load", "series")
    for kind in ("", "table"):
        looked = detect_dataset(path, "load", kind)
        assert looked.block["kind"] == "table"
        assert looked.block["split"] == {"by": "time", "column": "day", "validation": 0.15, "test": 0.15}
        assert looked.notes == (
            "each day has several rows: split by it, the latest are test rows, since in rows drawn at random the future"
            " would be known, and it is no feature; `split` changes it; to forecast one station, keep only its rows",
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
    ("flaw", "said"),
    [
        ({"step": 2}, r"t 2 of id 1 stands twice, again in row 10 \(1 such rows\); mend"),
        ({"label": "run"}, r"label of id 1 changes from 'walk' to 'run' in row 10 \(1 such sequences\); mend"),
    ],
)
def test_a_slip_in_sequences_is_named(tmp_path: Path, kind: str, flaw: Any, said: str) -> None:
    assert detect_dataset(sequences(tmp_path)).block["kind"] == "sequences"
    with pytest.raises(DataError, match=said):
        detect_dataset(sequences(tmp_path, **flaw), "", kind)
