"""Column types are inferred, and cells are parsed and encoded."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.config.datasets import ColumnOptions
from fivefold.data.columns import types
from fivefold.errors import DataError

from ...conftest import schema_and_rows, table_block

NAN = np.nan


def series(*cells: Any) -> pd.Series:
    return pd.Series(cells, name="a")


INFERRED = [
    # cells as read by pandas, type, parsed cells
    pytest.param(series(1, 2, 3), "numeric", [1, 2, 3], id="whole numbers"),
    pytest.param(series(0, 1, 1), "numeric", [0, 1, 1], id="0 and 1 are numbers"),
    pytest.param(series(1.5, None, -3e7), "numeric", [1.5, NAN, -3e7], id="numbers with a gap"),
    pytest.param(series("1", "NA", " 2.5 ", "1e3"), "numeric", [1, NAN, 2.5, 1000], id="numbers as text"),
    pytest.param(series(None, None), "numeric", [NAN, NAN], id="nothing"),
    pytest.param(series("NA", "-"), "numeric", [NAN, NAN], id="nothing but words for it"),
    pytest.param(series(True, False, True), "boolean", [1, 0, 1], id="booleans"),
    pytest.param(series(True, None, False), "boolean", [1, NAN, 0], id="booleans with a gap"),
    pytest.param(series("yes", "No", None, " YES "), "boolean", [1, 0, NAN, 1], id="yes and no"),
    pytest.param(series("t", "f", "?"), "boolean", [1, 0, NAN], id="t and f"),
    pytest.param(series("on", "off", "N/A"), "boolean", [1, 0, NAN], id="on and off"),
    pytest.param(series("low", "high", "medium", None), "ordinal", [0, 2, 1, NAN], id="a known scale"),
    pytest.param(series("High", "LOW ", "medium", "NA"), "ordinal", [2, 0, 1, NAN], id="a known scale spelt freely"),
    pytest.param(series("XL", "S", "M"), "ordinal", [4, 1, 2], id="sizes"),
    pytest.param(series("agree", "neutral", "strongly disagree"), "ordinal", [3, 2, 0], id="answers"),
    pytest.param(series("yes", "t"), "categorical", ["yes", "t"], id="words of two pairs"),
    pytest.param(
        series("red", "NA", None), "categorical", ["red", "NA", NAN], id="words: only an empty cell is missing"
    ),
    pytest.param(series("low", "red"), "categorical", ["low", "red"], id="words beside a scale's"),
    pytest.param(series("12:30", "13:00:30"), "numeric", [45_000, 46_830], id="times without a day"),
    pytest.param(series("1 day 00:00:01", "-0:10"), "numeric", [86_401, -600], id="durations"),
    pytest.param(series("(45)", "12", "(1.5)"), "numeric", [-45, 12, -1.5], id="negatives of accounts"),
    pytest.param(series("12%", "7.5 %", "(3%)"), "numeric", [12, 7.5, -3], id="percent"),
    pytest.param(series("$12.50", "-$3", "5 €"), "numeric", [12.5, -3, 5], id="currencies"),
    pytest.param(series("+-5", "(5", "5)"), "categorical", ["+-5", "(5", "5)"], id="signs that do not fit"),
    pytest.param(series("1:1", "16:9"), "categorical", ["1:1", "16:9"], id="ratios"),
    pytest.param(series("7", "8", "missing", "unknown"), "numeric", [7, 8, NAN, NAN], id="numbers and words for none"),
    pytest.param(series("Yes", "yes", "YES", "no"), "boolean", [1, 1, 1, 0], id="flags in any case"),
    pytest.param(series("yes", "no", "unknown"), "categorical", ["yes", "no", "unknown"], id="a third answer"),
    pytest.param(series("2019/20", "2020/21"), "categorical", ["2019/20", "2020/21"], id="seasons"),
    pytest.param(series("2009/10", "2012/13"), "categorical", ["2009/10", "2012/13"], id="seasons, some like months"),
    pytest.param(
        series("1234-56-78", "2020-99-01"), "categorical", ["1234-56-78", "2020-99-01"], id="numbers of parts"
    ),
    pytest.param(pd.Series(["b", None], dtype="category", name="a"), "categorical", ["b", NAN], id="of Parquet"),
]


@pytest.mark.parametrize(("values", "kind", "cells"), INFERRED)
def test_types_are_inferred_and_cells_parsed(values: pd.Series, kind: str, cells: list[Any]) -> None:
    found, order = types.infer_type(values, ColumnOptions())
    assert found == kind
    parsed, bad = types.parse_cells(values, found, order)
    assert len(bad) == 0
    assert [NAN if pd.isna(cell) else cell for cell in parsed] == pytest.approx(cells, nan_ok=True) or (
        kind == "categorical" and pd.Series(cells).equals(parsed.astype(object))
    )


@pytest.mark.parametrize("gap", ["NA", "N/A", "n/a", "na", "NaN", "nan", "NULL", "null", "None", "none", "?", "-", " "])
@pytest.mark.parametrize(
    ("others", "kind"),
    [
        (["1", "2.5", "7"], "numeric"),
        (["yes", "no", "no"], "boolean"),
        (["low", "high", "low"], "ordinal"),
        (["2024-01-01", "2024-02-01", "2024-03-05"], "date"),
    ],
)
def test_words_for_missing_values(gap: str, others: list[str], kind: str) -> None:
    values = series(*others, gap)
    found, order = types.infer_type(values, ColumnOptions())
    cells, bad = types.parse_cells(values, found, order)
    assert (found, len(bad)) == (kind, 0)
    assert pd.isna(cells).tolist() == [False, False, False, True]


class TestDates:
    @pytest.mark.parametrize(
        ("cell", "instant"),
        [
            ("2024-02-29", "2024-02-29T00:00"),
            ("2024-2-9", "2024-02-09T00:00"),
            ("2024/02/29", "2024-02-29T00:00"),
            ("2024-02", "2024-02-01T00:00"),
            ("2024-02-29 9:30", "2024-02-29T09:30"),
            ("2024-02-29T09:30:15.5", "2024-02-29T09:30:15.500"),
            ("2024-02-29T09:30Z", "2024-02-29T09:30"),
            ("2024-02-29 09:30+02:00", "2024-02-29T07:30"),
            ("9999-12-31", "9999-12-31T00:00"),
            ("1066-10-14", "1066-10-14T00:00"),
        ],
    )
    def test_iso_dates_are_parsed(self, cell: str, instant: str) -> None:
        values = series(cell, "2020-01-01", None)
        found, _ = types.infer_type(values, ColumnOptions())
        assert found == "date"
        cells, bad = types.parse_cells(values, found)
        assert not len(bad)
        assert cells[0] == np.datetime64(instant, "ms")
        assert np.isnat(cells[2])

    @pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
    def test_parquet_timestamps_are_dates(self, zone: str | None) -> None:
        values = pd.Series(pd.to_datetime(["2024-01-01 12:00", None]).tz_localize(zone), name="a")
        found, _ = types.infer_type(values, ColumnOptions())
        cells, bad = types.parse_cells(values, found)
        assert (found, len(bad)) == ("date", 0)
        assert cells[0] == np.datetime64("2024-01-01T11:00" if zone == "Europe/Berlin" else "2024-01-01T12:00", "ms")

    def test_parts_are_days_month_weekday_and_hour(self) -> None:
        cells, _ = types.parse_cells(series("1970-01-01 06:00", "1970-02-03 12:45", None), "date")
        column = types.fit_column("d", "date", cells)
        assert column.features == ("d.days", "d.month", "d.weekday", "d.hour")
        # 1970-01-01 was a Thursday; 31 + 2 days later a Tuesday
        expected = [[0.25, 1, 3, 6], [33.53125, 2, 1, 12.75], [NAN] * 4]
        np.testing.assert_allclose(types.encode_column(cells, column), expected)

    def test_constant_parts_are_left_out(self) -> None:
        cells, _ = types.parse_cells(series("2024-01-01", "2024-01-03"), "date")
        assert types.fit_column("d", "date", cells).features == ("d.days", "d.weekday")

    def test_one_date_is_one_feature(self) -> None:
        cells, _ = types.parse_cells(series("2024-01-01", "2024-01-01"), "date")
        assert types.fit_column("d", "date", cells).features == ("d.days",)

    def test_an_invalid_month_is_reported(self) -> None:
        values = series("2024-01-01", "2024-13-01", "2024-03-01")
        kind, _ = types.infer_type(values, ColumnOptions())
        assert (kind, types.parse_cells(values, kind)[1].tolist()) == ("date", [1])

    def test_an_invalid_day_is_reported(self) -> None:
        values = series("2024-01-01", "2024-02-30", "soon")
        _, bad = types.parse_cells(values, "date")
        assert bad.tolist() == [1, 2]
        result = types.check_cells("a", values, "date", bad, "clean it")
        assert result is not None
        text = (
            "column 'a' must contain ISO dates, but contains '2024-02-30' in row 2, 'soon' in row 3 (2 rows); clean it"
        )
        assert (result.rule, result.level, result.message) == ("mixed_types", "error", text)


class TestConfigured:
    @pytest.mark.parametrize(
        ("values", "config", "cells"),
        [
            pytest.param(series(1, 0, None), ColumnOptions(type="boolean"), [1, 0, NAN], id="numbers as booleans"),
            pytest.param(
                series(3, 1, None), ColumnOptions(type="categorical"), ["3", "1", NAN], id="numbers as categories"
            ),
            pytest.param(
                series(3, 1), ColumnOptions(type="categorical"), ["3", "1"], id="the same names without a gap"
            ),
            pytest.param(series(2.5, 1), ColumnOptions(type="categorical"), ["2.5", "1"], id="each by itself"),
            pytest.param(
                series("yes", "no"), ColumnOptions(type="categorical"), ["yes", "no"], id="booleans as categories"
            ),
            pytest.param(
                series("c", "a", None, "NA"), ColumnOptions(categories=("a", "b", "c")), [2, 0, NAN, NAN], id="an order"
            ),
            pytest.param(
                series(30, 10, None),
                ColumnOptions(categories=("10", "20", "30")),
                [2, 0, NAN],
                id="an order of numbers",
            ),
            pytest.param(
                series("None", "some"),
                ColumnOptions(categories=("None", "some")),
                [0, 1],
                id="a gap's word in an order",
            ),
            pytest.param(
                series("A", "a"), ColumnOptions(categories=("a", "A")), [1, 0], id="case decides where it must"
            ),
            pytest.param(
                series("low", "HIGH"), ColumnOptions(type="ordinal"), [0, 2], id="a known scale needs no order"
            ),
            pytest.param(series("x", "1", "y"), ColumnOptions(type="numeric"), [NAN, 1, NAN], id="words as numbers"),
        ],
    )
    def test_configured_types_override_inferred_ones(
        self, values: pd.Series, config: ColumnOptions, cells: list[Any]
    ) -> None:
        kind, order = types.infer_type(values, config)
        assert kind == ("ordinal" if config.categories else config.type)
        parsed, _ = types.parse_cells(values, kind, order)
        assert [None if pd.isna(cell) else cell for cell in parsed] == [None if pd.isna(c) else c for c in cells]

    def test_years_may_be_dates(self) -> None:
        cells, bad = types.parse_cells(
            series(2020, 2021, None), types.infer_type(series(2020), ColumnOptions(type="date"))[0]
        )
        assert not len(bad)
        assert cells[:2].astype("datetime64[Y]").astype(str).tolist() == ["2020", "2021"]

    def test_an_ordered_parquet_categorical_keeps_its_order(self) -> None:
        values = pd.Series(pd.Categorical(["mid", "top", None], ["base", "mid", "top"], ordered=True), name="a")
        assert types.infer_type(values, ColumnOptions()) == ("ordinal", ("base", "mid", "top"))
        assert types.infer_type(values, ColumnOptions(type="categorical"))[0] == "categorical"
        cells, bad = types.parse_cells(values, "ordinal", ("base", "mid", "top"))
        np.testing.assert_array_equal(cells, [1, 2, NAN])
        assert not len(bad)

    def test_an_unknown_scale_needs_categories(self) -> None:
        message = r"column 'a' is ordinal, so `categories` must list its values, lowest first; add them"
        with pytest.raises(DataError, match=message):
            types.infer_type(series("silver", "gold"), ColumnOptions(type="ordinal"))

    def test_a_value_outside_the_categories_is_reported(self) -> None:
        _, bad = types.parse_cells(series("a", "z", "b"), "ordinal", ("a", "b"))
        assert bad.tolist() == [1]


class TestMixedTypes:
    def test_a_column_with_half_numbers_is_numeric(self) -> None:
        values = series("1", "two", "3", "NA", "IV")
        kind, _ = types.infer_type(values, ColumnOptions())
        cells, bad = types.parse_cells(values, kind)
        assert (kind, bad.tolist()) == ("numeric", [1, 4])
        np.testing.assert_array_equal(cells, [1, NAN, 3, NAN, NAN])

    def test_a_column_with_fewer_numbers_is_categorical(self) -> None:
        assert types.infer_type(series("1", "two", "three"), ColumnOptions())[0] == "categorical"

    def test_text_is_not_converted_to_numbers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fivefold.data.columns.types.pd.to_numeric", None)  # it takes seconds for a million texts
        values = pd.Series([f"text {i}" for i in range(99)] + ["7"], name="a")
        assert types.infer_type(values, ColumnOptions())[0] == "categorical"

    @pytest.mark.parametrize("cell", ["5", "-.5", "+7e3", " 1.5", "inf", "-Infinity", "2."])
    def test_numbers_with_any_first_character_are_recognized(self, cell: str) -> None:
        assert types.infer_type(series(cell, "word"), ColumnOptions())[0] == "numeric"

    def test_a_late_word_prevents_a_boolean_type(self) -> None:
        values = pd.Series(["yes", "no"] * 6000 + ["perhaps"], name="a")
        assert types.infer_type(values, ColumnOptions())[0] == "categorical"

    @pytest.mark.parametrize("cell", [np.inf, -np.inf, 1e38, "inf", "1e99"])
    def test_values_beyond_float32_are_invalid(self, cell: Any) -> None:
        values = series(1.0, cell, 2.0)
        cells, bad = types.parse_cells(values, "numeric")
        np.testing.assert_array_equal(cells, [1, NAN, 2])
        result = types.check_cells("a", values, "numeric", bad, "clean it")
        assert result is not None
        assert result.rule == "non_finite"


class TestCategories:
    def test_categories_are_fitted_on_training_rows_and_others_are_one_past_the_last(self) -> None:
        cells, _ = types.parse_cells(series("b", "a", None, "b", "z"), "categorical")
        column = types.fit_column("a", "categorical", cells[:4])
        assert column.categories == ("a", "b")
        np.testing.assert_array_equal(types.encode_column(cells, column)[:, 0], [1, 0, NAN, 1, 2])

    @pytest.mark.parametrize(
        ("min_frequency", "expected"), [(0.0, ("a", "b", "c")), (0.15, ("a", "b")), (0.3, ("a",)), (0.9, ())]
    )
    def test_rare_categories_are_merged(self, min_frequency: float, expected: tuple[str, ...]) -> None:
        cells, _ = types.parse_cells(series(*"aaaaaaabbc"), "categorical")
        assert types.fit_column("a", "categorical", cells, min_frequency=min_frequency).categories == expected


def test_types_can_be_set_in_params(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("code,grade,open,day,size,y\n1,b,1,2024-01-01,S,u\n2,a,0,2024-01-02,L,v\n1,c,1,2024-01-03,M,u\n")
    config = {
        "code": ColumnOptions(type="categorical"),
        "grade": ColumnOptions(categories=("a", "b", "c")),
        "open": ColumnOptions(type="boolean"),
    }
    schema, samples = schema_and_rows(table_block(path, columns=config))
    assert [column.type for column in schema.columns] == ["categorical", "ordinal", "boolean", "date", "ordinal"]
    assert schema.features == ("code", "grade", "open", "day.days", "day.weekday", "size")
    assert samples.x[:, :3].tolist() == [[0, 1, 1], [1, 0, 0], [0, 2, 1]]
    assert samples.x[:, 5].tolist() == [1, 3, 2]


def test_dates_far_in_the_past_and_future_are_parsed() -> None:
    """9999-12-31 and 0001-01-01 are common placeholders; days by the proleptic Gregorian calendar of `datetime`."""
    cells, bad = types.parse_cells(series("2020-01-01", "9999-12-31", "0001-01-01", None), "date")
    assert len(bad) == 0
    features = types.encode_column(cells, types.fit_column("a", "date", cells))
    assert features[:, 0] == pytest.approx([18262, 2932896, -719162, NAN], nan_ok=True)
    assert features[:, 1] == pytest.approx([1, 12, 1, NAN], nan_ok=True)


def test_a_five_digit_year_is_invalid() -> None:
    values = series("2020-01-01", "12021-01-01", "2020-03-05")
    assert types.infer_type(values, ColumnOptions())[0] == "date"
    assert types.parse_cells(values, "date")[1].tolist() == [1]
