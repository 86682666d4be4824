"""Quarters and month names are parsed as dates, in tables and in time series."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fivefold.config.datasets import ColumnOptions, Series
from fivefold.data.columns.types import infer_type, parse_cells
from fivefold.data.readers.series import read_series


def parse_dates(*cells: str) -> list[str]:
    values = pd.Series(cells, dtype="str")
    kind, _ = infer_type(values, ColumnOptions())
    assert kind == "date"
    times, bad = parse_cells(values, kind)
    assert list(np.flatnonzero(np.isnat(times))) == list(bad)
    return [str(time) for time in times.astype("datetime64[m]")]


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (("1960Q1", "1960-Q2", "1961q4"), ("1960-01-01", "1960-04-01", "1961-10-01")),
        (("Q3 1960", "q4-1961"), ("1960-07-01", "1961-10-01")),
        (("12-Jan-2021", "3-Feb-99", "03 sept. 2020", "1.May 2020"),
         ("2021-01-12", "1999-02-03", "2020-09-03", "2020-05-01")),
        (("Jan 12, 2021", "SEPTEMBER 3 2020"), ("2021-01-12", "2020-09-03")),
        (("Jan 2021", "December 2020", "2020-11"), ("2021-01-01", "2020-12-01", "2020-11-01")),
        (("Jan-70", "Feb-05"), ("1970-01-01", "2005-02-01")),
    ],
)  # fmt: skip
def test_other_date_formats_are_parsed(cells: tuple[str, ...], days: tuple[str, ...]) -> None:
    assert parse_dates(*cells) == [f"{day}T00:00" for day in days]


def test_time_of_day_is_parsed_and_an_invalid_day_is_reported() -> None:
    values = pd.Series(["12-Jan-2021 10:30", "31 Jun 2021", "?"], dtype="str")
    times, bad = parse_cells(values, "date")
    assert (str(times[0]), list(bad)) == ("2021-01-12T10:30:00.000", [1])  # the last cell is missing


@pytest.mark.parametrize("cells", [["maybe 2020", "march on 2020"], ["Q5 1960", "Q1 60"], ["may 12", "june"]])
def test_words_similar_to_dates_are_categories(cells: list[str]) -> None:
    assert infer_type(pd.Series(cells, dtype="str"), ColumnOptions())[0] == "categorical"


@pytest.mark.parametrize("form", ["{}Q{}", "{}{:02d}"])
def test_quarters_and_months_without_separators_are_read(tmp_path: Path, form: str) -> None:
    places = [(i // 4, i % 4) for i in range(40)]
    quarters = [form.format(1960 + year, q + 1 if "Q" in form else 3 * q + 1) for year, q in places]
    pd.DataFrame({"quarter": quarters, "gdp": np.arange(40.0)}).to_csv(tmp_path / "gdp.csv", index=False)
    block = {
        "kind": "series", "source": str(tmp_path / "gdp.csv"), "task": "forecasting", "time": "quarter",
        "targets": ["gdp"], "window": 4, "split": {"by": "time", "validation": 4, "test": 4}, "normalize": "none",
    }  # fmt: skip
    schema = read_series(tmp_path / "gdp.csv", Series.model_validate(block, strict=False)).schema
    assert (schema.frequency, schema.time_range) == ("3 months", ("1960-01-01", "1969-10-01"))
