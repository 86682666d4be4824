"""Sequences in long form are detected by their steps, for any column names and row order."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.autoconfig.detect import detect_dataset
from fivefold.errors import DataError

RANDOM = np.random.default_rng(0)
SEQUENCE_ID, TIME_STEP = np.repeat(np.arange(24), 6), np.tile(np.arange(6), 24)
VALUE, LABEL = RANDOM.random(144), np.repeat(["run", "walk"] * 12, 6)


def shuffled(folder: Path, sequence_id: str, time_step: str, **columns: Any) -> Path:
    frame = pd.DataFrame({sequence_id: SEQUENCE_ID, time_step: TIME_STEP, "v": VALUE, "label": LABEL} | columns)
    frame.iloc[RANDOM.permutation(144)].to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


@pytest.mark.parametrize(
    ("sequence_id", "time_step"),
    [("Session", "Timestamp"), ("subject", "frame"), ("id", "time"), ("gesture", "pos"), ("v1", "v2")],
)
@pytest.mark.parametrize("kind", ["", "sequences"])
def test_sequences_with_equal_steps_are_detected(tmp_path: Path, sequence_id: str, time_step: str, kind: str) -> None:
    proposal = detect_dataset(shuffled(tmp_path, sequence_id, time_step), "label", kind)
    block = proposal.block
    assert (block["kind"], block["sequence_id"], block["time_step"]) == ("sequences", sequence_id, time_step)
    assert proposal.notes[0] == f"{sequence_id} identifies the sequence, {time_step} orders its steps"


def test_times_that_continue_across_sequences(tmp_path: Path) -> None:
    times = pd.Timestamp("2020-01-01") + pd.to_timedelta(SEQUENCE_ID * 3600 + TIME_STEP * 5, unit="s")
    block = detect_dataset(shuffled(tmp_path, "Session", "Timestamp", Timestamp=times), "label").block
    assert (block["kind"], block["sequence_id"], block["time_step"]) == ("sequences", "Session", "Timestamp")


def test_an_inconsistent_label_raises(tmp_path: Path) -> None:
    label = LABEL.copy()
    label[20] = "run"
    for kind in ("", "sequences"):
        path = shuffled(tmp_path, "gesture", "pos", label=label)
        with pytest.raises(DataError, match=r"label of gesture 3 changes from 'walk' to 'run' in row \d+ \(1 such"):
            detect_dataset(path, "label", kind)
    assert detect_dataset(path, "label", "table").block["kind"] == "table"


def test_the_column_options_override_inference(tmp_path: Path) -> None:
    path = shuffled(tmp_path, "country", "year")  # ambiguous: could be a table
    assert detect_dataset(path, "label").block["kind"] == "table"
    for options in ({"sequence_id": "country"}, {"time_step": "year"}, {"sequence_id": "country", "time_step": "year"}):
        block = detect_dataset(path, "label", **options).block
        assert (block["kind"], block["sequence_id"], block["time_step"]) == ("sequences", "country", "year")
    with pytest.raises(DataError, match=r"but none can be inferred; set --sequence-id and --time-step"):
        detect_dataset(shuffled(tmp_path, "country", "year", year=RANDOM.random(144)), "label", sequence_id="country")


@pytest.mark.parametrize("columns", [{"pos": RANDOM.random(144)}, {"label": RANDOM.permutation(LABEL)}])
def test_a_table_of_groups_is_a_table(tmp_path: Path, columns: Any) -> None:
    assert detect_dataset(shuffled(tmp_path, "gesture", "pos", **columns), "label").block["kind"] == "table"
