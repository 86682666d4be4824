"""Rows in order of time are split by it, as a series or a table; rows are never drawn at random without a word."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.autoconfig.detect import detect_dataset
from fivefold.autoconfig.table import DatasetProposal

RANDOM = np.random.default_rng(0)
N = 120
DAYS = [str(day.date()) for day in pd.date_range("2020-01-01", periods=N)]
EVENTS = [str(day.date()) for day in pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(N) ** 2, unit="D")]
BY_DAY = {"by": "time", "column": "day", "validation": 0.15, "test": 0.15}
FUTURE = (
    "split by it, the latest are test rows, since in rows drawn at random the future would be known, and it is no"
    " feature"
)


def looked(folder: Path, target: str, **columns: Any) -> DatasetProposal:
    pd.DataFrame(columns).to_csv(folder / "mine.csv", index=False)
    return detect_dataset(folder / "mine.csv", target)


@pytest.mark.parametrize(
    ("name", "times", "season"),
    [
        ("epoch", 1_600_000_000 + 3600 * np.arange(N), 24),
        ("t0", (1_600_000_000 + 86_400 * np.arange(N)[::-1]) * 1000, 7),  # the latest row first
        ("quarter", [f"{1960 + i // 4}Q{i % 4 + 1}" for i in range(N)], 4),
        ("when", [str(day.date()) for day in pd.date_range("2020-01-05", periods=N, freq="7D")], 52),
        ("Jahr", [f"Jan {1900 + i}" for i in range(N)], 0),
        ("week", np.arange(N), 0),
        ("Datum", [int(day.replace("-", "")) for day in DAYS], 7),
        ("Monat", [f"{day:%b-%y}" for day in pd.date_range("1990-01-01", periods=N, freq="MS")], 12),
    ],
)
def test_times_that_step_evenly_beside_numbers_are_a_series(
    tmp_path: Path, name: str, times: Sequence[Any], season: int
) -> None:
    block = looked(tmp_path, "load", **{name: times}, load=RANDOM.random(N)).block
    assert (block["kind"], block["time"], block.get("season", 0)) == ("series", name, season if season < 30 else 0)


@pytest.mark.parametrize(
    "numbers", [RANDOM.permutation(N) + 1_600_000_000, np.arange(N) + 1_600_000_000, np.arange(N) * 60]
)
def test_numbers_that_are_no_times(tmp_path: Path, numbers: Any) -> None:
    found = looked(tmp_path, "load", account=numbers, load=RANDOM.random(N))
    assert (found.block["kind"], found.block["split"]["by"], found.notes) == ("table", "random", ())


def test_rows_in_order_of_a_date_are_split_by_it(tmp_path: Path) -> None:
    words = ["red", "blue"] * (N // 2)
    found = looked(tmp_path, "price", day=DAYS, colour=words, price=RANDOM.random(N))
    assert found.block["split"] == BY_DAY
    series = "; --kind series would forecast from past rows"
    assert found.notes == (f"rows are in order of day: {FUTURE}; `split` changes it{series}",)
    found = looked(tmp_path, "price", day=EVENTS, x=RANDOM.random(N), price=RANDOM.random(N))
    assert (found.block["kind"], found.block["split"]) == ("table", BY_DAY)
    assert found.notes == (f"rows are in order of day: {FUTURE}; `split` changes it",)
    found = looked(tmp_path, "sold", day=np.repeat(DAYS[:40], 3), shop=list("abc") * 40, sold=words)
    assert (found.block["task"], found.block["split"]) == ("classification", BY_DAY)


def test_a_class_that_only_comes_late_keeps_rows_drawn(tmp_path: Path) -> None:
    found = looked(tmp_path, "y", day=EVENTS, x=RANDOM.random(N), y=["a", "b"] * (N // 2 - 10) + ["new"] * 20)
    assert found.block["split"]["by"] == "stratified"
    assert found.notes == (
        "rows are in order of day, but drawn at random, since 'new' of y is only in the latest ones",
    )


def test_dates_in_no_order_are_said(tmp_path: Path) -> None:
    found = looked(tmp_path, "y", born=RANDOM.permutation(EVENTS), x=RANDOM.random(N), y=RANDOM.random(N))
    assert found.block["split"]["by"] == "random"
    assert found.notes == (
        "born holds times, but rows are drawn at random: to tell later rows from earlier ones, set `split: {by: time,"
        " column: born, validation: 0.15, test: 0.15}`",
    )


def test_a_few_empty_dates_are_said(tmp_path: Path) -> None:
    x, words = RANDOM.random(N), ["red", "blue"] * (N // 2)
    set_it = "set `split: {by: time, column: day, validation: 0.15, test: 0.15}`"
    known = "is missing in 2 of 120 rows, so they are drawn at random, and the future is known: fill in or remove the"
    known += " rows without"
    days = [None if i in (3, 50) else day for i, day in enumerate(EVENTS)]
    found = looked(tmp_path, "y", day=days, x=x, y=words)
    assert found.block["split"]["by"] == "stratified"
    assert found.notes == (f"rows are in order of day, but day {known} day, and {set_it}",)
    shops = {"shop": np.repeat(["n", "s"], N // 2), "day": [*DAYS[: N // 2], *DAYS[: N // 2 - 2], None, ""]}
    found = looked(tmp_path, "y", **shops, x=x, y=RANDOM.random(N))
    assert found.notes == (f"each day has several rows, but day {known} day, and {set_it}",)
    found = looked(tmp_path, "y", born=[None, *RANDOM.permutation(EVENTS)[1:]], x=x, y=words)
    assert "fill in or remove the rows without born, and set `split: {by: time" in found.notes[0]
    assert not looked(tmp_path, "y", day=[*EVENTS[:40], *[None] * (N - 40)], x=x, y=words).notes


def test_rows_of_a_patient_go_before_their_order(tmp_path: Path) -> None:
    patient = np.repeat(np.arange(N // 4), 4)
    found = looked(tmp_path, "y", day=DAYS, patient=patient, colour=["a", "b"] * (N // 2), y=RANDOM.random(N))
    assert found.block["split"]["by"] == "group"


def test_a_time_in_several_columns_is_said(tmp_path: Path) -> None:
    hours = pd.date_range("2020-01-01", periods=N, freq="h")
    parts = {"Year": hours.year, "Month": hours.month, "Day": hours.day, "hour": hours.hour}
    wind = ["N", "S"] * (N // 2)
    found = looked(tmp_path, "load", **parts, wind=wind, load=RANDOM.random(N))
    order = "Year, Month, Day, hour put rows in order, but they are drawn at random"
    assert found.notes == (f"{order}: --time Year,Month,Day,hour makes a series of them",)
    found = looked(tmp_path, "wind", **parts, wind=wind, load=RANDOM.random(N))
    assert found.notes == (f"{order}: as one column they can be what `split` names",)


def test_a_few_days_are_not_split_but_said(tmp_path: Path) -> None:
    found = looked(tmp_path, "y", day=np.repeat(DAYS[:4], N // 4), x=RANDOM.random(N), y=RANDOM.random(N))
    assert found.block["split"]["by"] == "random"
    assert found.notes[0].startswith("day holds times, but rows are drawn at random: to tell later rows from earlier")


def test_numbers_of_shops_are_no_hours(tmp_path: Path) -> None:
    day, shop = np.tile(DAYS[:12], 10), np.repeat(np.arange(10), 12)
    found = looked(tmp_path, "sales", shop=shop, day=day, sales=RANDOM.random(N))
    assert found.block["split"] == BY_DAY
    assert found.notes[0].endswith("; to forecast one shop, keep only its rows")
