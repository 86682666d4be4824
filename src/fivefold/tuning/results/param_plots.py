"""Pictures of the values that a study tried: each trial a line across all keys, and each key by itself.

Axes of the pictures of a study: where a value stands from 0 to 1, what is written there, which scores show.
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
"""Characters of a choice that are shown."""
N_TICKS = 4
"""Ticks of an axis of numbers, about."""


class ParamAxis(NamedTuple):
    """An axis of one key.

    ticks: places from 0 to 1 and their labels.
    """

    param_range: FloatRange | IntRange | CategoricalRange
    ticks: list[tuple[float, str]]

    def position(self, value: Any) -> float:
        """Return where a value stands, from 0 to 1."""
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


def _param_ticks(found: FloatRange | IntRange) -> list[float]:
    """Return the numbers at which an axis has ticks: powers of ten, and ends where few of those lie within."""
    if not found.log:
        steps = MaxNLocator(N_TICKS, integer=isinstance(found, IntRange)).tick_values(found.low, found.high)
        return [value for value in map(float, steps) if found.low <= value <= found.high]
    low, high = math.log10(found.low), math.log10(found.high)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        every = [factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in factors]
        within = [value for value in every if found.low * (1 - 1e-9) <= value <= found.high * (1 + 1e-9)]
        if len(within) >= N_TICKS - 1:
            break
    if len(within) < 2:
        within = np.geomspace(found.low, found.high, N_TICKS - 1).tolist()
        return [float(f"{value:.2g}") for value in within]
    return within[:: -(-len(within) // (N_TICKS + 1))]


def _truncate(text: str) -> str:
    return text if len(text) <= MAX_LABEL_LENGTH else f"{text[: MAX_LABEL_LENGTH - 1]}…"


def score_limits(study: StudySummary, trials: Sequence[TrialResult]) -> tuple[float, float]:
    """Return the scores between which a picture shows: all good ones; of those far off, only that they are."""
    values = np.array([trial.score for trial in trials if trial.score is not None] or [0.0, 1.0])
    goods = study.sign * values
    top, middle, low = goods.max(), np.median(goods), goods.min()
    low = max(low, top - 5 * max(top - middle, 1e-12))
    room = 0.06 * ((top - low) or abs(top) or 1.0)
    ends = sorted((study.sign * (low - room), study.sign * (top + room)))
    return ends[0], ends[1]


def trials_outside(trials: Sequence[TrialResult], low: float, high: float) -> list[TrialResult]:
    """Return the trials whose scores lie beyond the ends of an axis."""
    return [trial for trial in trials if trial.score is not None and not low <= trial.score <= high]


def mark_outside(axes: Axes, x: Sequence[float], y: float, points_up: bool, **scatter_kwargs: Any) -> None:
    """Draw triangles at the edge of an axis that point to where trials lie beyond it."""
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
"""Small pictures side by side."""
NOT_TRIED_HEIGHT = -0.12
"""Height of a key that a trial does not have, on axes from 0 to 1."""
MAX_TICK_CHARS = 32
"""Letters of ticks that fit below a small picture."""


def plot_parallel_coordinate(study: StudySummary, keys: Sequence[str]) -> Figure:
    """Each trial a line across its values; the colour is the score, the best trial on top."""
    searched, names = search_ranges(study), shorten_keys(search_ranges(study))
    done = study.ranked_trials()[::-1]
    low, high = score_limits(study, done)

    def height(score: float) -> float:  # the best on top
        share = min(max((score - low) / (high - low), 0.0), 1.0)
        return share if study.sign > 0 else 1 - share

    fig, axes = make_figure(max(6.0, 1.15 * (len(keys) + 1) + 1.0), 4.2)
    places = {key: build_axis(searched[key]) for key in keys}
    for trial in study.trials_in_state("pruned"):
        _draw_trial_line(axes, trial, places, None, color="0.88", linewidth=0.6, zorder=1)
    for trial in done:
        at = height(trial.score or 0.0)
        colour = BEST_COLOR if trial is done[-1] else mpl.colormaps["viridis"](at)
        _draw_trial_line(
            axes,
            trial,
            places,
            at,
            color=colour,
            linewidth=2.2 if trial is done[-1] else 1.0,
            alpha=0.3 + 0.6 * at,
            zorder=2 + at,
        )
    every = study.trials_in_state("complete", "pruned")
    lacking = [key for key in keys if any(key not in trial.params for trial in every)]
    for place, (key, axis) in enumerate(places.items()):
        _draw_vertical_axis(axes, place, [*axis.ticks, *([(NOT_TRIED_HEIGHT, "not tried")] if key in lacking else [])])
    _draw_vertical_axis(axes, len(keys), [(height(value), f"{value:.4g}") for value in _score_ticks(low, high)])
    axes.set_xticks(range(len(keys) + 1), [*(names[key] for key in keys), study.metric], fontweight="bold")
    axes.xaxis.set_ticks_position("top")
    axes.tick_params(length=0)
    axes.set(yticks=[], xlim=(-0.2, len(keys) + 0.45), ylim=((NOT_TRIED_HEIGHT if lacking else 0) - 0.04, 1.04))
    axes.spines[:].set_visible(False)
    pruned = f", {len(study.trials_in_state('pruned'))} pruned ones in grey" if study.trials_in_state("pruned") else ""
    far = trials_outside(done, low, high)
    if far:
        mark_outside(axes, [len(keys)], 0.0, points_up=False)
        pruned += f", {len(far)} beyond the axis at the triangle"
    set_title(fig, f"{study.name}: {len(done)} complete trials, the best in red{pruned}")
    return fig


def _draw_trial_line(
    axes: Axes, trial: TrialResult, param_axes: dict[str, ParamAxis], score_height: float | None, **style: Any
) -> None:
    """Draw a trial through its values; where it has none, below the others."""
    heights = [
        axis.position(trial.params[key]) if key in trial.params else NOT_TRIED_HEIGHT
        for key, axis in param_axes.items()
    ]
    heights += [] if score_height is None else [score_height]
    axes.plot(range(len(heights)), heights, solid_joinstyle="round", **style)


def _draw_vertical_axis(axes: Axes, x: int, ticks: Sequence[tuple[float, str]]) -> None:
    """Draw one of the upright axes with its ticks."""
    axes.plot([x, x], [0, 1], color="0.3", linewidth=0.8, zorder=4)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    for height, label in ticks:
        axes.plot([x, x + 0.03], [height, height], color="0.3", linewidth=0.8, zorder=4)
        axes.text(x + 0.05, height, label, va="center", ha="left", fontsize="x-small", bbox=box, zorder=5)


def _score_ticks(low: float, high: float) -> list[float]:
    return [value for value in map(float, MaxNLocator(5).tick_values(low, high)) if low <= value <= high]


def plot_slice(study: StudySummary, keys: Sequence[str]) -> Figure:
    """Score against each key by itself."""
    searched, names = search_ranges(study), shorten_keys(search_ranges(study))
    columns = min(MAX_COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    fig, first = make_figure(max(4.0, 2.5 * columns), 2.3 * rows + 0.4)
    first.remove()
    grid = fig.subplots(rows, columns, squeeze=False, sharey=True)
    low, high = score_limits(study, study.trials_in_state("complete"))
    far, floor = trials_outside(study.trials_in_state("complete", "pruned"), low, high), low if study.sign > 0 else high
    best, *others = study.ranked_trials()
    for axes, key in zip(grid.flat, keys, strict=False):
        axis = build_axis(searched[key])
        spread = isinstance(searched[key], CategoricalRange)
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
            shown = [trial for trial in trials if key in trial.params and trial not in far]
            x = [_x_position(axis, key, trial, spread) for trial in shown]
            axes.scatter(x, [floor if trial.score is None else trial.score for trial in shown], clip_on=False, **style)
        at_edge = [_x_position(axis, key, trial, spread) for trial in far if key in trial.params]
        mark_outside(axes, at_edge, floor, study.sign < 0)
        if key in best.params:
            axes.scatter(
                _x_position(axis, key, best, spread),
                best.score,
                s=60,
                color=BEST_COLOR,
                marker="*",
                linewidths=0,
                zorder=4,
            )
        room = 0.5 / len(axis.ticks) if spread else 0.04
        axes.set(xlim=(-room, 1 + room), ylim=(low, high), xlabel=names[key])
        slanted: dict[str, Any] = (
            {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if _labels_overlap(axis) else {}
        )
        axes.set_xticks(
            [place for place, _ in axis.ticks], [label for _, label in axis.ticks], fontsize="small", **slanted
        )
    for axes in grid.flat[len(keys) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel(study.metric)
    set_title(
        fig,
        f"{study.name}: {study.metric} by key; pruned in grey, within a first fold at the edge; the best a star"
        + ("; triangles: beyond the axis" if far else ""),
    )
    return fig


def _x_position(axis: ParamAxis, key: str, trial: TrialResult, jitter: bool) -> float:
    """Return where a trial stands along the axis of a key; spread: beside others of the same choice."""
    aside = (trial.number * 0.618 % 1 - 0.5) * 0.35 / len(axis.ticks) if jitter else 0.0
    return axis.position(trial.params[key]) + aside


def _labels_overlap(axis: ParamAxis) -> bool:
    """Return whether labels would run into each other."""
    return sum(len(label) + 1 for _, label in axis.ticks) > MAX_TICK_CHARS
