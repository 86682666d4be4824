"""Read one time series as windows of past steps and the future steps of the targets.

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
    """Windows of a series.

    Attributes:
        has_all_targets: (n,), whether all targets of a window are in the source.
    """

    has_all_targets: Array = field(kw_only=True)

    def encode(self, indices: SplitIndices, *, free_source: bool = False) -> Dataset:
        """Return the windows, split, without those with an imputed target, which must not affect training or metrics.

        Raises:
            DataError: too few windows remain.
        """
        remaining = {name: index[self.has_all_targets[index]] for name, index in indices.items()}
        dataset = self.build_dataset(remaining)
        n_dropped = sum(map(len, indices.values())) - sum(map(len, remaining.values()))
        if not n_dropped:
            return dataset
        require_enough_rows(self.keys, {name: index for name, index in remaining.items() if len(indices[name])})
        text = f"{n_dropped} windows are left out because a target is missing; targets are not imputed"
        return replace(dataset, checks=(CheckResult(rule="missing", level="note", message=text),))


def read_series(source: Path, params: Series) -> RawSeries:
    """Return the windows: x (n, w, f) float64, y (n, h * k) float64, in the order of time.

    Targets are the first columns of x; y contains step 1 of each target, then step 2, and so on. The row number of a
    window is that of its first future step, counted from the first time of the source.

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
    repeated = np.flatnonzero(times[1:] == times[:-1])
    if len(repeated):
        time = clock.iloc[order[repeated[0] + 1]]
        raise DataError(
            f"{source}: times must be unique, but {format_value(time)} occurs twice; remove one row, keep one series,"
            " or add time zones to the times if an hour repeats at the end of daylight saving time"
        )
    columns = {name: parse_numeric(frame[name], source) for name in names}
    if params.log_target:
        for name in params.targets:
            require_positive(columns[name], name, source)
    matrix = np.column_stack(list(columns.values()))[order]
    values, grid, first, checks = _align_values(times, matrix, params, source)
    n = len(values) - params.window - params.horizon + 1
    if n < 3:
        raise DataError(
            f"{source} must have at least window + horizon + 2 = {params.window} + {params.horizon} + 2 steps, but has"
            f" {len(values)}; reduce `window`, or add steps"
        )
    x = sliding_window_view(values, params.window, axis=0)[:n].transpose(0, 2, 1)  # (n, w, f)
    seasonal_naive = _seasonal_naive(values, params, n) if params.season_length else None
    has_all_targets = np.asarray(_future_targets(~np.isnan(values), params).all(axis=1))
    if np.isnan(values).any():
        keys = SplitKeys(np.zeros(n), overlap=params.horizon - 1)
        split_starts = [split_rows(keys, params.split, 0)[name][0] + params.window for name in ("validation", "test")]
        x, values = _fill_missing(values, params, split_starts)
    y = _future_targets(values, params)
    value_names = tuple(f"{name}+{step}" for step in range(1, params.horizon + 1) for name in params.targets)
    schema = Schema(
        kind="series",
        task="forecasting",
        target=", ".join(params.targets),
        features=names,
        shape=(params.window, len(names)),
        classes=(),
        values=value_names,
        horizon=params.horizon,
        frequency=describe_frequency(grid),
        time_range=(format_time(grid, 0), format_time(grid, -1)),
        season_length=params.season_length,
        log_target=params.log_target,
    )
    rows = np.arange(n) + first + params.window
    return RawSeries(
        SplitKeys(y, overlap=params.horizon - 1),
        schema,
        x,
        rows,
        checks,
        seasonal_naive,
        has_all_targets=has_all_targets,
    )


def _align_values(
    times: Array, values: Array, params: Series, source: Path
) -> tuple[Array, Array, int, tuple[CheckResult, ...]]:
    """Return values on a regular grid, NaN where missing, their times, the index of the first one, and check results.

    Steps before the first value of a column, and after the last value of a target, are left out.
    """
    position, grid = align_to_grid(times, params.freq, source)
    full = np.full((len(grid), values.shape[1]), np.nan)
    full[position] = values
    known = ~np.isnan(full)
    if not known.any(axis=0).all():
        name = (*params.targets, *params.exogenous)[int(known.any(axis=0).argmin())]
        raise DataError(f"{source}: column {name!r} must have values, but has none; remove it")
    checks = []
    absent = len(grid) - len(times)
    if absent:
        at = grid[np.setdiff1d(np.arange(len(grid)), position)[0]]
        text = f"{absent} of {len(grid)} steps are missing, the first at {at}: imputed by {params.missing}"
        mostly_absent = absent > len(grid) / 2
        if mostly_absent:  # the network would learn the imputation
            text = f"{source}: {text}; set a `freq` longer than {describe_frequency(grid)}, or resample the series"
        checks.append(CheckResult(rule="missing_steps", level="error" if mostly_absent else "warning", message=text))
    n_missing = int(np.isnan(values).sum())
    if n_missing:
        text = f"{n_missing} of {values.size} cells are missing: imputed by {params.missing}"
        checks.append(CheckResult(rule="missing", level="note", message=text))
    first = int(known.argmax(axis=0).max())
    full[first] = pd.DataFrame(full[: first + 1]).ffill().iloc[-1]
    end = len(full) - int(known[::-1, : len(params.targets)].argmax(axis=0).max())
    n_dropped = first + len(grid) - end
    if n_dropped:
        text = (
            f"{n_dropped} steps before the first value of a column, or after the last value of a target, are left out"
        )
        checks.append(CheckResult(rule="missing", level="warning", message=text))
    selected = slice(first, max(end, first))
    return full[selected], grid[selected], first, tuple(checks)


def _future_targets(values: Array, params: Series) -> Array:
    """Return the future targets of each window, (n, h * k), from values (steps, f)."""
    targets = values[params.window :, : len(params.targets)]
    ahead = sliding_window_view(targets, params.horizon, axis=0)  # (n, k, h)
    return np.ascontiguousarray(ahead.transpose(0, 2, 1)).reshape(len(ahead), -1)


def _seasonal_naive(values: Array, params: Series, n: int) -> Array:
    """Return each target at the same step of the last complete season, (n, h * k), NaN before the first step.

    A season may be longer than the window. A missing value is replaced by the previous one.
    """
    previous = pd.DataFrame(values[:, : len(params.targets)]).ffill().to_numpy()
    ahead = np.arange(params.horizon) % params.season_length
    step = np.arange(n)[:, None] + params.window - params.season_length + ahead  # (n, h)
    return np.where(step[..., None] < 0, np.nan, previous[np.maximum(step, 0)]).reshape(n, -1)


def _fill_missing(values: Array, params: Series, split_starts: Sequence[int]) -> tuple[Array, Array]:
    """Return windows x (n, w, f) and values (steps, f) without missing values.

    A window does not use values after its own end: missing values there are replaced by the previous value.

    Args:
        split_starts: the first future steps of validation and test rows; no value is imputed across them.
    """
    frame = pd.DataFrame(values)
    forward_filled = frame.ffill()
    previous = forward_filled.to_numpy()
    filled = previous
    if params.missing == "interpolate":
        parts = [frame.iloc[a:b].interpolate(limit_area="inside") for a, b in pairwise([0, *split_starts, len(frame)])]
        filled = pd.concat(parts).fillna(forward_filled).to_numpy()
    n = len(values) - params.window - params.horizon + 1
    step = np.arange(len(values))
    last = pd.DataFrame(np.where(np.isnan(values), np.nan, step[:, None])).ffill().to_numpy()  # last step with a value
    steps, last_known = (sliding_window_view(array, params.window, axis=0)[:n] for array in (step, last))
    late = steps[:, None] > last_known[..., -1:]  # (n, f, w)
    x = np.where(late, *(sliding_window_view(array, params.window, axis=0)[:n] for array in (previous, filled)))
    return x.transpose(0, 2, 1), filled
