"""Parse times, and align them to a regular grid."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ...config.datasets import ColumnOptions
from ...errors import DataError, format_value
from ..dataset import Array
from .dates import month_offset
from .types import format_hint, infer_type, parse_cells

MAX_STEPS = 50_000_000
"""Largest number of steps of a series including missing ones: a wrong `freq` would need more than the memory."""


STEP_TOLERANCE = 1e-3
"""Deviation from the grid, relative to the step, that is tolerated for numeric times."""

N_DATE_COLUMNS = 3
"""Year, month and day."""

TIMEZONE = re.compile(r"(:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:?\d\d)$", re.IGNORECASE)
"""The time zone after a time of day."""


def join_time_columns(frame: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Return one column of times from several: a date and a time of day or an hour, or year, month and day.

    A single column is returned unchanged. The result is missing where any of the columns is missing.
    """
    first, *rest = (frame[name] for name in names)
    if not rest:
        return first
    year, text = pd.api.types.is_numeric_dtype(first.dtype), _to_text(first)
    for i, cells in enumerate(rest, start=1):
        is_number = pd.api.types.is_numeric_dtype(cells.dtype)
        if is_number and year and i < N_DATE_COLUMNS:
            text = text + "-" + _to_text(cells)
        else:
            text = text + " " + (_to_text(cells).str.zfill(2) + ":00" if is_number else _to_text(cells))
    return text.rename(" ".join(names))


def _to_text(cells: pd.Series) -> pd.Series:
    """Return cells as text, integers in float columns as 7, not 7.0."""
    if pd.api.types.is_float_dtype(cells.dtype) and (cells.dropna() == cells.dropna().round()).all():
        cells = cells.astype("Int64")
    return cells.astype("str").str.strip().where(cells.notna())


def parse_times(column: pd.Series, source: Path) -> Array:
    """Return a column of times as datetime64 or as numbers.

    Numbers such as 20010131 are dates. Times with a time zone are converted to UTC, where daylight saving time does not
    repeat an hour; if all local times are midnight, they stay local dates.

    Raises:
        DataError: a cell is empty, or neither an ISO date nor a number.
    """
    kind, _ = infer_type(column, ColumnOptions())
    if kind not in ("date", "numeric"):
        kind = "date"
    cells, bad = parse_cells(column, kind)
    invalid = np.union1d(bad, np.flatnonzero(pd.isna(cells)))
    if len(invalid):
        cell = column.iloc[int(invalid[0])]
        raise DataError(
            f"{source}: column {column.name!r} must contain an ISO date or a number in every row, but row"
            f" {column.index[invalid[0]] + 1} contains {format_value(cell)}; {format_hint(cell)}fix it, or set another"
            " column"
        )
    if kind == "date":
        local, _ = parse_cells(_to_local(column), kind)
        if (local == local.astype("datetime64[D]")).all():
            return np.asarray(local)
        return np.asarray(cells)
    days = parse_compact_dates(cells)
    return np.asarray(cells) if days is None else days


def parse_compact_dates(numbers: Array) -> Array | None:
    """Return integers such as 20010131 or 200101 as dates, NaN as NaT; None if any of them is not a date."""
    known = numbers[~np.isnan(numbers)]
    for date_format, (smallest, largest) in {
        "%Y%m%d": (15_000_101, 22_001_231),
        "%Y%m": (150_001, 220_012),
    }.items():
        if len(known) and (known == np.round(known)).all() and smallest <= known.min() and known.max() <= largest:
            text = pd.Series(numbers).astype("Int64").astype("str")
            times = pd.to_datetime(text, format=date_format, errors="coerce")
            if times.notna().sum() == len(known):
                return np.asarray(times.to_numpy(dtype="datetime64[ms]"))
    return None


def _to_local(column: pd.Series) -> pd.Series:
    """Return times in local time, without their time zone."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column.dt.tz_localize(None)
    return column.astype(str).str.strip().str.replace(TIMEZONE, r"\1", regex=True)


def align_to_grid(times: Array, step: str, source: Path) -> tuple[Array, Array]:
    """Return the position of each time on a regular grid, and the grid from the first time to the last.

    Args:
        times: in order, without repetition.
        step: a number, a frequency string of pandas, or "auto".

    Raises:
        DataError: a time is not on the grid, `step` is invalid, or the grid would be too long.
    """
    if times.dtype.kind == "M":
        grid = _calendar_grid(pd.DatetimeIndex(times), step, source)
        position = np.searchsorted(grid, times).clip(max=max(len(grid) - 1, 0))
        off_grid = grid[position] != times if len(grid) else np.ones(len(times), bool)
    else:
        width = _numeric_step(times, step, source)
        exact = (times - times[0]) / width
        _require_step_count(exact[-1] + 1, step, source)
        position = np.rint(exact).astype(np.int64)
        grid = times[0] + width * np.arange(position[-1] + 1)
        off_grid = (np.abs(exact - position) > STEP_TOLERANCE) | np.r_[False, np.diff(position) == 0]
    if off_grid.any():
        raise DataError(
            f"{source}: times must be evenly spaced, but {times[off_grid.argmax()]} ({off_grid.sum()} such rows) is"
            " not; set `freq`, or resample the series"
        )
    return position, grid


def _numeric_step(times: Array, step: str, source: Path) -> float:
    """Return the step between numeric times."""
    if step == "auto":
        if len(times) < 2:
            return 1.0
        time_range = times[-1] - times[0]
        return float(time_range / np.rint(time_range / np.median(np.diff(times))))  # as exact as the numbers allow
    try:
        width = float(step)
    except ValueError:
        width = np.nan
    if not 0 < width < np.inf:
        raise DataError(
            f"{source}: times are numbers, so `freq` must be a number above 0 or auto, but is {step!r}; fix it"
        )
    return width


def _calendar_grid(timestamps: pd.DatetimeIndex, step: str, source: Path) -> Array:
    """Return all times of the grid from the first to the last timestamp."""
    offset = _infer_offset(timestamps) if step == "auto" else _parse_offset(step, source)
    shortest = pd.Timedelta(offset) if isinstance(offset, pd.offsets.Tick) else pd.Timedelta(hours=1)
    _require_step_count((timestamps[-1] - timestamps[0]).total_seconds() / shortest.total_seconds() + 1, step, source)
    return np.asarray(pd.date_range(timestamps[0], timestamps[-1], freq=offset).to_numpy(dtype=timestamps.dtype))


def _parse_offset(step: str, source: Path) -> pd.offsets.BaseOffset:
    """Return the pandas offset of a frequency string."""
    try:
        with warnings.catch_warnings(action="ignore"):
            offset = pd.tseries.frequencies.to_offset(step)
    except (ValueError, OverflowError):
        offset = None
    if offset is None or offset.n <= 0:
        raise DataError(f"{source}: `freq` must be a frequency such as 30min, 1D, B or MS, but is {step!r}; fix it")
    return offset


def _infer_offset(timestamps: pd.DatetimeIndex) -> pd.offsets.BaseOffset:
    """Return the most frequent offset: months (by first, last or same day), business days, or a fixed duration."""
    if len(timestamps) < 2:
        return pd.offsets.Day()
    most_frequent = pd.Timedelta(pd.Series(np.diff(timestamps.to_numpy())).mode().iloc[0])
    months = int(pd.Series(np.diff(timestamps.year * 12 + timestamps.month)).mode().iloc[0])
    offset = month_offset(timestamps, months) if most_frequent >= pd.Timedelta(days=28) and months else None
    if offset is not None:
        return offset
    spans_week = timestamps[-1] - timestamps[0] >= pd.Timedelta(days=7)
    if most_frequent == pd.Timedelta(days=1) and spans_week and (timestamps.day_of_week < 5).all():
        return pd.offsets.BDay()
    return pd.tseries.frequencies.to_offset(most_frequent)


def _require_step_count(count: float, step: str, source: Path) -> None:
    if not 1 <= count <= MAX_STEPS:
        raise DataError(
            f"{source}: a series may have at most {MAX_STEPS} steps, but has {count:.0f} at `freq` {step}; set another"
            " `freq`"
        )
