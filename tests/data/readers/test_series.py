"""Time series: frequency, windows, imputation, errors, and leakage."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fivefold.config.datasets import Series
from fivefold.config.splits import TimeSplit
from fivefold.data.columns.dates import describe_frequency, format_time, last_timestamps
from fivefold.data.dataset import Array, ArrayDataset, Dataset
from fivefold.data.prepare import prepare
from fivefold.data.readers.series import read_series
from fivefold.errors import DataError
from fivefold.preprocessing.scaling import fit_scaling

SHARED = Path(__file__).parents[4] / "shared/data"
NAN = np.nan


def block(source: object, **changes: Any) -> Series:
    split = TimeSplit(by="time", validation=changes.pop("validation", 2), test=changes.pop("test", 2))
    given = {"task": "forecasting", "time": "t", "targets": ("y",), "window": 2, "normalize": "standard", **changes}
    return Series(kind="series", source=str(source), split=split, **given)


def read(source: Path, **changes: Any) -> ArrayDataset:
    return read_series(source, block(source, **changes))


def write_series(folder: Path, times: Any, name: str = "a.csv", **columns: Any) -> Path:
    """Write a file of times and columns; `y` counts from 0 if there are no columns."""
    frame = pd.DataFrame({"t": times, **(columns or {"y": np.arange(len(times), dtype=float)})})
    if name.endswith(".parquet"):
        frame.to_parquet(folder / name)
    else:
        frame.to_csv(folder / name, index=False)
    return folder / name


def first_column(raw: ArrayDataset) -> list[float]:
    """Return the first column of the series, from its windows."""
    return [*raw.x[0, :, 0], *raw.keys.y[:, 0]]


def messages(raw: ArrayDataset) -> list[str]:
    return [result.message for result in raw.checks]


@pytest.mark.parametrize(
    ("times", "step", "span"),
    [
        (pd.date_range("2024-01-01", periods=9, freq="MS"), "1 month", ("2024-01-01", "2024-09-01")),
        (pd.date_range("2024-01-31", periods=9, freq="QE"), "3 months", ("2024-03-31", "2026-03-31")),
        (pd.date_range("2000-12-31", periods=9, freq="YE"), "1 year", ("2000-12-31", "2008-12-31")),
        (pd.date_range("2024-01-01", periods=9, freq="B"), "1 business day", ("2024-01-01", "2024-01-11")),
        (pd.date_range("2024-01-01", periods=9, freq="7D"), "7 days", ("2024-01-01", "2024-02-26")),
        (
            pd.date_range("2024-01-01", periods=9, freq="90min"),
            "90 minutes",
            ("2024-01-01 00:00:00", "2024-01-01 12:00:00"),
        ),
        (range(1700, 1709), "1", ("1700", "1708")),
        (np.arange(9) * 0.1, "0.1", ("0", "0.8")),
    ],
    ids=["months", "quarters", "years", "business days", "weeks", "minutes", "whole numbers", "numbers"],
)
def test_frequency_and_time_range_are_in_the_schema(
    tmp_path: Path, times: Any, step: str, span: tuple[str, str]
) -> None:
    schema = read(write_series(tmp_path, times)).schema
    assert (schema.frequency, schema.time_range) == (step, span)


GRIDS = [
    *(pd.date_range("2023-01-01", periods=40, freq=f) for f in ("MS", "ME", "QE", "YE", "W", "D", "B", "BMS")),
    *(pd.date_range("2023-01-05 12:00", periods=40, freq=f) for f in ("h", "15min", "36h", "7s", "250ms", "10us")),
    pd.date_range("2023-01-05", periods=40, freq=pd.DateOffset(months=1)),
    np.arange(1700, 1740),
    np.arange(40) / 3,
    np.linspace(-1, 1, 40),
]


@pytest.mark.parametrize("times", GRIDS, ids=lambda times: str(getattr(times, "freqstr", times[1])))
@pytest.mark.parametrize("n", [1, 12, 40])
def test_last_timestamps_follow_from_frequency_and_time_range(times: Any, n: int) -> None:
    grid = np.asarray(times)
    raw = last_timestamps(describe_frequency(grid), (format_time(grid, 0), format_time(grid, -1)), n)
    assert raw is not None
    if grid.dtype.kind == "M":
        assert raw.astype("datetime64[us]").tolist() == grid[-n:].astype("datetime64[us]").tolist()
    else:
        np.testing.assert_allclose(raw, grid[-n:], rtol=1e-6, atol=1e-6)


def test_ends_of_business_months_may_be_two_days_off() -> None:
    grid = np.asarray(pd.date_range("2023-01-01", periods=40, freq="BME"))
    raw = last_timestamps(describe_frequency(grid), (format_time(grid, 0), format_time(grid, -1)), 40)
    assert raw is not None
    assert np.abs(raw - grid).max() <= np.timedelta64(2, "D")


def test_an_approximate_frequency_has_no_timestamps() -> None:
    twice = np.asarray(pd.date_range("2023-01-01", periods=40, freq="SMS"))
    assert describe_frequency(twice) == "about 16 days"
    assert last_timestamps(describe_frequency(twice), ("2023-01-01", "2024-08-15"), 5) is None
    assert last_timestamps("", (), 5) is None


def test_the_time_range_is_that_of_the_selected_steps(tmp_path: Path) -> None:
    late = [NAN, NAN, *range(7)]
    raw = read(write_series(tmp_path, range(2000, 2009), y=np.arange(9.0), temp=late), exogenous=("temp",))
    assert raw.schema.time_range == ("2002", "2008")


class TestWindows:
    def test_windows_contain_past_steps_and_future_targets(self, tmp_path: Path) -> None:
        path = write_series(tmp_path, range(2001, 2010), temp=np.arange(9) * 10, load=np.arange(9.0), y=-np.arange(9.0))
        raw = read(path, targets=("y", "load"), exogenous=("temp",), window=3, horizon=2)
        assert raw.schema.features == ("y", "load", "temp")
        assert raw.schema.values == ("y+1", "load+1", "y+2", "load+2")
        assert (raw.schema.shape, raw.x.shape, raw.keys.y.shape) == ((3, 3), (5, 3, 3), (5, 4))
        assert raw.x[1].tolist() == [[-1, 1, 10], [-2, 2, 20], [-3, 3, 30]]
        assert raw.keys.y[1].tolist() == [-4, 4, -5, 5]
        assert raw.rows.tolist() == [3, 4, 5, 6, 7]
        assert raw.checks == ()

    def test_the_last_season_may_precede_the_window_but_not_the_series(self, tmp_path: Path) -> None:
        path = write_series(tmp_path, range(2001, 2013), y=np.arange(12.0), load=np.arange(12.0) * 10)
        raw = read(path, targets=("y", "load"), window=2, horizon=2, season_length=4).seasonal_naive
        assert raw is not None
        assert np.isnan(raw[0]).all()  # steps 2 and 3
        np.testing.assert_array_equal(raw[1], [NAN, NAN, 0, 0])
        assert raw[2].tolist() == [0, 0, 1, 10]  # steps 4 and 5

    def test_a_horizon_beyond_a_season_repeats_the_last_season(self, tmp_path: Path) -> None:
        raw = read(write_series(tmp_path, range(2001, 2013)), window=3, horizon=3, season_length=2)
        assert raw.seasonal_naive is not None
        assert raw.seasonal_naive[0].tolist() == [1, 2, 1]  # steps 3, 4 and 5
        assert read(write_series(tmp_path, range(2001, 2013)), window=3).seasonal_naive is None

    def test_the_seasonal_naive_forecast_never_uses_future_values(self, tmp_path: Path) -> None:
        path = write_series(tmp_path, range(2001, 2013), y=[0, 1, 2, 3, NAN, NAN, 6, 7, 8, 9, 10, 11.0])
        raw = read(path, window=2, season_length=2, missing="interpolate")
        assert raw.seasonal_naive is not None
        assert raw.seasonal_naive[:, 0].tolist() == [0, 1, 2, 3, 3, 3, 6, 7, 8, 9]  # the previous value if missing

    def test_the_seasonal_naive_forecast_is_split_with_the_rows(self, tmp_path: Path) -> None:
        dataset, _ = prepare(block(write_series(tmp_path, range(2001, 2021)), season_length=5), 0)
        for samples in dataset.splits().values():
            assert samples.seasonal_naive is not None
            known = samples.rows >= 5
            assert (samples.seasonal_naive[known] == samples.y[known] - 5).all()
            assert np.isnan(samples.seasonal_naive[~known]).all()

    def test_rows_may_be_in_any_order(self, tmp_path: Path) -> None:
        path = write_series(tmp_path, range(2001, 2010))
        expected = read(path)
        pd.read_csv(path).sample(frac=1, random_state=0).to_csv(path, index=False)
        raw = read(path)
        np.testing.assert_array_equal(raw.x, expected.x)
        np.testing.assert_array_equal(raw.keys.y, expected.keys.y)

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(n=st.integers(12, 30), window=st.integers(1, 4), horizon=st.integers(1, 3))
    def test_windows_reproduce_the_series(
        self, tmp_path_factory: pytest.TempPathFactory, n: int, window: int, horizon: int
    ) -> None:
        y, z = np.random.default_rng(n).normal(size=(2, n))
        path = write_series(tmp_path_factory.mktemp("series"), range(n), y=y, z=z)
        raw = read(path, targets=("y", "z"), window=window, horizon=horizon)
        targets = raw.keys.y.reshape(-1, horizon, 2)
        for row, x, ahead in zip(raw.rows, raw.x, targets, strict=True):
            np.testing.assert_array_equal(x, np.c_[y, z][row - window : row])
            np.testing.assert_array_equal(ahead, np.c_[y, z][row : row + horizon])
        assert raw.rows.tolist() == list(range(window, n - horizon + 1))


DAYS = pd.date_range("2023-12-27", periods=10, freq="D")

STEPS = {
    "month starts": pd.date_range("2023-11-01", periods=12, freq="MS"),
    "month ends": pd.date_range("2023-10-31", periods=12, freq="ME"),
    "middles of months": pd.date_range("2023-11-15", periods=12, freq=pd.DateOffset(months=1)),
    "quarters": pd.date_range("2020-03-31", periods=12, freq="QE"),
    "last business days": pd.date_range("2023-01-31", periods=12, freq="BME"),
    "years": pd.date_range("1990-12-31", periods=12, freq="YE"),
    "weeks": pd.date_range("2024-01-03", periods=12, freq="W-WED"),
    "days": pd.date_range("2023-12-27", periods=12, freq="D"),
    "business days": pd.date_range("2024-01-01", periods=12, freq="B"),
    "half hours": pd.date_range("2024-02-28 22:30", periods=12, freq="30min"),
    "numbers": np.arange(1990, 2002),
    "tenths": np.arange(12) * 0.1,
    "rounded thirds": np.round(np.arange(12) / 3, 4),
}


class TestFrequency:
    @pytest.mark.parametrize("times", STEPS.values(), ids=STEPS)
    @pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
    def test_frequencies_are_inferred(self, tmp_path: Path, times: Any, name: str) -> None:
        raw = read(write_series(tmp_path, times, name))
        assert (first_column(raw), messages(raw)) == (list(range(12)), [])

    @pytest.mark.parametrize("times", STEPS.values(), ids=STEPS)
    def test_a_missing_step_is_imputed_and_reported(self, tmp_path: Path, times: Any) -> None:
        keep = np.delete(np.arange(12), 4)
        raw = read(write_series(tmp_path, times[keep], y=keep * 10.0))
        assert first_column(raw) == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]
        (text,) = messages(raw)
        assert re.fullmatch(r"1 of 12 steps are missing, the first at \S+: imputed by interpolate", text)
        assert raw.checks[0].level == "warning"

    @pytest.mark.parametrize(
        ("times", "step"),
        [
            (["2024-01", "2024-02", "2024-04", "2024-05", "2024-06", "2024-07"], "MS"),
            (["2024-01-31", "2024-02-29", "2024-04-30", "2024-05-31", "2024-06-30", "2024-07-31"], "ME"),
            (["2024/1/1", "2024/1/2", "2024/1/4", "2024/1/5", "2024/1/6", "2024/1/7"], "1D"),
            ([f"2024-01-01 0{h}" for h in ("0:00", "0:30", "1:30", "2:00", "2:30", "3:00")], "30min"),
            (["2024-01-04", "2024-01-05", "2024-01-09", "2024-01-10", "2024-01-11", "2024-01-12"], "B"),
            ([1, 2, 4, 5, 6, 7], "1"),
        ],
    )
    def test_frequencies_can_be_set(self, tmp_path: Path, times: Any, step: str) -> None:
        raw = read(write_series(tmp_path, times, y=[0.0, 1, 3, 4, 5, 6]), freq=step, window=1, missing="ffill")
        assert first_column(raw) == [0, 1, 1, 3, 4, 5, 6]

    def test_weekends_are_not_missing_business_days(self, tmp_path: Path) -> None:
        times = pd.date_range("2023-12-01", "2024-01-31", freq="B").difference(pd.to_datetime(["2023-12-25"]))
        assert messages(read(write_series(tmp_path, times))) == [
            "1 of 44 steps are missing, the first at 2023-12-25T00:00:00.000: imputed by interpolate"
        ]


class TestTimeZones:
    AUTUMN = pd.date_range("2024-10-26 22:00", periods=12, freq="30min", tz="UTC").tz_convert("Europe/Berlin")

    def test_daylight_saving_time_does_not_matter_with_time_zones(self, tmp_path: Path) -> None:
        for name in ("a.csv", "a.parquet"):
            raw = read(write_series(tmp_path, self.AUTUMN, name))
            assert (first_column(raw), messages(raw)) == (list(range(12)), [])

    def test_without_a_time_zone_an_hour_repeats(self, tmp_path: Path) -> None:
        path = write_series(tmp_path, self.AUTUMN.tz_localize(None))
        line = (
            "times must be unique, but '2024-10-27 02:00:00' occurs twice; remove one row, keep one series, or"
            " add time zones to the times if an hour repeats at the end of daylight saving time"
        )
        with pytest.raises(DataError, match=re.escape(line)):
            read(path)

    @pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
    def test_a_day_of_23_hours_is_a_day(self, tmp_path: Path, name: str) -> None:
        days = pd.date_range("2024-03-27", periods=12, freq="D", tz="Europe/Berlin")
        raw = read(write_series(tmp_path, days, name))
        assert (first_column(raw), messages(raw)) == (list(range(12)), [])


class TestMissing:
    Y = np.array([0, 1, NAN, 3, 4, NAN, NAN, 7, 8, 9])
    Z = np.arange(10.0) * 10

    def test_interpolation_is_linear(self, tmp_path: Path) -> None:
        raw = read(write_series(tmp_path, DAYS, y=self.Y, z=self.Z), exogenous=("z",))
        assert first_column(raw)[:5] == [0, 1, 2, 3, 4]
        assert messages(raw) == ["3 of 20 cells are missing: imputed by interpolate"]

    def test_ffill_uses_the_previous_value(self, tmp_path: Path) -> None:
        raw = read(write_series(tmp_path, DAYS, y=self.Y), missing="ffill")
        assert first_column(raw) == [0, 1, 1, 3, 4, 4, 4, 7, 8, 9]

    def test_no_value_is_imputed_across_a_split(self, tmp_path: Path) -> None:
        # ten steps, window 2: eight rows; validation rows have targets at steps 6 and 7, test rows at 8 and 9
        y = np.array([0, 1, 2, 3, 4, NAN, NAN, 7, NAN, 9])
        assert first_column(read(write_series(tmp_path, DAYS, y=y))) == [0, 1, 2, 3, 4, 4, 4, 7, 7, 9]

    def test_a_split_starts_where_its_horizon_begins(self, tmp_path: Path) -> None:
        # window 2, horizon 2: nine rows; targets of the last two are steps 9 and 10, 10 and 11; so 8 must not use 9
        y = np.array([0, 1, 2, 3, 4, 5, 6, 7, NAN, 900, 10, 11])
        raw = read(write_series(tmp_path, pd.date_range("2024", periods=12), y=y), horizon=2, validation=3)
        assert raw.keys.y[:, 0].tolist() == [2, 3, 4, 5, 6, 7, 7, 900, 10]

    def test_a_window_does_not_use_values_after_its_end(self, tmp_path: Path) -> None:
        raw = read(write_series(tmp_path, DAYS, y=self.Y))
        assert raw.x[1:4, :, 0].tolist() == [[1, 1], [2, 3], [3, 4]]  # 2 as soon as the 3 is known
        assert raw.keys.y[:2, 0].tolist() == [2, 3]
        wider = read(tmp_path / "a.csv", window=4)
        assert wider.x[:2, :, 0].tolist() == [[0, 1, 2, 3], [1, 2, 3, 4]]

    def test_steps_before_a_column_and_after_a_target_are_left_out(self, tmp_path: Path) -> None:
        y = np.array([0, 1, NAN, 3, 4, 5, 6, 7, 8, 9, 10, NAN])
        z = np.array([NAN, NAN, *range(8), NAN, NAN])
        raw = read(write_series(tmp_path, pd.date_range("2024", periods=12), y=y, z=z), exogenous=("z",))
        assert first_column(raw) == [1, 3, 4, 5, 6, 7, 8, 9, 10]  # z begins where y is missing
        assert raw.rows.tolist() == [4, 5, 6, 7, 8, 9, 10]
        assert (
            messages(raw)[1]
            == "3 steps before the first value of a column, or after the last value of a target, are left out"
        )

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        data=st.data(),
        window=st.integers(1, 4),
        horizon=st.integers(1, 3),
        missing=st.sampled_from(["interpolate", "ffill"]),
    )
    def test_no_window_uses_a_later_value(
        self, tmp_path_factory: pytest.TempPathFactory, data: Any, window: int, horizon: int, missing: str
    ) -> None:
        n = 24
        y = np.arange(n, dtype=float) ** 2
        holes = data.draw(st.sets(st.integers(1, n - 2), max_size=12))
        y[list(holes)] = NAN
        folder = tmp_path_factory.mktemp("series")
        rules = {"window": window, "horizon": horizon, "missing": missing, "validation": 4, "test": 4}
        raw = read(write_series(folder, range(n), y=y), **rules)
        row = data.draw(st.integers(0, len(raw.x) - 1))
        y[raw.rows[row] :] *= -7  # the targets of this window and all later steps
        other = read(write_series(folder, range(n), y=y), **rules)
        np.testing.assert_array_equal(raw.x[row], other.x[row])


def dataset_of(folder: Path, y: Array, **changes: Any) -> tuple[Dataset, Series]:
    path = write_series(folder, pd.date_range("2024", periods=len(y), freq="30min"), y=y, z=np.sin(y), w=np.cos(y))
    params = block(path, exogenous=("w",), targets=("y", "z"), **changes)
    dataset, _ = prepare(params, 0)
    return dataset, params


class TestLeaks:
    @pytest.mark.parametrize("horizon", [1, 2, 5])
    def test_no_step_is_a_target_in_two_splits(self, tmp_path: Path, horizon: int) -> None:
        dataset, _ = dataset_of(tmp_path, np.arange(60.0), window=6, horizon=horizon, validation=0.2, test=0.25)
        targets = {name: set(r.y.reshape(len(r), -1, 2)[..., 0].ravel()) for name, r in dataset.splits().items()}
        assert min(len(steps) for steps in targets.values()) > horizon
        assert targets["train"].isdisjoint(targets["validation"] | targets["test"])
        assert targets["validation"].isdisjoint(targets["test"])
        for samples in dataset.splits().values():
            assert (samples.x[:, -1, 0] < samples.y[:, 0]).all()
            assert (samples.x[..., 0].max(axis=1) == samples.rows - 1).all()

    def test_scaling_is_that_of_training_windows(self, tmp_path: Path) -> None:
        dataset, params = dataset_of(tmp_path, np.arange(60.0) ** 2, window=6, horizon=2, validation=10, test=12)
        pipeline = fit_scaling(dataset.train.x, dataset.schema, params)
        # 60 - 6 - 2 + 1 rows, less 22, less the one that shares a step: 30 rows use steps 0 to 34
        assert len(dataset.train) == 30
        values = np.concatenate([np.arange(i, i + 6) for i in range(30)]) ** 2.0
        expected = (dataset.test.x[..., 0] - values.mean()) / values.std()
        np.testing.assert_allclose(pipeline(dataset.test.x)[..., 0], expected, rtol=1e-5)
        assert pipeline.feature_names == ("y", "z", "w")

    def test_the_test_split_changes_neither_schema_nor_scaling_nor_training_rows(self, tmp_path: Path) -> None:
        y = np.random.default_rng(0).normal(size=60)
        y[[5, 20, 47]] = NAN  # 47 is the last step before the targets of test rows
        one, params = dataset_of(tmp_path, y.copy(), window=6, test=12, validation=10)
        y[48:] = 1e6
        other, _ = dataset_of(tmp_path, y, window=6, test=12, validation=10)
        assert one.schema == other.schema
        for name in ("train", "validation"):
            np.testing.assert_array_equal(getattr(one, name).x, getattr(other, name).x)
            np.testing.assert_array_equal(getattr(one, name).y, getattr(other, name).y)
        pipelines = [fit_scaling(d.train.x, d.schema, params) for d in (one, other)]
        np.testing.assert_array_equal(*(pipeline(one.test.x) for pipeline in pipelines))
        assert not np.array_equal(one.test.y, other.test.y)


def csv_text(times: list[Any], cells: list[Any] | None = None) -> str:
    pairs = zip(times, cells or range(len(times)), strict=True)
    return "t,y\n" + "".join(f"{time},{cell}\n" for time, cell in pairs)


REFUSED: list[tuple[str | bytes, dict[str, Any], str]] = [
    ("", {}, "must be CSV in UTF-8 with one header, but is not: it is empty; add rows"),
    (b"\x89PNG\r\n\x1a\n\0\0\xff", {}, "must be CSV in UTF-8 with one header, but is not: it contains zero bytes"),
    ("t\n1\n2\n3\n", {}, ": targets must name a column, but 'y' does not exist; the columns are t"),
    ("y\n1\n2\n3\n", {}, ": time must name a column, but 't' does not exist; the columns are y"),
    (
        csv_text([1, 2]),
        {"exogenous": ("z",)},
        ": exogenous must name a column, but 'z' does not exist; the columns are t, y",
    ),
    (
        csv_text(list(range(9)), [*range(8), "inf"]),
        {},
        ": column 'y' must contain finite numbers up to 1e+37, but contains inf",
    ),
    (
        csv_text(list(range(9)), [*range(8), "hot"]),
        {},
        ": column 'y' must contain finite numbers up to 1e+37, but contains 'hot'",
    ),
    (csv_text(list(range(9)), [""] * 9), {}, ": column 'y' must have values, but has none; remove it"),
    (
        csv_text(["2024-01-01", "soon"]),
        {},
        ": column 't' must contain an ISO date or a number in every row, but row 2 contains",
    ),
    (
        csv_text(["2024-01-01", ""]),
        {},
        ": column 't' must contain an ISO date or a number in every row, but row 2 contains nan",
    ),
    (
        csv_text(["31.01.2024", "29.02.2024"]),
        {},
        "must contain an ISO date or a number in every row, but row 1 contains '31.01",
    ),
    (csv_text([1, 2, 2, 3]), {}, ": times must be unique, but 2 occurs twice; remove one row, keep one series, or add"),
    (
        csv_text([1]),
        {},
        "must have at least window + horizon + 2 = 2 + 1 + 2 steps, but has 1; reduce `window`, or add",
    ),
    (
        csv_text([1, 2, 3, 4]),
        {},
        "must have at least window + horizon + 2 = 2 + 1 + 2 steps, but has 4; reduce `window`",
    ),
    (csv_text([1, 2, 3, 4]), {"window": 9}, "must have at least window + horizon + 2 = 9 + 1 + 2 steps, but has 4;"),
    (csv_text([1, 2, 3, 4, 5.5, 6]), {}, ": times must be evenly spaced, but 5.5 (1 such rows) is not; set `freq`, or"),
    (csv_text([1, 1.0001, 2, 3, 4]), {"freq": "1"}, ": times must be evenly spaced, but 1.0001 (1 such rows) is not;"),
    (
        csv_text(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04T06:30"]),
        {},
        ": times must be evenly spaced, but 2",
    ),
    (
        csv_text(["2024-01-01", "2024-01-02", "2024-01-09", "2024-02-03"]),
        {},
        "30 of 34 steps are missing, the first at 2024-01-03T00:00:00.000: imputed by interpolate; set a `freq` longer",
    ),
    (
        csv_text([1, 2, 100, 300]),
        {"freq": "MS"},
        ": times are numbers, so `freq` must be a number above 0 or auto, but is 'MS'",
    ),
    (
        csv_text([1, 2, 100, 300]),
        {"freq": "-1"},
        ": times are numbers, so `freq` must be a number above 0 or auto, but is '-1'",
    ),
    (
        csv_text([1, 2, 3, 4]),
        {"freq": "nan"},
        ": times are numbers, so `freq` must be a number above 0 or auto, but is 'nan';",
    ),
    (
        csv_text(["2024-01-05", "2024-01-06"]),
        {"freq": "YS"},
        ": times must be evenly spaced, but 2024-01-05T00:00:00.000",
    ),
    *(
        (
            csv_text(["2024-01-01", "2024-01-02"]),
            {"freq": step},
            ": `freq` must be a frequency such as 30min, 1D, B or MS,",
        )
        for step in ("fortnight", "", "7", "0min", "-1D", "9" * 30 + "h")
    ),
]


class TestRefused:
    @pytest.mark.parametrize(("content", "changes", "line"), REFUSED)
    def test_errors_are_one_line(
        self, tmp_path: Path, content: str | bytes, changes: dict[str, Any], line: str
    ) -> None:
        path = tmp_path / "a.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(DataError, match=rf"\A[^\n]*{re.escape(line)}[^\n]*\Z"):
            prepare(block(path, **changes), 0)
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        ("times", "step"),
        [(["1990-01-01", "2020-01-01"], "1ms"), (["0001-01-01", "9999-01-01"], "1h"), ([0, 1e12], "1e-3")],
    )
    def test_a_wrong_frequency_needs_no_memory(
        self, tmp_path: Path, times: list[Any], step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(*_: object, **__: object) -> None:
            raise AssertionError("a grid is made")

        monkeypatch.setattr("fivefold.data.readers.series.pd.date_range", never)
        monkeypatch.setattr("fivefold.data.readers.series.np.arange", never)
        path = tmp_path / "a.csv"
        path.write_text(csv_text(times))
        line = rf"a series may have at most 50000000 steps, but has \d{{8,}} at `freq` {step}; set another `freq`"
        with pytest.raises(DataError, match=line):
            read(path, freq=step)

    @pytest.mark.parametrize("horizon", [1, 2])
    def test_a_target_constant_in_training_rows(self, tmp_path: Path, horizon: int) -> None:
        level = np.r_[np.full(14, 2.5), np.arange(6)]
        path = write_series(tmp_path, range(20), y=np.arange(20.0), z=level)
        changes = {"targets": ("y", "z"), "horizon": horizon, "validation": 3, "test": 4}
        line = (
            f"{path}: targets must have at least 2 distinct values in training rows, but column 'z' contains only 2.5;"
            " set `targets` to another column, add more rows, or change `split`"
        )
        with pytest.raises(DataError, match=rf"\A{re.escape(line)}\Z"):
            prepare(block(path, **changes), 0)
        prepare(block(path, **{**changes, "targets": ("y",), "exogenous": ("z",)}), 0)

    def test_a_split_without_rows_because_of_the_horizon(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"each split needs at least 2 rows, but validation has 0 of 16; add"):
            prepare(block(write_series(tmp_path, range(20)), horizon=3), 0)


@pytest.mark.parametrize(
    ("name", "time", "target", "steps"),
    [("airline", "Date", "Passengers", 144), ("sunspots", "YEAR", "SUNACTIVITY", 309)],
)
def test_real_series(name: str, time: str, target: str, steps: int) -> None:
    path = SHARED / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    params = block(path, time=time, targets=(target,), window=13, validation=24, test=24)
    dataset, results = prepare(params, 0)
    assert results == []
    expected = pd.read_csv(path)[target].to_numpy()
    np.testing.assert_array_equal(dataset.test.y[:, 0], expected[-24:])
    np.testing.assert_array_equal(dataset.test.x[0, :, 0], expected[-37:-24])
    assert (len(dataset.train), len(dataset.validation)) == (steps - 13 - 48, 24)


def test_the_pipeline_imputes_raw_input_like_prepare(tmp_path: Path) -> None:
    """With `missing: ffill`, except for values before the window."""
    y = np.random.default_rng(0).normal(size=60)
    y[np.random.default_rng(1).random(60) < 0.3] = NAN
    y[::5] = 1.0
    params = block(write_series(tmp_path, np.arange(60), y=y), window=5, missing="ffill")
    dataset = read_series(Path(params.source), params)
    pipeline = fit_scaling(dataset.x, dataset.schema, params)
    raw = np.stack([y[i : i + 5, None] for i in range(len(dataset.x))])
    complete = ~np.isnan(raw[:, 0, 0])
    assert 5 < complete.sum() < len(raw)
    np.testing.assert_array_equal(pipeline(raw[complete]), pipeline(dataset.x[complete]))
    assert np.isfinite(pipeline(raw)).all()


def test_imputed_targets_are_neither_trained_on_nor_scored(tmp_path: Path) -> None:
    y = np.arange(40.0) ** 2
    y[[10, 33, 38]] = NAN
    params = block(write_series(tmp_path, np.arange(40), y=y), horizon=2, validation=6, test=6)
    dataset, results = prepare(params, 0)
    steps = {name: (samples.rows[:, None] + [0, 1]).ravel() for name, samples in dataset.splits().items()}
    assert not {10, 33, 38} & set(np.concatenate(list(steps.values())).tolist())
    assert steps["test"].tolist() == [34, 35, 35, 36, 36, 37]
    assert all((samples.y.ravel() == y[steps[name]]).all() for name, samples in dataset.splits().items())
    assert "5 windows are left out because a target is missing; targets are not imputed" in [
        result.message for result in results
    ]
    with pytest.raises(DataError, match="each split needs at least 2 rows, but test has 1 of "):
        prepare(block(params.source, horizon=2, validation=6, test=3), 0)
