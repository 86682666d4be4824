"""One time series, cut into windows of past steps and the targets' steps after them.

Shapes: n windows, w past steps, h future steps, f columns, k targets.
"""

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
from .target import numbers

MOST_STEPS = 50_000_000
"""Steps that a series may have once its missing ones are there: a wrong `step` would ask for more than memory holds."""


def read_series(source: Path, params: Series) -> Arrays:
    """Read windows: x (n, w, f) float64, y (n, h * k) float64, in the order of time.

    Targets come first among the columns of x; y holds step 1 of each target, then step 2, and so on.

    Raises:
        DataError: times repeat or cannot be read, a column is missing, or there are too few steps for one window.
    """
    frame = read_frame(source)
    names = (*params.targets, *params.exogenous)
    need(frame, {params.time: "time"} | dict.fromkeys(params.targets, "targets"), source)
    need(frame, dict.fromkeys(params.exogenous, "exogenous"), source)
    times = _times(frame[params.time], source)
    order = np.argsort(times, kind="stable")
    twice = np.flatnonzero(np.diff(times[order]) == np.zeros(1, np.diff(times[:1].repeat(2)).dtype))
    if len(twice):
        again = frame[params.time].iloc[order[twice[0] + 1]]
        raise DataError(
            f"{source}: each time must stand once, but {shown(again)} stands twice; remove one row, or keep one series"
        )
    matrix = np.column_stack([numbers(frame[name], source) for name in names])[order]
    values, findings = _even(times[order], matrix, params, source)
    n = len(values) - params.window - params.horizon + 1
    if n < 3:
        raise DataError(
            f"{source} must have more than window + horizon steps, {params.window} + {params.horizon}, but has"
            f" {len(values)}; shorten `window`, or bring more"
        )
    x = sliding_window_view(values, params.window, axis=0)[:n].transpose(0, 2, 1)  # (n, w, f)
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
    # rows: the position of the first step that a window tells
    return Arrays(Keys(y, overlap=params.horizon - 1), schema, x, np.arange(n) + params.window, findings)


def _times(column: pd.Series, source: Path) -> Array:
    """Return times as datetime64 or as whole numbers."""
    kind, _ = infer(column, Column())
    if kind not in ("date", "numeric"):
        kind = "date"
    cells, bad = parse(column, kind)
    gaps = np.union1d(bad, np.flatnonzero(pd.isna(cells)))
    if len(gaps):
        raise DataError(
            f"{source}: column {column.name!r} must hold an ISO date or a number in every row, but row {gaps[0] + 1}"
            f" holds {shown(column.iloc[int(gaps[0])])}; mend it, or name another column under `time`"
        )
    return np.asarray(cells)


def _even(times: Array, values: Array, params: Series, source: Path) -> tuple[Array, tuple[Finding, ...]]:
    """Return the values at even steps, what is missing filled in, and what was filled in."""
    grid = _grid(times, params.step, source)
    place = np.searchsorted(grid, times)
    place = np.minimum(place, len(grid) - 1)
    off = np.flatnonzero(grid[place] != times)
    if len(off):
        raise DataError(
            f"{source}: times must lie on even steps, but {times[off[0]]} ({len(off)} such rows) does not; say `step`,"
            " or resample the series"
        )
    full = np.full((len(grid), values.shape[1]), np.nan)
    full[place] = values
    findings = []
    absent = len(grid) - len(times)
    if absent:
        first = grid[np.setdiff1d(np.arange(len(grid)), place)[0]]
        text = f"{absent} of {len(grid)} steps are missing, the first at {first}: {params.missing} fills them in"
        findings.append(Finding(rule="missing_steps", level="warning", text=text))
    gaps = int(np.isnan(values).sum())
    if gaps:
        text = f"{gaps} of {values.size} cells are missing: {params.missing} fills them in"
        findings.append(Finding(rule="missing", level="note", text=text))
    return _filled(full, params), tuple(findings)


def _filled(values: Array, params: Series) -> Array:
    """Fill gaps within the training, validation and test part each by itself, so that none looks into another."""
    frame = pd.DataFrame(values)
    if not frame.isna().to_numpy().any():
        return values
    # the cuts that the split will make, in steps
    n = len(values) - params.window - params.horizon + 1
    sizes = [
        p if isinstance(p, int) else int(np.ceil(p * n - 1e-9)) for p in (params.split.validation, params.split.test)
    ]
    cuts = [0, len(values) - sum(sizes), len(values) - sizes[1], len(values)]
    parts = []
    before: pd.Series | None = None
    for start, end in pairwise(cuts):
        part = frame.iloc[max(start, 0) : max(end, 0)]
        inside = part.interpolate(limit_area="inside") if params.missing == "interpolate" else part
        filled = inside.ffill()
        if before is not None:
            filled = filled.fillna(before)
        parts.append(filled.bfill())
        before = parts[-1].iloc[-1] if len(part) else before
    return np.asarray(np.nan_to_num(pd.concat(parts).to_numpy()))


def _grid(times: Array, step: str, source: Path) -> Array:
    """Return every time from the first to the last."""
    if times.dtype.kind != "M":
        width = float(step) if step != "auto" else float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        count = round((times[-1] - times[0]) / width) + 1 if width > 0 else 0
        _bounded(count, step, source)
        even: Array = times[0] + width * np.arange(count)
        return even
    stamps = pd.DatetimeIndex(times)
    offset = pd.tseries.frequencies.to_offset(_inferred(stamps) if step == "auto" else step)
    count = (stamps[-1] - stamps[0]) / pd.Timedelta(offset) if hasattr(offset, "nanos") else len(stamps)
    _bounded(count, step, source)
    return np.asarray(pd.date_range(stamps[0], stamps[-1], freq=offset), dtype=times.dtype)


def _inferred(stamps: pd.DatetimeIndex) -> str:
    """Return the step of most neighbours: a calendar's month or year, else a span of time."""
    if len(stamps) > 2 and (known := pd.infer_freq(stamps)):
        return str(known)
    if (stamps.day == stamps.day[0]).all() and (stamps.time == stamps.time[0]).all():
        months = np.diff(stamps.year * 12 + stamps.month)
        usual = int(np.median(months)) if len(months) else 1
        if usual >= 1 and stamps.day[0] == 1:
            return f"{usual}MS"
    spans = pd.Series(np.diff(stamps.to_numpy()))
    return f"{int(spans.mode().iloc[0] / np.timedelta64(1, 'ms'))}ms"


def _bounded(count: float, step: str, source: Path) -> None:
    if not 1 <= count <= MOST_STEPS:
        raise DataError(f"{source}: steps of {step} would be {count:.0f} rows; say another `step`")
