"""Pictures of a study: its course, its trials across all keys, each key by itself, what matters, the Pareto front."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from ...plotting import STYLE, figure, save, title
from ...tracking.study_results import Importance, StudyFacts, TrialFacts
from ..formatting import named
from .facts import ranges
from .param_plots import BEST, PRUNED, beyond, mark_beyond, parallel, slices, window

FAILED, BASE = "C1", "0.35"
FAR = 20
"""Times that the largest value is the smallest, from where a scale is logarithmic."""
KEYS = 10
"""On one picture at most, the weightiest."""


@mpl.rc_context(STYLE)  # a legend asks for it when it is made
def draw(study: StudyFacts, importance: Importance, folder: Path) -> list[Path]:
    """Write what can be drawn of a study into `folder`, which is made if need be; return the files."""
    drawn: dict[str, Figure] = {}
    keys = _keys(study, importance)
    if len(study.objectives) > 1:
        drawn["pareto"] = front(study)
    else:
        drawn["history"] = history(study)
    if study.of("complete"):
        drawn["parallel"] = parallel(study, keys)
        drawn["slice"] = slices(study, keys)
    if importance.shares:
        drawn["importance"] = bars(study, importance)
    folder.mkdir(parents=True, exist_ok=True)
    for name, fig in drawn.items():
        save(fig, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]


def _keys(study: StudyFacts, importance: Importance) -> list[str]:
    """Return the keys that are drawn, in the order of the search."""
    every = list(ranges(study))
    weighty = list(importance.shares)[:KEYS] or every[:KEYS]
    return [key for key in every if key in weighty]


def history(study: StudyFacts) -> Figure:
    """Score of each trial, and the best one so far."""
    fig, axes = figure(7.0, 3.8)
    done, pruned = study.of("complete"), [trial for trial in study.of("pruned") if trial.folds]
    low, high = window(study, [*done, *pruned])
    far = beyond([*done, *pruned], low, high)
    if done:
        axes.scatter(*_points(done, far), s=18, color="C0", linewidths=0, zorder=3, label="complete")
        values = [study.sign * (trial.score or 0.0) for trial in done]
        best = study.sign * np.maximum.accumulate(values)
        numbers = [trial.number for trial in done]
        axes.step([*numbers, study.trials[-1].number], [*best, best[-1]], where="post", color=BEST, label="best so far")
    if pruned:
        points = _points(pruned, far)
        axes.scatter(*points, s=14, color=PRUNED, marker="D", linewidths=0, label="pruned, mean of its folds so far")
    axes.set_ylim(low, high)
    floor = low if study.sign > 0 else high
    if far:
        numbers = [trial.number for trial in far]
        mark_beyond(axes, numbers, floor, study.sign < 0, label=f"beyond the axis: {len(far)}")
    for kind, label, colour in (
        ([trial for trial in study.of("pruned") if not trial.folds], "pruned in its first fold", PRUNED),
        (study.of("failed"), "failed", FAILED),
    ):
        if kind:
            numbers, marker = [trial.number for trial in kind], "x" if label == "failed" else "|"
            axes.scatter(
                numbers, [floor] * len(kind), s=26, color=colour, marker=marker, label=label, clip_on=False, zorder=4
            )
    base = study.trial(study.baseline)
    if base is not None and base.score is not None:
        axes.axhline(base.score, color=BASE, linewidth=0.8, linestyle=":", label="params.yaml as it was")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=f"{study.metric}, {study.better} is better")
    title(fig, f"{study.name}: {len(study.trials)} trials")
    fig.legend(ncols=3, fontsize="small", loc="outside lower center")
    return fig


def _points(trials: Sequence[TrialFacts], far: Sequence[TrialFacts]) -> tuple[list[int], list[float]]:
    """Return numbers and scores of trials that are not far off."""
    near = [trial for trial in trials if trial not in far]
    return [trial.number for trial in near], [trial.score or 0.0 for trial in near]


def bars(study: StudyFacts, importance: Importance) -> Figure:
    """Share of the differences in rank that each key explains."""
    shares = list(importance.shares.items())[:20][::-1]
    fig, axes = figure(6.0, 1.1 + 0.28 * len(shares))
    drawn = axes.barh([key for key, _ in shares], [share for _, share in shares], color="C0", height=0.7)
    axes.bar_label(
        drawn, [f"{share:.0%}" if share >= 0.005 else "<1%" for _, share in shares], padding=3, fontsize="small"
    )
    axes.tick_params(left=False)
    axes.set(xticks=[], xlim=(0, 1.12 * max(share for _, share in shares)))
    axes.spines[["bottom", "left"]].set_visible(False)
    title(fig, f"{study.name}: what the rank of a trial depends on ({importance.trials} trials)")
    return fig


def front(study: StudyFacts) -> Figure:
    """Complete trials by each objective beside the first; those that none beats in all are joined."""
    labels = [named(objective, study.metric) for objective in study.objectives]
    fig, first = figure(5.4 * (len(labels) - 1), 4.2)
    first.remove()
    grid = fig.subplots(1, len(labels) - 1, squeeze=False)
    done = study.of("complete")
    for other, axes in enumerate(grid.flat, start=1):
        spread = sorted(trial.objectives[other] for trial in done)
        for kind, style in ((False, {"color": "0.7", "s": 16}), (True, {"color": BEST, "s": 26, "zorder": 3})):
            shown = [trial for trial in done if (trial.number in study.front) is kind]
            axes.scatter(
                [each.objectives[other] for each in shown],
                [each.objectives[0] for each in shown],
                linewidths=0,
                **style,
            )
        points = sorted((t.objectives[other], t.objectives[0], t.number) for t in done if t.number in study.front)
        if len(labels) == 2:
            axes.step([x for x, _, _ in points], [y for _, y, _ in points], where="post", color=BEST, linewidth=0.9)
        for x, y, number in points:
            axes.annotate(str(number), (x, y), xytext=(4, -9), textcoords="offset points", fontsize="x-small")
        if spread and spread[0] > 0 and spread[-1] > FAR * spread[0]:
            axes.set_xscale("log")
        for objective, scale in ((study.objectives[other], axes.xaxis), (study.objectives[0], axes.yaxis)):
            if objective == "parameters":
                scale.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
                scale.set_minor_formatter(NullFormatter())
        axes.set(xlabel=labels[other], ylabel=labels[0])
    title(fig, f"{study.name}: {len(study.front)} trials that none beats in all, by number")
    return fig
