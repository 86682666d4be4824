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

from ...config.search import Categorical, Float, Int
from ...plotting import figure, title
from ...tracking.study_results import StudyFacts, TrialFacts
from ..formatting import short, written
from .facts import ranges

LONGEST = 14
"""Characters of a choice that are shown."""
FEW = 4
"""Ticks of an axis of numbers, about."""


class Axis(NamedTuple):
    """An axis of one key.

    ticks: places from 0 to 1 and their labels.
    """

    found: Float | Int | Categorical
    ticks: list[tuple[float, str]]

    def place(self, value: Any) -> float:
        """Return where a value stands, from 0 to 1."""
        return _place(self.found, value)


def axis_of(found: Float | Int | Categorical) -> Axis:
    """Return the axis of a range."""
    if isinstance(found, Categorical):
        return Axis(found, [(_place(found, choice), _cut(written(choice))) for choice in found.choices])
    return Axis(found, [(_place(found, value), f"{value:g}") for value in _param_ticks(found)])


def _place(found: Float | Int | Categorical, value: Any) -> float:
    if isinstance(found, Categorical):
        same = [i for i, choice in enumerate(found.choices) if type(choice) is type(value) and choice == value]
        return 0.5 if len(found.choices) == 1 else same[0] / (len(found.choices) - 1)
    if found.high == found.low:
        return 0.5
    if found.log:
        return math.log(value / found.low) / math.log(found.high / found.low)
    return float((value - found.low) / (found.high - found.low))


def _param_ticks(found: Float | Int) -> list[float]:
    """Return the numbers at which an axis has ticks: powers of ten, and ends where few of those lie within."""
    if not found.log:
        steps = MaxNLocator(FEW, integer=isinstance(found, Int)).tick_values(found.low, found.high)
        return [value for value in map(float, steps) if found.low <= value <= found.high]
    low, high = math.log10(found.low), math.log10(found.high)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        every = [factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in factors]
        within = [value for value in every if found.low * (1 - 1e-9) <= value <= found.high * (1 + 1e-9)]
        if len(within) >= FEW - 1:
            break
    if len(within) < 2:
        within = np.geomspace(found.low, found.high, FEW - 1).tolist()
        return [float(f"{value:.2g}") for value in within]
    return within[:: -(-len(within) // (FEW + 1))]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def window(study: StudyFacts, trials: Sequence[TrialFacts]) -> tuple[float, float]:
    """Return the scores between which a picture shows: all good ones; of those far off, only that they are."""
    values = np.array([trial.score for trial in trials if trial.score is not None] or [0.0, 1.0])
    goods = study.sign * values
    top, middle, low = goods.max(), np.median(goods), goods.min()
    low = max(low, top - 5 * max(top - middle, 1e-12))
    room = 0.06 * ((top - low) or abs(top) or 1.0)
    ends = sorted((study.sign * (low - room), study.sign * (top + room)))
    return ends[0], ends[1]


def beyond(trials: Sequence[TrialFacts], low: float, high: float) -> list[TrialFacts]:
    """Return the trials whose scores lie beyond the ends of an axis."""
    return [trial for trial in trials if trial.score is not None and not low <= trial.score <= high]


def mark_beyond(axes: Axes, x: Sequence[float], y: float, up: bool, **more: Any) -> None:
    """Draw triangles at the edge of an axis that point to where trials lie beyond it."""
    marker = "^" if up else "v"
    axes.scatter(
        x, [y] * len(x), s=34, marker=marker, facecolors="white", edgecolors="0.15", clip_on=False, zorder=5, **more
    )


BEST, PRUNED = "C3", "0.65"
COLUMNS = 4
"""Small pictures side by side."""
NONE = -0.12
"""Height of a key that a trial does not have, on axes from 0 to 1."""
WIDE = 32
"""Letters of ticks that fit below a small picture."""


def parallel(study: StudyFacts, keys: Sequence[str]) -> Figure:
    """Each trial a line across its values; the colour is the score, the best trial on top."""
    searched, names = ranges(study), short(ranges(study))
    done = study.ranked()[::-1]
    low, high = window(study, done)

    def height(score: float) -> float:  # the best on top
        share = min(max((score - low) / (high - low), 0.0), 1.0)
        return share if study.sign > 0 else 1 - share

    fig, axes = figure(max(6.0, 1.15 * (len(keys) + 1) + 1.0), 4.2)
    places = {key: axis_of(searched[key]) for key in keys}
    for trial in study.of("pruned"):
        _line(axes, trial, places, None, color="0.88", linewidth=0.6, zorder=1)
    for trial in done:
        at = height(trial.score or 0.0)
        colour = BEST if trial is done[-1] else mpl.colormaps["viridis"](at)
        _line(
            axes,
            trial,
            places,
            at,
            color=colour,
            linewidth=2.2 if trial is done[-1] else 1.0,
            alpha=0.3 + 0.6 * at,
            zorder=2 + at,
        )
    every = study.of("complete", "pruned")
    lacking = [key for key in keys if any(key not in trial.values for trial in every)]
    for place, (key, axis) in enumerate(places.items()):
        _upright(axes, place, [*axis.ticks, *([(NONE, "not tried")] if key in lacking else [])])
    _upright(axes, len(keys), [(height(value), f"{value:.4g}") for value in _score_ticks(low, high)])
    axes.set_xticks(range(len(keys) + 1), [*(names[key] for key in keys), study.metric], fontweight="bold")
    axes.xaxis.set_ticks_position("top")
    axes.tick_params(length=0)
    axes.set(yticks=[], xlim=(-0.2, len(keys) + 0.45), ylim=((NONE if lacking else 0) - 0.04, 1.04))
    axes.spines[:].set_visible(False)
    pruned = f", {len(study.of('pruned'))} pruned ones in grey" if study.of("pruned") else ""
    far = beyond(done, low, high)
    if far:
        mark_beyond(axes, [len(keys)], 0.0, up=False)
        pruned += f", {len(far)} beyond the axis at the triangle"
    title(fig, f"{study.name}: {len(done)} complete trials, the best in red{pruned}")
    return fig


def _line(axes: Axes, trial: TrialFacts, places: dict[str, Axis], end: float | None, **style: Any) -> None:
    """Draw a trial through its values; where it has none, below the others."""
    heights = [axis.place(trial.values[key]) if key in trial.values else NONE for key, axis in places.items()]
    heights += [] if end is None else [end]
    axes.plot(range(len(heights)), heights, solid_joinstyle="round", **style)


def _upright(axes: Axes, place: int, ticks: Sequence[tuple[float, str]]) -> None:
    """Draw one of the upright axes with its ticks."""
    axes.plot([place, place], [0, 1], color="0.3", linewidth=0.8, zorder=4)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    for height, label in ticks:
        axes.plot([place, place + 0.03], [height, height], color="0.3", linewidth=0.8, zorder=4)
        axes.text(place + 0.05, height, label, va="center", ha="left", fontsize="x-small", bbox=box, zorder=5)


def _score_ticks(low: float, high: float) -> list[float]:
    return [value for value in map(float, MaxNLocator(5).tick_values(low, high)) if low <= value <= high]


def slices(study: StudyFacts, keys: Sequence[str]) -> Figure:
    """Score against each key by itself."""
    searched, names = ranges(study), short(ranges(study))
    columns = min(COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    fig, first = figure(max(4.0, 2.5 * columns), 2.3 * rows + 0.4)
    first.remove()
    grid = fig.subplots(rows, columns, squeeze=False, sharey=True)
    low, high = window(study, study.of("complete"))
    far, floor = beyond(study.of("complete", "pruned"), low, high), low if study.sign > 0 else high
    best, *others = study.ranked()
    for axes, key in zip(grid.flat, keys, strict=False):
        axis = axis_of(searched[key])
        spread = isinstance(searched[key], Categorical)
        for trials, style in (
            ([trial for trial in study.of("pruned") if not trial.folds], {"color": PRUNED, "marker": "|", "s": 22}),
            ([trial for trial in study.of("pruned") if trial.folds], {"color": PRUNED, "marker": "D", "s": 10}),
            (others, {"color": "C0", "marker": "o", "s": 14, "alpha": 0.75, "linewidths": 0}),
        ):
            shown = [trial for trial in trials if key in trial.values and trial not in far]
            x = [_across(axis, key, trial, spread) for trial in shown]
            axes.scatter(x, [floor if trial.score is None else trial.score for trial in shown], clip_on=False, **style)
        at_edge = [_across(axis, key, trial, spread) for trial in far if key in trial.values]
        mark_beyond(axes, at_edge, floor, study.sign < 0)
        if key in best.values:
            axes.scatter(
                _across(axis, key, best, spread), best.score, s=60, color=BEST, marker="*", linewidths=0, zorder=4
            )
        room = 0.5 / len(axis.ticks) if spread else 0.04
        axes.set(xlim=(-room, 1 + room), ylim=(low, high), xlabel=names[key])
        slanted: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if _wide(axis) else {}
        axes.set_xticks(
            [place for place, _ in axis.ticks], [label for _, label in axis.ticks], fontsize="small", **slanted
        )
    for axes in grid.flat[len(keys) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel(study.metric)
    title(
        fig,
        f"{study.name}: {study.metric} by key; pruned in grey, within a first fold at the edge; the best a star"
        + ("; triangles: beyond the axis" if far else ""),
    )
    return fig


def _across(axis: Axis, key: str, trial: TrialFacts, spread: bool) -> float:
    """Return where a trial stands along the axis of a key; spread: beside others of the same choice."""
    aside = (trial.number * 0.618 % 1 - 0.5) * 0.35 / len(axis.ticks) if spread else 0.0
    return axis.place(trial.values[key]) + aside


def _wide(axis: Axis) -> bool:
    """Return whether labels would run into each other."""
    return sum(len(label) + 1 for _, label in axis.ticks) > WIDE
