"""Checks of sequences and time series, of truncated samples, and of split sizes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from fivefold.config.datasets import DatasetConfig as Params
from fivefold.data.prepare import prepare
from fivefold.errors import CheckError

BLOCKS: TypeAdapter[Any] = TypeAdapter(Params)
RANDOM = np.random.default_rng(0)
N, STEPS = 60, 6
LABELS = np.arange(N) % 2
DRAWN = {"by": "random", "validation": 12, "test": 12}


def check_frame(frame: pd.DataFrame, folder: Path, **options: Any) -> list[tuple[str, str, str]]:
    """Return rule, level and message of the check results of a table."""
    frame.to_csv(folder / "a.csv", index=False)
    _, results = prepare(BLOCKS.validate_python({"source": str(folder / "a.csv"), **options}, strict=False), 0)
    return [(f.rule, f.level, f.message) for f in results if f.rule not in ("class_balance", "absent_class")]


class TestSequences:
    @staticmethod
    def frame(**columns: Any) -> pd.DataFrame:
        steps = {"series": np.repeat(np.arange(N), STEPS), "t": np.tile(np.arange(STEPS), N)}
        values = {"v": RANDOM.normal(size=N * STEPS), **columns}
        return pd.DataFrame({**steps, **values, "label": np.repeat(LABELS, STEPS)})

    @staticmethod
    def run(frame: pd.DataFrame, folder: Path, **options: Any) -> list[tuple[str, str, str]]:
        block = {"kind": "sequences", "task": "classification", "normalize": "none", "split": DRAWN, **options}
        return check_frame(frame, folder, **block)

    def test_valid_sequences_give_no_results(self, tmp_path: Path) -> None:
        assert self.run(self.frame(), tmp_path) == []

    def test_a_constant_column(self, tmp_path: Path) -> None:
        text = "w is constant in training steps and has no predictive value"
        assert ("constant", "warning", text) in self.run(self.frame(w=3.0), tmp_path)

    def test_a_column_constant_within_sequences_that_determines_the_label(self, tmp_path: Path) -> None:
        leak = np.repeat(LABELS * 2.0 + 7, STEPS)
        text = (
            "leak alone predicts label (balanced accuracy 1.000): is it known at prediction time? if not, add it to"
            " `drop`"
        )
        assert ("leakage", "warning", text) in self.run(self.frame(leak=leak), tmp_path)
        age = np.repeat(RANDOM.normal(size=N), STEPS)
        assert self.run(self.frame(age=age, leak=leak + RANDOM.normal(size=N * STEPS) / 9), tmp_path) == []

    def test_an_outlier(self, tmp_path: Path) -> None:
        frame = self.frame()
        frame["v"] = frame["v"].where(frame.index % 12 != 3, 99999)
        [(rule, level, text)] = self.run(frame, tmp_path)
        assert (rule, level) == ("outliers", "note")
        assert text.endswith(f" of {36 * STEPS} values of v are outliers (> 10 IQR); fix errors")

    def test_missing_steps_within_sequences(self, tmp_path: Path) -> None:
        frame = self.frame().drop(index=[8, 9, 20, 29])  # a missing last step is not a gap
        text = "2 of 60 sequences have missing steps, the first is 1 after t 1"
        assert self.run(frame, tmp_path) == [("missing_steps", "warning", text)]
        days = frame.assign(t=pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["t"], "D"))
        assert [rule for rule, *_ in self.run(days, tmp_path)] == ["missing_steps"]
        uneven = frame.assign(t=frame["t"] ** 2)
        assert self.run(uneven, tmp_path) == []
        assert self.run(frame.assign(t="t" + frame["t"].astype(str)), tmp_path) == []

    def test_repeated_sequences(self, tmp_path: Path) -> None:
        frame = self.frame()
        frame.loc[6:11, "v"] = frame.loc[:5, "v"].to_numpy()
        assert ("duplicates", "note", "1 rows repeat the features of an earlier row") in self.run(frame, tmp_path)

    def test_held_out_sequences_longer_than_training_sequences(self, tmp_path: Path) -> None:
        frame = self.frame()
        frame["split"] = np.where(frame["series"] < 40, "train", np.where(frame["series"] < 50, "dev", "test"))
        frame = frame[(frame["split"] != "train") | (frame["t"] < 4)]
        frame = frame[(frame["series"] != 59) | (frame["t"] < 4)]
        text = (
            "10 of 10 validation and 9 of 10 test sequences are longer than the longest training sequence, 4 steps, and"
        )
        results = self.run(frame, tmp_path, split={"by": "predefined"})
        assert results == [("truncated", "note", f"{text} truncated")]


class TestSeries:
    N = 60

    def run(self, folder: Path, times: Any = None, **columns: Any) -> list[tuple[str, str, str]]:
        checks = columns.pop("checks", {})
        times = pd.date_range("2024-01-01", periods=self.N) if times is None else times
        frame = pd.DataFrame({"day": times, "load": RANDOM.normal(size=len(times)), **columns})
        block = {"kind": "series", "task": "forecasting", "time": "day", "targets": ["load"], "window": 4, "horizon": 2}
        split = {"by": "time", "validation": 10, "test": 10}
        options = {**block, "exogenous": list(columns), "normalize": "none", "split": split, "checks": checks}
        return check_frame(frame, folder, **options)

    def test_a_valid_series_gives_no_results(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, heat=RANDOM.normal(size=self.N)) == []

    def test_a_constant_column(self, tmp_path: Path) -> None:
        assert [rule for rule, *_ in self.run(tmp_path, heat=1.0)] == ["constant"]

    @pytest.mark.parametrize(
        ("ahead", "what"), [(0, "load"), (1, "load, 1 step ahead"), (2, "load, 2 steps ahead"), (3, ""), (-1, "")]
    )
    def test_a_column_that_equals_the_target(self, tmp_path: Path, ahead: int, what: str) -> None:
        load = RANDOM.normal(size=self.N)
        text = f"heat is {what}: is it known at prediction time? if not, remove it from `exogenous`"
        frame = {"load": load, "heat": np.roll(load, -ahead) * 2 + 5}
        days = pd.date_range("2024-01-01", periods=self.N)
        pd.DataFrame({"day": days, **frame}).to_csv(tmp_path / "a.csv", index=False)
        block = {"kind": "series", "task": "forecasting", "time": "day", "targets": ["load"], "window": 4, "horizon": 2}
        split = {"by": "time", "validation": 10, "test": 10}
        options = {
            **block,
            "source": str(tmp_path / "a.csv"),
            "exogenous": ["heat"],
            "normalize": "none",
            "split": split,
        }
        _, results = prepare(BLOCKS.validate_python(options, strict=False), 0)
        assert [f.message for f in results] == ([text] if what else [])

    def test_an_outlier(self, tmp_path: Path) -> None:
        heat = RANDOM.normal(size=self.N)
        heat[7] = 99999
        text = "1 of 37 values of heat are outliers (> 10 IQR); fix errors"
        assert self.run(tmp_path, heat=heat) == [("outliers", "note", text)]

    def test_mostly_missing_steps_are_an_error_with_a_configurable_level(self, tmp_path: Path) -> None:
        days = pd.date_range("2024-01-01", periods=160)[np.r_[0:30, 130:160]]
        message = (
            r"a.csv: 100 of 160 steps are missing, .*; set a `freq` longer than 1 day, or resample .* `checks: {missing"
        )
        with pytest.raises(CheckError, match=message):
            self.run(tmp_path, days)
        assert self.run(tmp_path, days, checks={"missing_steps": "warning"})[0][:2] == ("missing_steps", "warning")


def test_truncated_texts_are_reported(tmp_path: Path) -> None:
    words = [" ".join(["word"] * (3 + i % 4)) for i in range(40)]
    frame = pd.DataFrame({"text": words, "label": LABELS[:40], "split": ["train"] * 20 + ["test"] * 20})
    block = {
        "kind": "text",
        "task": "classification",
        "target": "label",
        "split": {"by": "predefined", "validation": 4},
    }
    results = check_frame(frame, tmp_path, max_length=5, **block)
    [text] = [text for rule, level, text in results if (rule, level) == ("truncated", "note")]
    assert text.endswith("of training texts are longer than 5 tokens and truncated; increase `max_length` to keep more")
    assert "truncated" not in [rule for rule, *_ in check_frame(frame, tmp_path, max_length=6, **block)]


def test_a_split_in_time_shifted_by_ties_is_reported(tmp_path: Path) -> None:
    days = np.repeat([1, 2, 3, 4], [40, 10, 20, 30])
    frame = pd.DataFrame({"day": days, "a": RANDOM.normal(size=100), "y": np.arange(100) % 2})
    block = {"kind": "table", "task": "classification", "target": "y", "normalize": "none"}
    split = {"by": "time", "column": "day", "validation": 0.2, "test": 0.2}
    text = "20 validation rows (20.0%) instead of 20 (20.0%) and 30 test rows (30.0%) instead of 20 (20.0%)"
    schema_and_rows = f"rows with equal times stay together in the later split, which results in {text}"
    assert ("split_sizes", "note", schema_and_rows) in check_frame(frame, tmp_path, split=split, **block)
    results = check_frame(frame, tmp_path, split={**split, "validation": 20, "test": 30}, **block)
    assert "split_sizes" not in [rule for rule, *_ in results]
