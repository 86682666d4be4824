"""Sequences in long form are known by how they step, whatever their columns are called and their rows' order."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.autoconfig.detect import detect_dataset
from fivefold.errors import DataError

RANDOM = np.random.default_rng(0)
WHO, STEP = np.repeat(np.arange(24), 6), np.tile(np.arange(6), 24)
VALUE, LABEL = RANDOM.random(144), np.repeat(["run", "walk"] * 12, 6)


def shuffled(folder: Path, series: str, step: str, **columns: Any) -> Path:
    frame = pd.DataFrame({series: WHO, step: STEP, "v": VALUE, "label": LABEL} | columns)
    frame.iloc[RANDOM.permutation(144)].to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


@pytest.mark.parametrize(
    ("series", "step"),
    [("Session", "Timestamp"), ("subject", "frame"), ("id", "time"), ("gesture", "pos"), ("v1", "v2")],
)
@pytest.mark.parametrize("kind", ["", "sequences"])
def test_even_steps_of_many_sequences(tmp_path: Path, series: str, step: str, kind: str) -> None:
    looked = detect_dataset(shuffled(tmp_path, series, step), "label", kind)
    block = looked.block
    assert (block["kind"], block["series"], block["step"]) == ("sequences", series, step)
    assert looked.notes[0] == f"{series} names the sequence, {step} orders its steps"


def test_times_that_go_on_from_sequence_to_sequence(tmp_path: Path) -> None:
    times = pd.Timestamp("2020-01-01") + pd.to_timedelta(WHO * 3600 + STEP * 5, unit="s")
    block = detect_dataset(shuffled(tmp_path, "Session", "Timestamp", Timestamp=times), "label").block
    assert (block["kind"], block["series"], block["step"]) == ("sequences", "Session", "Timestamp")


def test_a_contradictory_label_names_its_sequence(tmp_path: Path) -> None:
    label = LABEL.copy()
    label[20] = "run"
    for kind in ("", "sequences"):
        path = shuffled(tmp_path, "gesture", "pos", label=label)
        with pytest.raises(DataError, match=r"label of gesture 3 changes from 'walk' to 'run' in row \d+ \(1 such"):
            detect_dataset(path, "label", kind)
    assert detect_dataset(path, "label", "table").block["kind"] == "table"


def test_columns_that_are_said(tmp_path: Path) -> None:
    path = shuffled(tmp_path, "country", "year")  # of which a table would be as right
    assert detect_dataset(path, "label").block["kind"] == "table"
    for options in ({"series": "country"}, {"step": "year"}, {"series": "country", "step": "year"}):
        block = detect_dataset(path, "label", **options).block
        assert (block["kind"], block["series"], block["step"]) == ("sequences", "country", "year")
    with pytest.raises(DataError, match=r"but none can be told; say which with --series and --step"):
        detect_dataset(shuffled(tmp_path, "country", "year", year=RANDOM.random(144)), "label", sequence_id="country")


@pytest.mark.parametrize("columns", [{"pos": RANDOM.random(144)}, {"label": RANDOM.permutation(LABEL)}])
def test_a_table_of_groups_stays_a_table(tmp_path: Path, columns: Any) -> None:
    assert detect_dataset(shuffled(tmp_path, "gesture", "pos", **columns), "label").block["kind"] == "table"
