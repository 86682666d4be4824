"""Plots of the values of a study's trials: parallel coordinates, and the score against each key.

The axes map values to [0, 1] and choose ticks and score limits.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...config.search import CategoricalRange, FloatRange, IntRange
from ...plotting import make_figure, set_title
from ...tracking.study_results import StudySummary, TrialResult
from ..formatting import format_yaml, shorten_keys
from .facts import search_ranges

MAX_LABEL_LENGTH = 14
"""Longest label of a choice, in characters."""
N_TICKS = 4
"""Approximate number of ticks of a numeric axis."""


class ParamAxis(NamedTuple):
    """The axis of one key.

    ticks: positions in [0, 1] and their labels.
    """

    param_range: FloatRange | IntRange | CategoricalRange
    ticks: list[tuple[float, str]]

    def position(self, value: Any) -> float:
        """Return the position of a value in [0, 1]."""
        return _scale_to_unit(self.param_range, value)


def build_axis(param_range: FloatRange | IntRange | CategoricalRange) -> ParamAxis:
    """Return the axis of a range."""
    if isinstance(param_range, CategoricalRange):
        return ParamAxis(
            param_range,
            [(_scale_to_unit(param_range, choice), _truncate(format_yaml(choice))) for choice in param_range.choices],
        )
    return ParamAxis(
        param_range, [(_scale_to_unit(param_range, value), f"{value:g}") for value in _param_ticks(param_range)]
    )


def _scale_to_unit(param_range: FloatRange | IntRange | CategoricalRange, value: Any) -> float:
    if isinstance(param_range, CategoricalRange):
        same = [i for i, choice in enumerate(param_range.choices) if type(choice) is type(value) and choice == value]
        return 0.5 if len(param_range.choices) == 1 else same[0] / (len(param_range.choices) - 1)
    if param_range.high == param_range.low:
        return 0.5
    if param_range.log:
        return math.log(value / param_range.low) / math.log(param_range.high / param_range.low)
    return float((value - param_range.low) / (param_range.high - param_range.low))


def _param_ticks(param_range: FloatRange | IntRange) -> list[float]:
    """Return the ticks of a numeric axis; on a log scale powers of ten, and numbers in between if these are few."""
    if not param_range.log:
        steps = MaxNLocator(N_TICKS, integer=isinstance(param_range, IntRange)).tick_values(
            param_range.low, param_range.high
        )
        return [value for value in map(float, steps) if param_range.low <= value <= param_range.high]
    low, high = math.log10(param_range.low), math.log10(param_range.high)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        candidates = [
            factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in factors
        ]
        within = [
            value for value in candidates if param_range.low * (1 - 1e-9) <= value <= param_range.high * (1 + 1e-9)
        ]
        if len(within) >= N_TICKS - 1:
            break
    if len(within) < 2:
        within = np.geomspace(param_range.low, param_range.high, N_TICKS - 1).tolist()
        return [float(f"{value:.2g}") for value in within]
    return within[:: -(-len(within) // (N_TICKS + 1))]


def _truncate(text: str) -> str:
    return text if len(text) <= MAX_LABEL_LENGTH else f"{text[: MAX_LABEL_LENGTH - 1]}…"


def score_limits(study: StudySummary, trials: Sequence[TrialResult]) -> tuple[float, float]:
    """Return the limits of a score axis; they contain all good scores, but not outliers on the bad side."""
    values = np.array([trial.score for trial in trials if trial.score is not None] or [0.0, 1.0])
    oriented = study.sign * values
    best, median, low = oriented.max(), np.median(oriented), oriented.min()
    low = max(low, best - 5 * max(best - median, 1e-12))
    margin = 0.06 * ((best - low) or abs(best) or 1.0)
    ends = sorted((study.sign * (low - margin), study.sign * (best + margin)))
    return ends[0], ends[1]


def trials_outside(trials: Sequence[TrialResult], low: float, high: float) -> list[TrialResult]:
    """Return the trials whose scores are outside the limits of an axis."""
    return [trial for trial in trials if trial.score is not None and not low <= trial.score <= high]


def mark_outside(axes: Axes, x: Sequence[float], y: float, points_up: bool, **scatter_kwargs: Any) -> None:
    """Draw triangles at the edge of an axis for trials outside its limits."""
    marker = "^" if points_up else "v"
    axes.scatter(
        x,
        [y] * len(x),
        s=34,
        marker=marker,
        facecolors="white",
        edgecolors="0.15",
        clip_on=False,
        zorder=5,
        **scatter_kwargs,
    )


BEST_COLOR, PRUNED_COLOR = "C3", "0.65"
MAX_COLUMNS = 4
"""Subplots per row."""
NOT_TRIED_HEIGHT = -0.12
"""Height at which an inactive key of a trial is drawn, on axes from 0 to 1."""
MAX_TICK_CHARS = 32
"""Characters of tick labels that fit below a subplot."""


def plot_parallel_coordinate(study: StudySummary, keys: Sequence[str]) -> Figure:
    """Draw each trial as a line across its values, colored by its score; the best trial is on top."""
    ranges, names = search_ranges(study), shorten_keys(search_ranges(study))
    complete = study.ranked_trials()[::-1]
    low, high = score_limits(study, complete)

    def height(score: float) -> float:  # the best score is at the top
        fraction = min(max((score - low) / (high - low), 0.0), 1.0)
        return fraction if study.sign > 0 else 1 - fraction

    fig, axes = make_figure(max(6.0, 1.15 * (len(keys) + 1) + 1.0), 4.2)
    param_axes = {key: build_axis(ranges[key]) for key in keys}
    for trial in study.trials_in_state("pruned"):
        _draw_trial_line(axes, trial, param_axes, None, color="0.88", linewidth=0.6, zorder=1)
    for trial in complete:
        score_height = height(trial.score or 0.0)
        is_best = trial is complete[-1]
        _draw_trial_line(
            axes,
            trial,
            param_axes,
            score_height,
            color=BEST_COLOR if is_best else mpl.colormaps["viridis"](score_height),
            linewidth=2.2 if is_best else 1.0,
            alpha=0.3 + 0.6 * score_height,
            zorder=2 + score_height,
        )
    evaluated = study.trials_in_state("complete", "pruned")
    inactive = [key for key in keys if any(key not in trial.params for trial in evaluated)]
    for position, (key, axis) in enumerate(param_axes.items()):
        ticks = [*axis.ticks, *([(NOT_TRIED_HEIGHT, "inactive")] if key in inactive else [])]
        _draw_vertical_axis(axes, position, ticks)
    _draw_vertical_axis(axes, len(keys), [(height(value), f"{value:.4g}") for value in _score_ticks(low, high)])
    axes.set_xticks(range(len(keys) + 1), [*(names[key] for key in keys), study.metric], fontweight="bold")
    axes.xaxis.set_ticks_position("top")
    axes.tick_params(length=0)
    axes.set(yticks=[], xlim=(-0.2, len(keys) + 0.45), ylim=((NOT_TRIED_HEIGHT if inactive else 0) - 0.04, 1.04))
    axes.spines[:].set_visible(False)
    notes = ["best in red"]
    if pruned := study.trials_in_state("pruned"):
        notes.append(f"{len(pruned)} pruned ones in gray")
    if outside := trials_outside(complete, low, high):
        mark_outside(axes, [len(keys)], 0.0, points_up=False)
        notes.append(f"{len(outside)} outside the axis at the triangle")
    set_title(fig, f"{study.name}: {len(complete)} complete trials ({', '.join(notes)})")
    return fig


def _draw_trial_line(
    axes: Axes, trial: TrialResult, param_axes: dict[str, ParamAxis], score_height: float | None, **style: Any
) -> None:
    """Draw the line of a trial; inactive keys are below the axes."""
    heights = [
        axis.position(trial.params[key]) if key in trial.params else NOT_TRIED_HEIGHT
        for key, axis in param_axes.items()
    ]
    heights += [] if score_height is None else [score_height]
    axes.plot(range(len(heights)), heights, solid_joinstyle="round", **style)


def _draw_vertical_axis(axes: Axes, x: int, ticks: Sequence[tuple[float, str]]) -> None:
    """Draw a vertical axis with its ticks."""
    axes.plot([x, x], [0, 1], color="0.3", linewidth=0.8, zorder=4)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    for height, label in ticks:
        axes.plot([x, x + 0.03], [height, height], color="0.3", linewidth=0.8, zorder=4)
        axes.text(x + 0.05, height, label, va="center", ha="left", fontsize="x-small", bbox=box, zorder=5)


def _score_ticks(low: float, high: float) -> list[float]:
    return [value for value in map(float, MaxNLocator(5).tick_values(low, high)) if low <= value <= high]


def plot_slice(study: StudySummary, keys: Sequence[str]) -> Figure:
    """Draw the score against the value of each key."""
    ranges, names = search_ranges(study), shorten_keys(search_ranges(study))
    columns = min(MAX_COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    fig, first = make_figure(max(4.0, 2.5 * columns), 2.3 * rows + 0.4)
    first.remove()
    grid = fig.subplots(rows, columns, squeeze=False, sharey=True)
    low, high = score_limits(study, study.trials_in_state("complete"))
    outside = trials_outside(study.trials_in_state("complete", "pruned"), low, high)
    worst = low if study.sign > 0 else high
    best, *others = study.ranked_trials()
    for axes, key in zip(grid.flat, keys, strict=False):
        axis = build_axis(ranges[key])
        jitter = isinstance(ranges[key], CategoricalRange)
        for trials, style in (
            (
                [trial for trial in study.trials_in_state("pruned") if not trial.fold_scores],
                {"color": PRUNED_COLOR, "marker": "|", "s": 22},
            ),
            (
                [trial for trial in study.trials_in_state("pruned") if trial.fold_scores],
                {"color": PRUNED_COLOR, "marker": "D", "s": 10},
            ),
            (others, {"color": "C0", "marker": "o", "s": 14, "alpha": 0.75, "linewidths": 0}),
        ):
            shown = [trial for trial in trials if key in trial.params and trial not in outside]
            x = [_x_position(axis, key, trial, jitter) for trial in shown]
            axes.scatter(x, [worst if trial.score is None else trial.score for trial in shown], clip_on=False, **style)
        at_edge = [_x_position(axis, key, trial, jitter) for trial in outside if key in trial.params]
        mark_outside(axes, at_edge, worst, study.sign < 0)
        if key in best.params:
            axes.scatter(
                _x_position(axis, key, best, jitter),
                best.score,
                s=60,
                color=BEST_COLOR,
                marker="*",
                linewidths=0,
                zorder=4,
            )
        margin = 0.5 / len(axis.ticks) if jitter else 0.04
        axes.set(xlim=(-margin, 1 + margin), ylim=(low, high), xlabel=names[key])
        rotation: dict[str, Any] = (
            {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if _labels_overlap(axis) else {}
        )
        axes.set_xticks(
            [position for position, _ in axis.ticks], [label for _, label in axis.ticks], fontsize="small", **rotation
        )
    for axes in grid.flat[len(keys) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel(study.metric)
    set_title(
        fig,
        f"{study.name}: {study.metric} per parameter (star: best; gray: pruned, at the edge within the first fold"
        + ("; triangles: outside the axis)" if outside else ")"),
    )
    return fig


def _x_position(axis: ParamAxis, key: str, trial: TrialResult, jitter: bool) -> float:
    """Return the position of a trial on the axis of a key, with jitter if trials may share a choice."""
    offset = (trial.number * 0.618 % 1 - 0.5) * 0.35 / len(axis.ticks) if jitter else 0.0
    return axis.position(trial.params[key]) + offset


def _labels_overlap(axis: ParamAxis) -> bool:
    """Return whether horizontal tick labels would overlap."""
    return sum(len(label) + 1 for _, label in axis.ticks) > MAX_TICK_CHARS
