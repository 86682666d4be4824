"""One time series, cut into windows of past steps and the targets' steps after them.

Shapes: n windows, w past steps, h future steps, f columns, k targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from ...config.datasets import Series
from ...errors import DataError, format_value
from ..columns.dates import describe_frequency, format_time
from ..columns.timestamps import align_to_grid, join_time_columns, parse_times
from ..dataset import Array, ArrayDataset, Dataset, SplitIndices, SplitKeys
from ..schema import CheckResult, Schema
from ..splitting import require_enough_rows, split_rows
from ..targets import parse_numeric, require_positive
from .csv import read_frame, require_columns


@dataclass(frozen=True)
class RawSeries(ArrayDataset):
    """Windows of a series; told (n,): whether all that a window tells stands in the source."""

    has_all_targets: Array = field(kw_only=True)

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return the windows, divided, but for those of which a target was filled in: that is no truth to score.

        Raises:
            DataError: too few are left.
        """
        left = {name: index[self.has_all_targets[index]] for name, index in indices.items()}
        dataset, untold = self.build_dataset(left), sum(map(len, indices.values())) - sum(map(len, left.values()))
        if not untold:
            return dataset
        require_enough_rows(self.keys, {name: index for name, index in left.items() if len(indices[name])})
        text = f"{untold} windows are left out, since a target that they would tell is missing: none is filled in"
        return replace(dataset, checks=(CheckResult(rule="missing", level="note", message=text),))


def read_series(source: Path, params: Series) -> RawSeries:
    """Read windows: x (n, w, f) float64, y (n, h * k) float64, in the order of time.

    Targets come first among the columns of x; y holds step 1 of each target, then step 2, and so on. A row's number is
    that of the first step that it tells, counted from the first time of the source.

    Raises:
        DataError: times repeat or cannot be read, a column is missing, or there are too few steps for one window.
    """
    frame = read_frame(source, params.format)
    names = (*params.targets, *params.exogenous)
    require_columns(
        frame, dict.fromkeys(params.time_columns, "time") | dict.fromkeys(params.targets, "targets"), source
    )
    require_columns(frame, dict.fromkeys(params.exogenous, "exogenous"), source)
    clock = join_time_columns(frame, params.time_columns)
    times = parse_times(clock, source)
    order = np.argsort(times, kind="stable")
    times = times[order]
    twice = np.flatnonzero(times[1:] == times[:-1])
    if len(twice):
        again = clock.iloc[order[twice[0] + 1]]
        raise DataError(
            f"{source}: each time must stand once, but {format_value(again)} stands twice; remove one row, keep one series, or"
            " write times with their zone if a clock was put back"
        )
    columns = {name: parse_numeric(frame[name], source) for name in names}
    if params.log_target:
        for name in params.targets:
            require_positive(columns[name], name, source)
    matrix = np.column_stack(list(columns.values()))[order]
    values, grid, first, findings = _to_even_steps(times, matrix, params, source)
    n = len(values) - params.window - params.horizon + 1
    if n < 3:
        raise DataError(
            f"{source} must have window + horizon + 2 steps or more, {params.window} + {params.horizon} + 2, but has"
            f" {len(values)}; shorten `window`, or bring more"
        )
    x = sliding_window_view(values, params.window, axis=0)[:n].transpose(0, 2, 1)  # (n, w, f)
    season = _seasonal_naive(values, params, n) if params.season_length else None
    known = np.asarray(_future_targets(~np.isnan(values), params).all(axis=1))
    if np.isnan(values).any():
        keys = SplitKeys(np.zeros(n), overlap=params.horizon - 1)
        cuts = [split_rows(keys, params.split, 0)[name][0] + params.window for name in ("validation", "test")]
        x, values = _fill_gaps(values, params, cuts)
    y = _future_targets(values, params)
    told = tuple(f"{name}+{step}" for step in range(1, params.horizon + 1) for name in params.targets)
    schema = Schema(
        kind="series",
        task="forecasting",
        target=", ".join(params.targets),
        features=names,
        shape=(params.window, len(names)),
        classes=(),
        values=told,
        horizon=params.horizon,
        frequency=describe_frequency(grid),
        time_range=(format_time(grid, 0), format_time(grid, -1)),
        season_length=params.season_length,
        log_target=params.log_target,
    )
    rows = np.arange(n) + first + params.window
    return RawSeries(SplitKeys(y, overlap=params.horizon - 1), schema, x, rows, findings, season, has_all_targets=known)


def _to_even_steps(
    times: Array, values: Array, params: Series, source: Path
) -> tuple[Array, Array, int, tuple[CheckResult, ...]]:
    """Return the values at even steps, NaN where none stands, their times, the first's place, and what was found.

    Steps before a column begins, and steps after a target ends, are left out.
    """
    place, grid = align_to_grid(times, params.freq, source)
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
        most = absent > len(grid) / 2
        if most:  # what is learnt would be what was filled in
            text = f"{source}: {text}; say a longer `step` than {describe_frequency(grid)}, or resample the series"
        findings.append(CheckResult(rule="missing_steps", level="error" if most else "warning", message=text))
    gaps = int(np.isnan(values).sum())
    if gaps:
        text = f"{gaps} of {values.size} cells are missing: {params.missing} fills them in"
        findings.append(CheckResult(rule="missing", level="note", message=text))
    first = int(known.argmax(axis=0).max())
    full[first] = pd.DataFrame(full[: first + 1]).ffill().iloc[-1]
    end = len(full) - int(known[::-1, : len(params.targets)].argmax(axis=0).max())
    left = first + len(grid) - end
    if left:
        text = f"{left} steps before a column begins, or after a target ends, are left out"
        findings.append(CheckResult(rule="missing", level="warning", message=text))
    kept = slice(first, max(end, first))
    return full[kept], grid[kept], first, tuple(findings)


def _future_targets(values: Array, params: Series) -> Array:
    """Return of values (steps, f) those that each window tells, (n, h * k)."""
    targets = values[params.window :, : len(params.targets)]
    ahead = sliding_window_view(targets, params.horizon, axis=0)  # (n, k, h)
    return np.ascontiguousarray(ahead.transpose(0, 2, 1)).reshape(len(ahead), -1)


def _seasonal_naive(values: Array, params: Series, n: int) -> Array:
    """Return what each target was at the same place of the last whole season, (n, h * k), NaN before the first step.

    A season may be longer than the window. For a gap stands the value before it.
    """
    held = pd.DataFrame(values[:, : len(params.targets)]).ffill().to_numpy()
    ahead = np.arange(params.horizon) % params.season_length
    step = np.arange(n)[:, None] + params.window - params.season_length + ahead  # (n, h)
    return np.where(step[..., None] < 0, np.nan, held[np.maximum(step, 0)]).reshape(n, -1)


def _fill_gaps(values: Array, params: Series, split_starts: Sequence[int]) -> tuple[Array, Array]:
    """Return windows x (n, w, f) and values (steps, f) without gaps.

    cuts: the first steps that validation and test rows tell; nothing is filled in from beyond them. Nor does a window
    look beyond its own end: what is missing there is the value before.
    """
    frame = pd.DataFrame(values)
    before = frame.ffill()
    held = before.to_numpy()
    filled = held
    if params.missing == "interpolate":
        parts = [frame.iloc[a:b].interpolate(limit_area="inside") for a, b in pairwise([0, *split_starts, len(frame)])]
        filled = pd.concat(parts).fillna(before).to_numpy()
    n = len(values) - params.window - params.horizon + 1
    step = np.arange(len(values))
    last = pd.DataFrame(np.where(np.isnan(values), np.nan, step[:, None])).ffill().to_numpy()  # that has a value
    steps, known = (sliding_window_view(array, params.window, axis=0)[:n] for array in (step, last))
    late = steps[:, None] > known[..., -1:]  # (n, f, w)
    x = np.where(late, *(sliding_window_view(array, params.window, axis=0)[:n] for array in (held, filled)))
    return x.transpose(0, 2, 1), filled
