"""How numbers and dates are written is told from cells that leave no doubt; a doubt is said."""

from pathlib import Path

import pandas as pd
import pytest

from fivefold.autoconfig.csv_dialect import infer_date_format, infer_number_format
from fivefold.autoconfig.detect import detect_dataset
from fivefold.errors import DataError

N = 20


def told(*columns: list[str], separator: str = ";") -> tuple[str, str, str]:
    return infer_number_format(
        [[f"c{i}" for i in range(len(columns))], *map(list, zip(*columns, strict=True))], separator
    )


@pytest.mark.parametrize(
    ("columns", "separator", "decimal", "thousands"),
    [
        ([["1.5", "2.25"], ["1", "x"]], ",", ".", ""),
        ([["1,5", "2,25"], ["1", "x"]], ";", ",", ""),
        ([["47.845", "51.669"], ["171,3", "2"]], ";", ",", "."),
        ([["17,504.75", "950"], ["a", "b"]], ",", ".", ","),
        ([["1.234.567", "7"], ["a", "b"]], ";", ",", "."),
        ([["12 345", "7"], ["a", "b"]], ";", ".", " "),
        ([["12'345", "7"], ["1.5", "b"]], ",", ".", "'"),
        ([["12,345", "7"], ["1.5", "b"]], ";", ".", ","),
        ([["12 345", "7 Oak Street"], ["a", "b"]], ";", ".", ""),
        ([["12,345", "12,3"], ["1.5", "2.5"]], ",", ".", ""),
    ],
)
def test_marks(columns: list[list[str]], separator: str, decimal: str, thousands: str) -> None:
    assert told(*columns, separator=separator) == (decimal, thousands, "")


@pytest.mark.parametrize(
    ("cells", "separator", "found", "said"),
    [
        (["1.234", "12.345"], ";", (".", ""), "1.234 is read as 1.234, not as a thousand; if it is one, set `format:"),
        (["1,234", "950"], ";", (",", ""), "1,234 is read as 1.234, not as a thousand; if it is one, set `format:"),
        (["1,234", "950"], ",", (".", ","), "1,234 is read as 1234; if not, mend `format`"),
    ],
)
def test_what_may_be_either_is_said(cells: list[str], separator: str, found: tuple[str, str], said: str) -> None:
    decimal, thousands, doubt = told(cells * N, separator=separator)
    assert (decimal, thousands) == found
    assert doubt.startswith(f"c0: {said}")


def test_a_decimal_comma_in_quotes_is_read_and_said() -> None:
    said = "c1: 0,5 in quotes is a number with a decimal comma; if not, mend `format`"
    assert told(["1", "2"], ["0,5", "1.000,25"], separator=",") == (",", ".", said)


@pytest.mark.parametrize(
    ("days", "way"),
    [
        (["2020-12-31"], "iso"),
        (["31/12/2020", "1/2/2020"], "dayfirst"),
        (["12/31/2020", "1/2/2020"], "monthfirst"),
        (["01.02.2020", "02.03.2020"], "dayfirst"),
        (["red", "blue", "31/12/2020"], "iso"),
    ],
)
def test_a_day_above_12_tells_what_comes_first(days: list[str], way: str) -> None:
    assert infer_date_format(pd.DataFrame({"day": days}), "", Path("a.csv")) == way


def test_dates_that_tell_nothing_are_asked_for() -> None:
    frame = pd.DataFrame({"day": ["01/02/2020", "03/04/2020"]})
    with pytest.raises(
        DataError, match=r"no number tells \('01/02/2020' in row 1\); say --dates day_first or month_fir"
    ):
        infer_date_format(frame, "", Path("a.csv"))
    assert infer_date_format(frame, "monthfirst", Path("a.csv")) == "monthfirst"
    with pytest.raises(DataError, match=r"--dates must be one of iso, day_first, month_first, but is 'us'"):
        infer_date_format(frame, "us", Path("a.csv"))


def test_columns_that_differ_are_refused() -> None:
    frame = pd.DataFrame({"a": ["31/12/2020"], "b": ["12/31/2020"]})
    with pytest.raises(DataError, match="dates must be written in one way, but are a day_first, b month_first"):
        infer_date_format(frame, "", Path("a.csv"))


def test_a_german_series_is_added_with_its_format(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=60).strftime("%d.%m.%Y")
    loads = [f"{i}.{i:03d},5" for i in range(1, 61)]
    path = tmp_path / "load.csv"
    path.write_text("\n".join(["day;load", *(f"{day};{load}" for day, load in zip(days, loads, strict=True))]))
    block = detect_dataset(path).block
    assert (block["kind"], block["time"], block["targets"]) == ("series", "day", ["load"])
    assert block["format"] == {"separator": ";", "decimal": ",", "thousands": ".", "dates": "dayfirst"}


def test_brackets_and_currencies_do_not_hide_the_marks() -> None:
    assert infer_number_format([["a"], ["(1,234.50)"], ["$950.00"], ["(12.00)"]], ",") == (".", ",", "")
    assert infer_number_format([["a"], ["1.234,50 €"], ["-12,5 %"]], ";")[:2] == (",", ".")
