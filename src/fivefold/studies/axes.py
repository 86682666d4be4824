"""Axes of the pictures of a study: where a value stands from 0 to 1, what is written there, which scores show."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..config.search import Categorical, Float, Int
from ..tracking.study_results import StudyFacts, TrialFacts
from .human import written

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
    return Axis(found, [(_place(found, value), f"{value:g}") for value in _round_numbers(found)])


def _place(found: Float | Int | Categorical, value: Any) -> float:
    if isinstance(found, Categorical):
        same = [i for i, choice in enumerate(found.choices) if type(choice) is type(value) and choice == value]
        return 0.5 if len(found.choices) == 1 else same[0] / (len(found.choices) - 1)
    if found.high == found.low:
        return 0.5
    if found.log:
        return math.log(value / found.low) / math.log(found.high / found.low)
    return float((value - found.low) / (found.high - found.low))


def _round_numbers(found: Float | Int) -> list[float]:
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
