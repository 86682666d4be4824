"""Times: as they are read, and the even steps on which they lie."""

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
"""Steps that a series may have once its missing ones are there: a wrong `step` would ask for more than memory holds."""


STEP_TOLERANCE = 1e-3
"""Share of a step by which a time that is a number may be off."""

N_DATE_COLUMNS = 3
"""Year, month and day."""

TIMEZONE = re.compile(r"(:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:?\d\d)$", re.IGNORECASE)
"""The zone at the end of a time of day."""


def join_time_columns(frame: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Return columns that are one time together: a date and a time of day or an hour, or year, month and day.

    One column stays as it is. A gap in any of several is one of all.
    """
    first, *rest = (frame[name] for name in names)
    if not rest:
        return first
    year, text = pd.api.types.is_numeric_dtype(first.dtype), _to_text(first)
    for place, cells in enumerate(rest, start=1):
        number = pd.api.types.is_numeric_dtype(cells.dtype)
        if number and year and place < N_DATE_COLUMNS:
            text = text + "-" + _to_text(cells)
        else:
            text = text + " " + (_to_text(cells).str.zfill(2) + ":00" if number else _to_text(cells))
    return text.rename(" ".join(names))


def _to_text(cells: pd.Series) -> pd.Series:
    """Return cells as text, 7 and not 7.0."""
    if pd.api.types.is_float_dtype(cells.dtype) and (cells.dropna() == cells.dropna().round()).all():
        cells = cells.astype("Int64")
    return cells.astype("str").str.strip().where(cells.notna())


def parse_times(column: pd.Series, source: Path) -> Array:
    """Return a column of times as datetime64 or as numbers.

    Numbers such as 20010131 are dates. Times with a zone become UTC, in which no clock is put back; but if all are
    midnight they are days, and stay them.

    Raises:
        DataError: a cell is empty, or neither an ISO date nor a number.
    """
    kind, _ = infer_type(column, ColumnOptions())
    if kind not in ("date", "numeric"):
        kind = "date"
    cells, bad = parse_cells(column, kind)
    gaps = np.union1d(bad, np.flatnonzero(pd.isna(cells)))
    if len(gaps):
        cell = column.iloc[int(gaps[0])]
        raise DataError(
            f"{source}: column {column.name!r} must hold an ISO date or a number in every row, but row"
            f" {column.index[gaps[0]] + 1} holds {format_value(cell)}; {format_hint(cell)}mend it, or name another column"
        )
    if kind == "date":
        local, _ = parse_cells(_to_local(column), kind)
        if (local == local.astype("datetime64[D]")).all():
            return np.asarray(local)
        return np.asarray(cells)
    days = parse_compact_dates(cells)
    return np.asarray(cells) if days is None else days


def parse_compact_dates(numbers: Array) -> Array | None:
    """Return whole numbers such as 20010131 or 200101 as the dates that they are, NaN as NaT; None if one is none."""
    known = numbers[~np.isnan(numbers)]
    for form, (least, most) in {"%Y%m%d": (15_000_101, 22_001_231), "%Y%m": (150_001, 220_012)}.items():
        if len(known) and (known == np.round(known)).all() and least <= known.min() and known.max() <= most:
            text = pd.Series(numbers).astype("Int64").astype("str")
            times = pd.to_datetime(text, format=form, errors="coerce")
            if times.notna().sum() == len(known):
                return np.asarray(times.to_numpy(dtype="datetime64[ms]"))
    return None


def _to_local(column: pd.Series) -> pd.Series:
    """Return times as the clock showed them."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column.dt.tz_localize(None)
    return column.astype(str).str.strip().str.replace(TIMEZONE, r"\1", regex=True)


def align_to_grid(times: Array, step: str, source: Path) -> tuple[Array, Array]:
    """Return which of even steps each time is, and every time from the first to the last.

    times: in order, each once. step: a number, a distance as pandas writes it, or auto.

    Raises:
        DataError: a time lies between two steps, `step` is no distance, or there would be too many.
    """
    if times.dtype.kind == "M":
        grid = _calendar_grid(pd.DatetimeIndex(times), step, source)
        place = np.searchsorted(grid, times).clip(max=max(len(grid) - 1, 0))
        off = grid[place] != times if len(grid) else np.ones(len(times), bool)
    else:
        width = _numeric_step(times, step, source)
        exact = (times - times[0]) / width
        _require_step_count(exact[-1] + 1, step, source)
        place = np.rint(exact).astype(np.int64)
        grid = times[0] + width * np.arange(place[-1] + 1)
        off = (np.abs(exact - place) > STEP_TOLERANCE) | np.r_[False, np.diff(place) == 0]
    if off.any():
        raise DataError(
            f"{source}: times must lie on even steps, but {times[off.argmax()]} ({off.sum()} such rows) does not;"
            " say `step`, or resample the series"
        )
    return place, grid


def _numeric_step(times: Array, step: str, source: Path) -> float:
    """Return the distance of two steps of times that are numbers."""
    if step == "auto":
        if len(times) < 2:
            return 1.0
        span = times[-1] - times[0]
        return float(span / np.rint(span / np.median(np.diff(times))))  # as exact as the numbers allow
    try:
        width = float(step)
    except ValueError:
        width = np.nan
    if not 0 < width < np.inf:
        raise DataError(f"{source}: times are numbers, so `step` must be one above 0 or auto, but is {step!r}; mend it")
    return width


def _calendar_grid(timestamps: pd.DatetimeIndex, step: str, source: Path) -> Array:
    """Return every time from the first to the last."""
    offset = _infer_offset(timestamps) if step == "auto" else _parse_offset(step, source)
    shortest = pd.Timedelta(offset) if isinstance(offset, pd.offsets.Tick) else pd.Timedelta(hours=1)
    _require_step_count((timestamps[-1] - timestamps[0]).total_seconds() / shortest.total_seconds() + 1, step, source)
    return np.asarray(pd.date_range(timestamps[0], timestamps[-1], freq=offset).to_numpy(dtype=timestamps.dtype))


def _parse_offset(step: str, source: Path) -> pd.offsets.BaseOffset:
    """Return what pandas makes of a step that a person wrote."""
    try:
        with warnings.catch_warnings(action="ignore"):
            offset = pd.tseries.frequencies.to_offset(step)
    except (ValueError, OverflowError):
        offset = None
    if offset is None or offset.n <= 0:
        raise DataError(f"{source}: `step` must be a distance such as 30min, 1D, B or MS, but is {step!r}; mend it")
    return offset


def _infer_offset(timestamps: pd.DatetimeIndex) -> pd.offsets.BaseOffset:
    """Return the step of most neighbours: months by their first, last or same day, business days, or a span of time."""
    if len(timestamps) < 2:
        return pd.offsets.Day()
    usual = pd.Timedelta(pd.Series(np.diff(timestamps.to_numpy())).mode().iloc[0])
    months = int(pd.Series(np.diff(timestamps.year * 12 + timestamps.month)).mode().iloc[0])
    offset = month_offset(timestamps, months) if usual >= pd.Timedelta(days=28) and months else None
    if offset is not None:
        return offset
    week = timestamps[-1] - timestamps[0] >= pd.Timedelta(days=7)
    if usual == pd.Timedelta(days=1) and week and (timestamps.day_of_week < 5).all():
        return pd.offsets.BDay()
    return pd.tseries.frequencies.to_offset(usual)


def _require_step_count(count: float, step: str, source: Path) -> None:
    if not 1 <= count <= MAX_STEPS:
        raise DataError(
            f"{source}: a series may have {MAX_STEPS} steps, but at step {step} has {count:.0f}; say another `step`"
        )
