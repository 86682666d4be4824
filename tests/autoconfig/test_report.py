"""The report fits a terminal of 80 columns."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from fivefold.autoconfig.add import add
from fivefold.autoconfig.report import print_diff, print_report

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(0)
N = 300


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)


def report_lines(frame: pd.DataFrame, width: int = 80) -> list[str]:
    frame.to_parquet("mine.parquet")
    file = io.StringIO()
    print_report(add(Path("mine.parquet"), target="goal"), Console(file=file, width=width))
    return file.getvalue().splitlines()


def line(lines: list[str], prefix: str) -> str:
    return " ".join(next(line for line in lines if line.strip().startswith(prefix)).split())


def test_five_hundred_columns_fit_on_a_screen() -> None:
    names = [f"gene_{i}" for i in range(500)]
    frame = pd.DataFrame(RANDOM.normal(size=(N, 500)), columns=names)
    lines = report_lines(frame.assign(goal=["no", "yes"] * (N // 2), color=["red", "blue", "green"] * (N // 3)))
    assert len(lines) < 36
    assert line(lines, "...") == "... and 481 more: 480 numeric, 1 categorical"


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_are_shortened_in_the_middle(width: int) -> None:
    names = [f"a_rather_long_name_of_the_measure_number_{i}" for i in range(10, 14)]
    frame = pd.DataFrame(RANDOM.normal(size=(N, 4)), columns=names)
    lines = report_lines(frame.assign(goal=RANDOM.choice([f"a class of a long name {i}" for i in range(9)], N)), width)
    assert all(len(line) <= width for line in lines)
    assert [line(lines, f"a_rather_long_…asure_number_{i} ") for i in range(10, 14)]


def test_descriptions_of_columns() -> None:
    frame = pd.DataFrame(
        {
            "small": RANDOM.normal(size=N) / 1000,
            "large": np.linspace(10_000, 1_234_567, N).round(),
            "flag": np.arange(N) < 75,
            "gaps": np.where(np.arange(N) == 0, np.nan, np.arange(N) % 50),
            "goal": RANDOM.permutation(np.repeat([3, 8], [100, 200])),
        }
    )
    lines = report_lines(frame.sample(frac=1, random_state=0, ignore_index=True))
    assert line(lines, "flag").startswith("flag boolean true in 2")
    assert "e+0" not in line(lines, "large")
    assert "%" not in line(lines, "small")
    assert "%" in line(lines, "gaps") or "gaps numeric 0 to 49" in line(lines, "gaps")
    assert line(lines, "goal") == "goal target 2 classes: 8 (140), 3 (70)"
    assert lines[:2] == [
        "mine: table, classification of goal",
        "rows, split stratified by class: 210 train, 45 validation, 45 test",
    ]


def test_the_properties_of_a_series() -> None:
    days = pd.date_range("2024-01-01", periods=N, freq="h")
    lines = report_lines(pd.DataFrame({"when": days, "goal": np.arange(N) % 24.0, "heat": np.linspace(-3.0, 9.0, N)}))
    assert line(lines, "time") == "time when: 2024-01-01 00:00:00 to 2024-01-13 11:00:00, step 1 hour"
    assert line(lines, "goal") == "goal target, 0 to 23 in training rows"
    assert line(lines, "heat").startswith("heat exogenous, -3 to ")


def test_unix_times_are_shown_as_dates() -> None:
    hours = 1_600_000_000_000 + 3_600_000 * np.arange(N)
    lines = report_lines(pd.DataFrame({"ts": hours, "goal": RANDOM.random(N)}))
    assert "ts: 2020-09-13 12:26:40 to 2020-09-25 23:26:40, step 1 hour" in line(lines, "time")
    numbers = report_lines(pd.DataFrame({"time": np.arange(N), "goal": RANDOM.random(N)}))
    assert "time: 0 to 299, step 1" in line(numbers, "time")


def test_text_is_not_reported_as_an_identifier() -> None:
    words = [" ".join(row) for row in RANDOM.choice(["clean", "noisy", "friendly", "small"], (N, 8))]
    frame = pd.DataFrame({"a": RANDOM.random(N), "goal": ["no", "yes"] * (N // 2)})
    frame.assign(review=words, key=[f"k{i}" for i in range(N)]).to_parquet("mine.parquet")
    file = io.StringIO()
    print_report(add(Path("mine.parquet"), target="goal", kind="table"), Console(file=file, width=200))
    assert "dropped, identifiers: key (remove" in file.getvalue()
    assert "review: text is not used in a table; --kind text uses only the text" in file.getvalue()


def test_a_column_of_rare_categories_is_reported() -> None:
    towns = np.where(np.arange(N) % 3, None, [f"town{i}" for i in range(N)])
    lines = report_lines(pd.DataFrame({"town": towns, "v": RANDOM.normal(size=N), "goal": ["a", "b"] * 150}))
    assert line(lines, "town").endswith("all categories are rare")


def test_long_notes_are_wrapped_within_their_column() -> None:
    frame = pd.DataFrame({"patient": np.repeat(np.arange(60), 5), "v": RANDOM.normal(size=N), "goal": ["a", "b"] * 150})
    lines = report_lines(frame.sample(frac=1, random_state=0, ignore_index=True))
    start = next(i for i, line in enumerate(lines) if line.startswith("note patient repeats (60 values"))
    assert lines[start + 1].startswith("     ")


def test_diffs_are_colored_on_a_terminal_only() -> None:
    text = "--- params.yaml\n+++ params.yaml\n@@ -1 +1,2 @@\n a: [1]\n+b: 2\n"
    plain, terminal = io.StringIO(), io.StringIO()
    print_diff(text, Console(file=plain, width=8))
    assert plain.getvalue() == text
    print_diff(text, Console(file=terminal, force_terminal=True, color_system="standard", width=80))
    assert "\x1b[32m+b: 2\x1b[0m" in terminal.getvalue()
