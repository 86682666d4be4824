"""Plots of a study: optimization history, parallel coordinates, slices, parameter importances, Pareto front."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from ...plotting import STYLE, make_figure, save_figure, set_title
from ...tracking.study_results import Importance, StudySummary, TrialResult
from ..formatting import objective_label
from .facts import search_ranges
from .param_plots import (
    BEST_COLOR,
    PRUNED_COLOR,
    mark_outside,
    plot_parallel_coordinate,
    plot_slice,
    score_limits,
    trials_outside,
)

FAILED_COLOR, BASELINE_COLOR = "C1", "0.35"
LOG_SCALE_RATIO = 20
"""Ratio of the largest to the smallest value above which an axis is logarithmic."""
MAX_KEYS = 10
"""Most keys of a plot, the most important ones."""


@mpl.rc_context(STYLE)  # legends read the style when they are created
def save_plots(study: StudySummary, importance: Importance, folder: Path) -> list[Path]:
    """Write all plots that a study allows into `folder`, which is created if needed; return the files."""
    figures: dict[str, Figure] = {}
    keys = _select_keys(study, importance)
    if len(study.objectives) > 1:
        figures["pareto"] = plot_pareto_front(study)
    else:
        figures["history"] = plot_optimization_history(study)
    if study.trials_in_state("complete"):
        figures["parallel"] = plot_parallel_coordinate(study, keys)
        figures["slice"] = plot_slice(study, keys)
    if importance.importances:
        figures["importance"] = plot_param_importances(study, importance)
    folder.mkdir(parents=True, exist_ok=True)
    for name, fig in figures.items():
        save_figure(fig, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in figures]


def _select_keys(study: StudySummary, importance: Importance) -> list[str]:
    """Return the keys to draw, in the order of the search space."""
    all_keys = list(search_ranges(study))
    important = list(importance.importances)[:MAX_KEYS] or all_keys[:MAX_KEYS]
    return [key for key in all_keys if key in important]


def plot_optimization_history(study: StudySummary) -> Figure:
    """Draw the score of each trial and the best score so far."""
    fig, axes = make_figure(7.0, 3.8)
    complete = study.trials_in_state("complete")
    pruned = [trial for trial in study.trials_in_state("pruned") if trial.fold_scores]
    low, high = score_limits(study, [*complete, *pruned])
    outside = trials_outside([*complete, *pruned], low, high)
    if complete:
        points = _numbers_and_scores(complete, outside)
        axes.scatter(*points, s=18, color="C0", linewidths=0, zorder=3, label="complete")
        values = [study.sign * (trial.score or 0.0) for trial in complete]
        best = study.sign * np.maximum.accumulate(values)
        numbers = [trial.number for trial in complete]
        axes.step(
            [*numbers, study.trials[-1].number], [*best, best[-1]], where="post", color=BEST_COLOR, label="best so far"
        )
    if pruned:
        points = _numbers_and_scores(pruned, outside)
        axes.scatter(
            *points, s=14, color=PRUNED_COLOR, marker="D", linewidths=0, label="pruned (mean of finished folds)"
        )
    axes.set_ylim(low, high)
    worst = low if study.sign > 0 else high
    if outside:
        numbers = [trial.number for trial in outside]
        mark_outside(axes, numbers, worst, study.sign < 0, label=f"outside the axis: {len(outside)}")
    for trials, label, color in (
        (
            [trial for trial in study.trials_in_state("pruned") if not trial.fold_scores],
            "pruned in the first fold",
            PRUNED_COLOR,
        ),
        (study.trials_in_state("failed"), "failed", FAILED_COLOR),
    ):
        if trials:
            numbers, marker = [trial.number for trial in trials], "x" if label == "failed" else "|"
            axes.scatter(
                numbers, [worst] * len(trials), s=26, color=color, marker=marker, label=label, clip_on=False, zorder=4
            )
    base = study.get_trial(study.baseline_trial_number)
    if base is not None and base.score is not None:
        axes.axhline(base.score, color=BASELINE_COLOR, linewidth=0.8, linestyle=":", label="baseline (params.yaml)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=f"{study.metric} ({study.direction} is better)")
    set_title(fig, f"{study.name}: {len(study.trials)} trials")
    fig.legend(ncols=3, fontsize="small", loc="outside lower center")
    return fig


def _numbers_and_scores(
    trials: Sequence[TrialResult], excluded: Sequence[TrialResult]
) -> tuple[list[int], list[float]]:
    """Return numbers and scores of the trials that are not excluded."""
    shown = [trial for trial in trials if trial not in excluded]
    return [trial.number for trial in shown], [trial.score or 0.0 for trial in shown]


def plot_param_importances(study: StudySummary, importance: Importance) -> Figure:
    """Draw the importance of each key."""
    shares = list(importance.importances.items())[:20][::-1]
    fig, axes = make_figure(6.0, 1.1 + 0.28 * len(shares))
    bars = axes.barh([key for key, _ in shares], [share for _, share in shares], color="C0", height=0.7)
    axes.bar_label(
        bars, [f"{share:.0%}" if share >= 0.005 else "<1%" for _, share in shares], padding=3, fontsize="small"
    )
    axes.tick_params(left=False)
    axes.set(xticks=[], xlim=(0, 1.12 * max(share for _, share in shares)))
    axes.spines[["bottom", "left"]].set_visible(False)
    set_title(fig, f"{study.name}: parameter importance ({importance.method}, {importance.n_trials} trials)")
    return fig


def plot_pareto_front(study: StudySummary) -> Figure:
    """Draw the complete trials, each objective against the first one, with the Pareto front."""
    labels = [objective_label(objective, study.metric) for objective in study.objectives]
    fig, first = make_figure(5.4 * (len(labels) - 1), 4.2)
    first.remove()
    grid = fig.subplots(1, len(labels) - 1, squeeze=False)
    complete = study.trials_in_state("complete")
    for other, axes in enumerate(grid.flat, start=1):
        values = sorted(trial.objective_values[other] for trial in complete)
        for on_front, style in (
            (False, {"color": "0.7", "s": 16}),
            (True, {"color": BEST_COLOR, "s": 26, "zorder": 3}),
        ):
            shown = [trial for trial in complete if (trial.number in study.pareto_front) is on_front]
            axes.scatter(
                [each.objective_values[other] for each in shown],
                [each.objective_values[0] for each in shown],
                linewidths=0,
                **style,
            )
        points = sorted(
            (t.objective_values[other], t.objective_values[0], t.number)
            for t in complete
            if t.number in study.pareto_front
        )
        if len(labels) == 2:
            axes.step(
                [x for x, _, _ in points], [y for _, y, _ in points], where="post", color=BEST_COLOR, linewidth=0.9
            )
        for x, y, number in points:
            axes.annotate(str(number), (x, y), xytext=(4, -9), textcoords="offset points", fontsize="x-small")
        if values and values[0] > 0 and values[-1] > LOG_SCALE_RATIO * values[0]:
            axes.set_xscale("log")
        for objective, scale in ((study.objectives[other], axes.xaxis), (study.objectives[0], axes.yaxis)):
            if objective == "parameters":
                scale.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
                scale.set_minor_formatter(NullFormatter())
        axes.set(xlabel=labels[other], ylabel=labels[0])
    set_title(fig, f"{study.name}: Pareto front, {len(study.pareto_front)} trials (labels: trial numbers)")
    return fig
