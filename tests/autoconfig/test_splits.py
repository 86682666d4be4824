"""Rows sorted by time are split by time; a random split of rows with times is reported."""

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
SPLIT_BY_TIME = (
    "split by time, the latest rows are the test rows, because a random split would leak future rows into training;"
    " day is not a feature; override with `split`"
)


def detect(folder: Path, target: str, **columns: Any) -> DatasetProposal:
    pd.DataFrame(columns).to_csv(folder / "mine.csv", index=False)
    return detect_dataset(folder / "mine.csv", target)


@pytest.mark.parametrize(
    ("name", "times", "season_length"),
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
def test_regular_times_and_numbers_are_a_series(
    tmp_path: Path, name: str, times: Sequence[Any], season_length: int
) -> None:
    block = detect(tmp_path, "load", **{name: times}, load=RANDOM.random(N)).block
    expected = season_length if season_length < 30 else 0
    assert (block["kind"], block["time"], block.get("season_length", 0)) == ("series", name, expected)


@pytest.mark.parametrize(
    "numbers", [RANDOM.permutation(N) + 1_600_000_000, np.arange(N) + 1_600_000_000, np.arange(N) * 60]
)
def test_numbers_that_are_not_times(tmp_path: Path, numbers: Any) -> None:
    proposal = detect(tmp_path, "load", account=numbers, load=RANDOM.random(N))
    assert (proposal.block["kind"], proposal.block["split"]["by"], proposal.notes) == ("table", "random", ())


def test_rows_sorted_by_date_are_split_by_time(tmp_path: Path) -> None:
    colors = ["red", "blue"] * (N // 2)
    proposal = detect(tmp_path, "price", day=DAYS, color=colors, price=RANDOM.random(N))
    assert proposal.block["split"] == BY_DAY
    series = "; --kind series would forecast from past rows"
    assert proposal.notes == (f"rows are sorted by day: {SPLIT_BY_TIME}{series}",)
    proposal = detect(tmp_path, "price", day=EVENTS, x=RANDOM.random(N), price=RANDOM.random(N))
    assert (proposal.block["kind"], proposal.block["split"]) == ("table", BY_DAY)
    assert proposal.notes == (f"rows are sorted by day: {SPLIT_BY_TIME}",)
    proposal = detect(tmp_path, "sold", day=np.repeat(DAYS[:40], 3), shop=list("abc") * 40, sold=colors)
    assert (proposal.block["task"], proposal.block["split"]) == ("classification", BY_DAY)


def test_a_class_that_only_occurs_late_prevents_a_split_by_time(tmp_path: Path) -> None:
    proposal = detect(tmp_path, "y", day=EVENTS, x=RANDOM.random(N), y=["a", "b"] * (N // 2 - 10) + ["new"] * 20)
    assert proposal.block["split"]["by"] == "stratified"
    assert proposal.notes == (
        "rows are sorted by day, but are split at random, because 'new' of y occurs only in the latest rows",
    )


def test_unsorted_dates_are_reported(tmp_path: Path) -> None:
    proposal = detect(tmp_path, "y", born=RANDOM.permutation(EVENTS), x=RANDOM.random(N), y=RANDOM.random(N))
    assert proposal.block["split"]["by"] == "random"
    assert proposal.notes == (
        "born contains times, but rows are split at random: to predict later rows from earlier ones, set `split: {by:"
        " time, column: born, validation: 0.15, test: 0.15}`",
    )


def test_missing_dates_are_reported(tmp_path: Path) -> None:
    x, colors = RANDOM.random(N), ["red", "blue"] * (N // 2)
    remedy = "set `split: {by: time, column: day, validation: 0.15, test: 0.15}`"
    reason = "is missing in 2 of 120 rows, so rows are split at random, which leaks future rows into training: fill in"
    reason += " or remove the rows without"
    days = [None if i in (3, 50) else day for i, day in enumerate(EVENTS)]
    proposal = detect(tmp_path, "y", day=days, x=x, y=colors)
    assert proposal.block["split"]["by"] == "stratified"
    assert proposal.notes == (f"rows are sorted by day, but day {reason} day, and {remedy}",)
    shops = {"shop": np.repeat(["n", "s"], N // 2), "day": [*DAYS[: N // 2], *DAYS[: N // 2 - 2], None, ""]}
    proposal = detect(tmp_path, "y", **shops, x=x, y=RANDOM.random(N))
    assert proposal.notes == (f"each day has several rows, but day {reason} day, and {remedy}",)
    proposal = detect(tmp_path, "y", born=[None, *RANDOM.permutation(EVENTS)[1:]], x=x, y=colors)
    assert "fill in or remove the rows without born, and set `split: {by: time" in proposal.notes[0]
    assert not detect(tmp_path, "y", day=[*EVENTS[:40], *[None] * (N - 40)], x=x, y=colors).notes


def test_a_split_by_patient_takes_precedence_over_time(tmp_path: Path) -> None:
    patient = np.repeat(np.arange(N // 4), 4)
    proposal = detect(tmp_path, "y", day=DAYS, patient=patient, color=["a", "b"] * (N // 2), y=RANDOM.random(N))
    assert proposal.block["split"]["by"] == "group"


def test_a_time_in_several_columns_is_reported(tmp_path: Path) -> None:
    hours = pd.date_range("2020-01-01", periods=N, freq="h")
    parts = {"Year": hours.year, "Month": hours.month, "Day": hours.day, "hour": hours.hour}
    wind = ["N", "S"] * (N // 2)
    proposal = detect(tmp_path, "load", **parts, wind=wind, load=RANDOM.random(N))
    order = "rows are sorted by Year, Month, Day, hour, but are split at random"
    assert proposal.notes == (f"{order}: --time Year,Month,Day,hour combines them into a series",)
    proposal = detect(tmp_path, "wind", **parts, wind=wind, load=RANDOM.random(N))
    assert proposal.notes == (f"{order}: combine them into one column to split by it",)


def test_too_few_dates_for_a_split_are_reported(tmp_path: Path) -> None:
    proposal = detect(tmp_path, "y", day=np.repeat(DAYS[:4], N // 4), x=RANDOM.random(N), y=RANDOM.random(N))
    assert proposal.block["split"]["by"] == "random"
    assert proposal.notes[0].startswith(
        "day contains times, but rows are split at random: to predict later rows from earlier"
    )


def test_shop_numbers_are_not_hours(tmp_path: Path) -> None:
    day, shop = np.tile(DAYS[:12], 10), np.repeat(np.arange(10), 12)
    proposal = detect(tmp_path, "sales", shop=shop, day=day, sales=RANDOM.random(N))
    assert proposal.block["split"] == BY_DAY
    assert proposal.notes[0].endswith("; to forecast one shop, keep only its rows")
