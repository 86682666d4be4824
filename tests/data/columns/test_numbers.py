"""Localized numbers and dates are normalized, or refused."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from fivefold.config.datasets import ColumnOptions, FileFormat
from fivefold.data.columns.types import infer_type, parse_cells
from fivefold.data.readers.csv import read_frame
from fivefold.errors import DataError

from ...conftest import encode_as_training, table_block

NUMBERS = [
    ({"thousands": ","}, ["17,504.75", "950", "1,234,567", "-1,000"], [17504.75, 950, 1234567, -1000]),
    ({"decimal": ",", "thousands": "."}, ["51.669", "1.234,5", "0,5", ""], [51669, 1234.5, 0.5, None]),
    ({"thousands": " "}, ["12 345", "7", "1 000.5"], [12345, 7, 1000.5]),
    ({"thousands": "'"}, ["12'345", "7", "1e3"], [12345, 7, 1000]),
]


def column(folder: Path, cells: list[str], **options: Any) -> pd.Series:
    path = folder / "a.csv"
    path.write_text("a|y\n" + "".join(f"{cell}|{i % 2}\n" for i, cell in enumerate(cells)))
    return read_frame(path, FileFormat(separator="|", **options))["a"]


@pytest.mark.parametrize(("options", "cells", "values"), NUMBERS, ids=["us", "german", "blank", "swiss"])
def test_thousands(tmp_path: Path, options: Any, cells: list[str], values: list[float | None]) -> None:
    found = column(tmp_path, cells, **options)
    assert pd.api.types.is_numeric_dtype(found.dtype)
    assert [None if pd.isna(value) else value for value in found] == values


@pytest.mark.parametrize("cell", ["1,23", "12,3456", "31.12.2020", "1,2,3"])
def test_cells_without_groups_of_three_are_unchanged(tmp_path: Path, cell: str) -> None:
    assert column(tmp_path, ["1,234", cell], thousands=",").tolist() == ["1234", cell]


def test_points_with_decimal_commas_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r" set `format: {decimal: ',', thousands"):
        column(tmp_path, ["1,5", "51.669"], decimal=",")


def test_thousands_and_decimal_must_differ() -> None:
    with pytest.raises(ValidationError, match="Input should differ from the decimal mark; set `decimal`"):
        FileFormat(thousands=".")


DATES = [
    ("dayfirst", "31.12.2020", "2020-12-31"),
    ("dayfirst", "1/2/2020 7:05", "2020-02-01 07:05:00"),
    ("dayfirst", "01-02-68", "2068-02-01"),
    ("monthfirst", "1/2/99", "1999-01-02"),
    ("monthfirst", "12/31/2020 12:00:07.5 AM", "2020-12-31 00:00:07.5"),
    ("monthfirst", "12/31/2020, 1:30 pm", "2020-12-31 13:30:00"),
    ("dayfirst", "31.2.2020", "31.2.2020"),
    ("monthfirst", "31/12/2020", "31/12/2020"),
    ("dayfirst", "soon", "soon"),
]


@pytest.mark.parametrize(("dates", "cell", "iso"), DATES)
def test_localized_dates_become_iso_dates(tmp_path: Path, dates: Any, cell: str, iso: str) -> None:
    assert column(tmp_path, ["5/5/2020", cell, ""], dates=dates).tolist()[1] == iso


def test_a_date_in_a_text_column_is_unchanged(tmp_path: Path) -> None:
    assert column(tmp_path, ["red", "blue", "1.2.2020"], dates="dayfirst").tolist()[2] == "1.2.2020"


def test_dayfirst_dates_of_a_table_are_read_and_an_invalid_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{i + 1:02d}.03.2024,{i % 2}" for i in range(30)]
    path.write_text("\n".join(["day,y", *rows]))
    block = table_block(path, format=FileFormat(dates="dayfirst"))
    dataset = encode_as_training(block)
    assert dataset.schema.columns[0].date_parts == ("days", "weekday")
    path.write_text("\n".join(["day,y", *rows[:-1], "32.03.2024,1"]))
    (result,) = encode_as_training(block).checks
    assert "must contain ISO dates, but contains '32.03.2024' in row 30; set `format: " in result.message


def test_utf16_is_detected_by_its_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("größe,y\n1,ü\n".encode("utf-16"))
    assert read_frame(tmp_path / "a.csv").columns.tolist() == ["größe", "y"]


@pytest.mark.parametrize(
    ("options", "cells", "values"),
    [
        ({"thousands": ","}, ["(17,504.75)", "950", "$1,234"], [-17504.75, 950, 1234]),
        ({"decimal": ",", "thousands": "."}, ["1.234,5 €", "-0,5 %", "7"], [1234.5, -0.5, 7]),
    ],
)
def test_localized_numbers_with_signs_are_numeric(
    tmp_path: Path, options: Any, cells: list[str], values: list[float]
) -> None:
    read = column(tmp_path, cells, **options)
    assert infer_type(read, ColumnOptions())[0] == "numeric"
    assert parse_cells(read, "numeric")[0].tolist() == values
