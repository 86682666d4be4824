"""One time series, cut into windows of past steps and the targets' steps after them.

Shapes: n windows, w past steps, h future steps, f columns, k targets.
"""

import re
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import DataError, shown
from ..params.datasets import Column, Series
from .columns import infer, parse
from .findings import Finding
from .frame import need, read_frame
from .raw import Arrays
from .records import Array, Keys
from .schema import Schema
from .splitting import split
from .target import numbers

MOST_STEPS = 50_000_000
"""Steps that a series may have once its missing ones are there: a wrong `step` would ask for more than memory holds."""


EVEN = 1e-3
"""Share of a step by which a time that is a number may be off."""

ZONE = re.compile(r"(:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:?\d\d)$", re.IGNORECASE)
"""The zone at the end of a time of day."""


def read_series(source: Path, params: Series) -> Arrays:
    """Read windows: x (n, w, f) float64, y (n, h * k) float64, in the order of time.

    Targets come first among the columns of x; y holds step 1 of each target, then step 2, and so on. A row's number is
    that of the first step that it tells, counted from the first time of the source.

    Raises:
        DataError: times repeat or cannot be read, a column is missing, or there are too few steps for one window.
    """
    frame = read_frame(source)
    names = (*params.targets, *params.exogenous)
    need(frame, {params.time: "time"} | dict.fromkeys(params.targets, "targets"), source)
    need(frame, dict.fromkeys(params.exogenous, "exogenous"), source)
    times = moments(frame[params.time], source)
    order = np.argsort(times, kind="stable")
    times = times[order]
    twice = np.flatnonzero(times[1:] == times[:-1])
    if len(twice):
        again = frame[params.time].iloc[order[twice[0] + 1]]
        raise DataError(
            f"{source}: each time must stand once, but {shown(again)} stands twice; remove one row, keep one series, or"
            " write times with their zone if a clock was put back"
        )
    matrix = np.column_stack([numbers(frame[name], source) for name in names])[order]
    values, first, findings = _even(times, matrix, params, source)
    n = len(values) - params.window - params.horizon + 1
    if n < 3:
        raise DataError(
            f"{source} must have window + horizon + 2 steps or more, {params.window} + {params.horizon} + 2, but has"
            f" {len(values)}; shorten `window`, or bring more"
        )
    x = sliding_window_view(values, params.window, axis=0)[:n].transpose(0, 2, 1)  # (n, w, f)
    if np.isnan(values).any():
        keys = Keys(np.zeros(n), overlap=params.horizon - 1)
        cuts = [split(keys, params.split, 0)[name][0] + params.window for name in ("validation", "test")]
        x, values = _filled(values, params, cuts)
    k = len(params.targets)
    ahead = sliding_window_view(values[params.window :, :k], params.horizon, axis=0)[:n]  # (n, k, h)
    y = np.ascontiguousarray(ahead.transpose(0, 2, 1)).reshape(n, -1)
    told = tuple(f"{name}+{step}" for step in range(1, params.horizon + 1) for name in params.targets)
    schema = Schema(
        kind="series",
        task="forecasting",
        target=", ".join(params.targets),
        features=names,
        shape=(params.window, len(names)),
        classes=(),
        values=told,
    )
    return Arrays(Keys(y, overlap=params.horizon - 1), schema, x, np.arange(n) + first + params.window, findings)


def moments(column: pd.Series, source: Path) -> Array:
    """Return a column of times as datetime64 or as numbers.

    Times with a zone become UTC, in which no clock is put back; but if all are midnight they are days, and stay them.

    Raises:
        DataError: a cell is empty, or neither an ISO date nor a number.
    """
    kind, _ = infer(column, Column())
    if kind not in ("date", "numeric"):
        kind = "date"
    cells, bad = parse(column, kind)
    gaps = np.union1d(bad, np.flatnonzero(pd.isna(cells)))
    if len(gaps):
        raise DataError(
            f"{source}: column {column.name!r} must hold an ISO date or a number in every row, but row {gaps[0] + 1}"
            f" holds {shown(column.iloc[int(gaps[0])])}; mend it, or name another column"
        )
    if kind == "date":
        local, _ = parse(_local(column), kind)
        if (local == local.astype("datetime64[D]")).all():
            return np.asarray(local)
    return np.asarray(cells)


def _local(column: pd.Series) -> pd.Series:
    """Return times as the clock showed them."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column.dt.tz_localize(None)
    return column.astype(str).str.strip().str.replace(ZONE, r"\1", regex=True)


def _even(times: Array, values: Array, params: Series, source: Path) -> tuple[Array, int, tuple[Finding, ...]]:
    """Return the values at even steps, NaN where none stands, the first step that is kept, and what was found.

    Steps before a column begins, and steps after a target ends, are left out.
    """
    place, grid = _places(times, params.step, source)
    if params.step == "auto" and len(grid) > 2 * len(times):
        raise DataError(
            f"{source}: times must lie on even steps, but {len(grid) - len(times)} of {len(grid)} steps of"
            f" {_width(grid)} would be missing; say `step`, or resample the series"
        )
    full = np.full((len(grid), values.shape[1]), np.nan)
    full[place] = values
    known = ~np.isnan(full)
    if not known.any(axis=0).all():
        name = (*params.targets, *params.exogenous)[int(known.any(axis=0).argmin())]
        raise DataError(f"{source}: column {name!r} must have values, but has none; leave it out")
    findings = []
    absent = len(grid) - len(times)
    if absent:
        at = grid[np.setdiff1d(np.arange(len(grid)), place)[0]]
        text = f"{absent} of {len(grid)} steps are missing, the first at {at}: {params.missing} fills them in"
        findings.append(Finding(rule="missing_steps", level="warning", text=text))
    gaps = int(np.isnan(values).sum())
    if gaps:
        text = f"{gaps} of {values.size} cells are missing: {params.missing} fills them in"
        findings.append(Finding(rule="missing", level="note", text=text))
    first = int(known.argmax(axis=0).max())
    full[first] = pd.DataFrame(full[: first + 1]).ffill().iloc[-1]
    end = len(full) - int(known[::-1, : len(params.targets)].argmax(axis=0).max())
    left = first + len(grid) - end
    if left:
        text = f"{left} steps before a column begins, or after a target ends, are left out"
        findings.append(Finding(rule="missing", level="warning", text=text))
    return full[first : max(end, first)], first, tuple(findings)


def _filled(values: Array, params: Series, cuts: Sequence[int]) -> tuple[Array, Array]:
    """Return windows x (n, w, f) and values (steps, f) without gaps.

    cuts: the first steps that validation and test rows tell; nothing is filled in from beyond them. Nor does a window
    look beyond its own end: what is missing there is the value before.
    """
    frame = pd.DataFrame(values)
    before = frame.ffill()
    held = before.to_numpy()
    filled = held
    if params.missing == "interpolate":
        parts = [frame.iloc[a:b].interpolate(limit_area="inside") for a, b in pairwise([0, *cuts, len(frame)])]
        filled = pd.concat(parts).fillna(before).to_numpy()
    n = len(values) - params.window - params.horizon + 1
    step = np.arange(len(values))
    last = pd.DataFrame(np.where(np.isnan(values), np.nan, step[:, None])).ffill().to_numpy()  # that has a value
    steps, known = (sliding_window_view(array, params.window, axis=0)[:n] for array in (step, last))
    late = steps[:, None] > known[..., -1:]  # (n, f, w)
    x = np.where(late, *(sliding_window_view(array, params.window, axis=0)[:n] for array in (held, filled)))
    return x.transpose(0, 2, 1), filled


def _places(times: Array, step: str, source: Path) -> tuple[Array, Array]:
    """Return which of even steps each time is, and every time from the first to the last."""
    if times.dtype.kind == "M":
        grid = _calendar(pd.DatetimeIndex(times), step, source)
        place = np.searchsorted(grid, times).clip(max=max(len(grid) - 1, 0))
        off = grid[place] != times if len(grid) else np.ones(len(times), bool)
    else:
        width = _numeric_step(times, step, source)
        exact = (times - times[0]) / width
        _bounded(exact[-1] + 1, step, source)
        place = np.rint(exact).astype(np.int64)
        grid = times[0] + width * np.arange(place[-1] + 1)
        off = (np.abs(exact - place) > EVEN) | np.r_[False, np.diff(place) == 0]
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


def _calendar(stamps: pd.DatetimeIndex, step: str, source: Path) -> Array:
    """Return every time from the first to the last."""
    offset = _inferred(stamps) if step == "auto" else _offset(step, source)
    shortest = pd.Timedelta(offset) if isinstance(offset, pd.offsets.Tick) else pd.Timedelta(hours=1)
    _bounded((stamps[-1] - stamps[0]) / shortest + 1, step, source)
    return np.asarray(pd.date_range(stamps[0], stamps[-1], freq=offset).to_numpy(dtype=stamps.dtype))


def _offset(step: str, source: Path) -> pd.offsets.BaseOffset:
    """Return what pandas makes of a step that a person wrote."""
    try:
        with warnings.catch_warnings(action="ignore"):
            offset = pd.tseries.frequencies.to_offset(step)
    except (ValueError, OverflowError):
        offset = None
    if offset is None or offset.n <= 0:
        raise DataError(f"{source}: `step` must be a distance such as 30min, 1D, B or MS, but is {step!r}; mend it")
    return offset


def _inferred(stamps: pd.DatetimeIndex) -> pd.offsets.BaseOffset:
    """Return the step of most neighbours: months by their first, last or same day, business days, or a span of time."""
    if len(stamps) < 2:
        return pd.offsets.Day()
    usual = pd.Timedelta(pd.Series(np.diff(stamps.to_numpy())).mode().iloc[0])
    months = int(pd.Series(np.diff(stamps.year * 12 + stamps.month)).mode().iloc[0])
    if usual >= pd.Timedelta(days=28) and months:
        if (stamps.day == stamps.day[0]).all() and stamps.day[0] <= 28:
            return pd.DateOffset(months=months)
        for ends in (pd.offsets.MonthEnd(months), pd.offsets.BMonthEnd(months), pd.offsets.BMonthBegin(months)):
            if all(ends.is_on_offset(stamp) for stamp in stamps):
                return ends
    week = stamps[-1] - stamps[0] >= pd.Timedelta(days=7)
    if usual == pd.Timedelta(days=1) and week and (stamps.day_of_week < 5).all():
        return pd.offsets.BDay()
    return pd.tseries.frequencies.to_offset(usual)


def _width(grid: Array) -> str:
    return str(pd.Timedelta(grid[1] - grid[0])) if grid.dtype.kind == "M" else f"{grid[1] - grid[0]:g}"


def _bounded(count: float, step: str, source: Path) -> None:
    if not 1 <= count <= MOST_STEPS:
        raise DataError(
            f"{source}: a series may have {MOST_STEPS} steps, but at step {step} has {count:.0f}; say another `step`"
        )
