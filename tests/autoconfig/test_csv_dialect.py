"""Number and date formats are inferred from unambiguous cells; ambiguities are reported."""

from pathlib import Path

import pandas as pd
import pytest

from fivefold.autoconfig.csv_dialect import infer_date_format, infer_number_format
from fivefold.autoconfig.detect import detect_dataset
from fivefold.errors import DataError

N = 20


def infer(*columns: list[str], separator: str = ";") -> tuple[str, str, str]:
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
def test_separators(columns: list[list[str]], separator: str, decimal: str, thousands: str) -> None:
    assert infer(*columns, separator=separator) == (decimal, thousands, "")


@pytest.mark.parametrize(
    ("cells", "separator", "separators", "note"),
    [
        (["1.234", "12.345"], ";", (".", ""), "1.234 is parsed as 1.234; if '.' separates thousands, set `format:"),
        (["1,234", "950"], ";", (",", ""), "1,234 is parsed as 1.234; if ',' separates thousands, set `format:"),
        (["1,234", "950"], ",", (".", ","), "1,234 is parsed as 1234; if that is wrong, fix `format`"),
    ],
)
def test_ambiguous_separators_are_reported(
    cells: list[str], separator: str, separators: tuple[str, str], note: str
) -> None:
    decimal, thousands, ambiguity = infer(cells * N, separator=separator)
    assert (decimal, thousands) == separators
    assert ambiguity.startswith(f"c0: {note}")


def test_a_decimal_comma_in_quotes_is_parsed_and_reported() -> None:
    note = "c1: 0,5 in quotes is parsed with a decimal comma; if that is wrong, fix `format`"
    assert infer(["1", "2"], ["0,5", "1.000,25"], separator=",") == (",", ".", note)


@pytest.mark.parametrize(
    ("days", "date_format"),
    [
        (["2020-12-31"], "iso"),
        (["31/12/2020", "1/2/2020"], "dayfirst"),
        (["12/31/2020", "1/2/2020"], "monthfirst"),
        (["01.02.2020", "02.03.2020"], "dayfirst"),
        (["red", "blue", "31/12/2020"], "iso"),
    ],
)
def test_the_date_format_is_inferred_from_days_above_12(days: list[str], date_format: str) -> None:
    assert infer_date_format(pd.DataFrame({"day": days}), "", Path("a.csv")) == date_format


def test_ambiguous_dates_raise() -> None:
    frame = pd.DataFrame({"day": ["01/02/2020", "03/04/2020"]})
    with pytest.raises(
        DataError, match=r"comes first \('01/02/2020' in row 1\); set --dates dayfirst or --dates monthfirst\Z"
    ):
        infer_date_format(frame, "", Path("a.csv"))
    assert infer_date_format(frame, "monthfirst", Path("a.csv")) == "monthfirst"
    with pytest.raises(DataError, match=r"--dates must be one of iso, dayfirst, monthfirst, but is 'us'"):
        infer_date_format(frame, "us", Path("a.csv"))


def test_columns_with_different_date_formats_raise() -> None:
    frame = pd.DataFrame({"a": ["31/12/2020"], "b": ["12/31/2020"]})
    with pytest.raises(DataError, match="all dates must have the same format, but are a dayfirst, b monthfirst"):
        infer_date_format(frame, "", Path("a.csv"))


def test_a_german_series_is_added_with_its_format(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=60).strftime("%d.%m.%Y")
    loads = [f"{i}.{i:03d},5" for i in range(1, 61)]
    path = tmp_path / "load.csv"
    path.write_text("\n".join(["day;load", *(f"{day};{load}" for day, load in zip(days, loads, strict=True))]))
    block = detect_dataset(path).block
    assert (block["kind"], block["time"], block["targets"]) == ("series", "day", ["load"])
    assert block["format"] == {"separator": ";", "decimal": ",", "thousands": ".", "dates": "dayfirst"}


def test_separators_of_numbers_in_brackets_and_with_currencies() -> None:
    assert infer_number_format([["a"], ["(1,234.50)"], ["$950.00"], ["(12.00)"]], ",") == (".", ",", "")
    assert infer_number_format([["a"], ["1.234,50 €"], ["-12,5 %"]], ";")[:2] == (",", ".")
