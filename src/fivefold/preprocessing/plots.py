"""Pictures of a feature selection: what was kept and why, and a map of the rows in what was kept."""

import math
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn.decomposition import PCA

from ..data.dataset import Array
from ..data.schema import Schema
from ..plotting import STYLE, make_figure, save_figure, set_title
from .feature_scores import sample_rows
from .selection import FittedSelection, feature_names, primary_target

MAX_BARS = 20
"""Features shown at most, best first."""

LOG_SCALE_RATIO = 1_000
"""Times that the longest bar may be the shortest before the scale is logarithmic: short ones would not be seen."""

MAX_LABEL_LENGTH = 32
"""Letters of a name that are shown."""

MAX_POINTS = 2_000
"""Rows on a map, at most."""

MAX_COLORS = 20
"""Classes on a map with a colour of their own; those of most rows, if there are more."""


@mpl.rc_context(STYLE)
def plot_selection(selected: FittedSelection, schema: Schema, name: str, path: Path) -> None:
    """Draw the score of each feature, kept ones in colour, or the share of variance of each component."""
    table = selected.table
    hidden = 0
    if _is_projection(selected):
        fig = _plot_variance(selected)
    elif schema.kind == "images" and len(table) == math.prod(schema.shape):
        fig = _plot_pixels(selected, schema)
    else:
        fig = _plot_bars(selected)
        hidden = max(0, len(table) - MAX_BARS)
    set_title(fig, f"{name}: {selected.summary}" + (f", {hidden} more not shown" if hidden else ""))
    save_figure(fig, path)


@mpl.rc_context(STYLE)
def plot_projection(
    selected: FittedSelection, x: Array, y: Array, schema: Schema, name: str, seed: int, path: Path
) -> None:
    """Draw training rows x (n, ...), as normalized, in the plane of most variance of what is selected of them.

    Their targets y (n,) or (n, k) are the colour, of several the first; of none, (n, 0), all have one. Text has no such
    plane and gets no picture.
    """
    if schema.kind == "text":
        return
    y = primary_target(y)
    random = np.random.default_rng(seed)
    rows = random.permutation(
        sample_rows(y, min(1.0, MAX_POINTS / len(y)), bool(schema.classes), random)
    )  # no class lies on top
    place, labels = _project_2d(selected, x[rows], random)
    fig, axes = make_figure(6.4, 4.6)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    if schema.classes:
        _scatter_classes(axes, place, y[rows], schema.classes)
    elif not schema.values:
        axes.scatter(place[0], place[1], s=_point_size(rows), alpha=0.8, linewidths=0)
    else:
        dots = axes.scatter(place[0], place[1], c=y[rows], s=_point_size(rows), alpha=0.8, linewidths=0, cmap="viridis")
        fig.colorbar(dots, label=_format_label(schema.values[0]), shrink=0.85)
    shown = f"{len(rows)} of {len(x)}" if len(rows) < len(x) else f"{len(x)}"
    set_title(fig, f"{name}: map of {shown} training rows")
    save_figure(fig, path)


def _plot_bars(selected: FittedSelection) -> Figure:
    """Bars of scores, best first; at the right how often a feature was kept, where that is known."""
    table = selected.table.head(MAX_BARS).iloc[::-1]
    scores, label = _replace_infinite(table.score.to_numpy(dtype=np.float64, na_value=0.0), selected.score_label)
    places = range(len(table))
    fig, axes = make_figure(6.4, max(2.5, 0.24 * len(table) + 1))
    bars = axes.barh(places, scores, color=["C0" if kept else "0.82" for kept in table.kept])
    axes.bar_label(bars, ["∞" if np.isinf(score) else "" for score in table.score], padding=3)
    axes.set_yticks(places, [_format_label(feature) for feature in table.feature])
    axes.set_xlabel(label)
    axes.margins(y=0.01)
    positive = scores[scores > 0]
    if len(positive) and positive.max() > LOG_SCALE_RATIO * positive.min():
        axes.set(xscale="log", xlim=(positive.min() / 2, positive.max() * 2))
    if table.stability.notna().any():
        right = axes.secondary_yaxis("right")
        right.set_yticks(places, [f"{share:.0%}" for share in table.stability])
        right.set_ylabel("resamples that keep it")
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
    return fig


def _plot_pixels(selected: FittedSelection, schema: Schema) -> Figure:
    """Scores, a pixel that is not kept or never changes blank; beside them how often a pixel was kept, if known."""
    table = selected.table.set_index("feature").loc[feature_names(schema, schema.shape)]
    scores, label = _replace_infinite(table.score.where(table.kept).to_numpy(), selected.score_label)
    maps = {label: scores}
    if table.stability.notna().any():
        maps["share of resamples that keep it"] = table.stability.to_numpy()
    channels, height, width = schema.shape
    across = channels * min(2.0, width / height)
    rows, columns = (1, len(maps)) if across <= 1 else (len(maps), 1)
    fig, first = make_figure(columns * (1.2 + 3.4 * across), rows * 3.8)
    first.remove()
    for axes, (label, values) in zip(fig.subplots(rows, columns, squeeze=False).flat, maps.items(), strict=True):
        pixels = values.reshape(schema.shape)
        image = axes.imshow(np.concatenate(pixels, axis=1), cmap="viridis")  # channels stand side by side
        for channel in range(1, channels):
            axes.axvline(channel * width - 0.5, color="0.8", linewidth=2)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set(visible=True, color="0.8")
        fig.colorbar(image, label=label, shrink=0.85)
    return fig


def _replace_infinite(scores: Array, label: str) -> tuple[Array, str]:
    """Return scores that can be drawn, infinite ones as the largest of the others, and a label that says so."""
    infinite = np.isinf(scores)
    largest = scores[np.isfinite(scores)].max(initial=0.0) or 1.0
    return np.where(infinite, largest, scores), f"{label}; infinite ones as the largest" if infinite.any() else label


def _plot_variance(selected: FittedSelection) -> Figure:
    """The share of variance of each component, and of it and all before it."""
    share = selected.table.score.to_numpy()
    number = np.arange(1, len(share) + 1)
    fig, axes = make_figure()
    bars = axes.bar(number, share, label="each", color="C0")
    line = axes.plot(number, share.cumsum(), label="together with those before", color="C1", marker="o", markersize=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set(xlabel="component", ylabel="share of variance", ylim=(0, 1.03), xlim=(0.4, len(share) + 0.6))
    fig.legend(handles=[bars, *line], loc="outside lower center", ncols=2)
    return fig


def _project_2d(selected: FittedSelection, x: Array, rng: np.random.Generator) -> tuple[list[Array], list[str]]:
    """Return where each row of x (n, ...) lies, right (n,) and up (n,), and what the two axes are."""
    for step in selected.steps:
        x = step(x)
    x = x.reshape(len(x), -1).astype(np.float64)
    if _is_projection(selected):
        shares = selected.table.score.to_numpy()
    else:
        with warnings.catch_warnings(action="ignore"):  # of features that are all constant
            pca = PCA(min(2, *x.shape), random_state=int(rng.integers(2**31)))
            x = pca.fit_transform(x)  # (n, f) -> (n, 2)
        shares = np.nan_to_num(pca.explained_variance_ratio_)
    places = [x[:, i] for i in range(min(2, x.shape[1]))]
    labels = [f"component {i + 1}, {share:.0%} of the variance" for i, share in enumerate(shares[:2])]
    if len(places) == 1:
        return [*places, rng.random(len(x))], [*labels, "at random, to tell rows apart"]
    return places, labels


def _is_projection(selected: FittedSelection) -> bool:
    return any(step.kind == "project" for step in selected.steps)


def _scatter_classes(axes: Axes, coordinates: list[Array], y: Array, classes: tuple[str, ...]) -> None:
    """Dots in the colour of their class; more than `COLOURS` classes leave the small ones grey."""
    counts = np.bincount(y, minlength=len(classes))
    named = np.sort(np.argsort(-counts, kind="stable")[:MAX_COLORS])
    palette = mpl.colormaps["tab10" if len(named) <= 10 else "tab20"].colors  # type: ignore[attr-defined]
    grey = (0.88, 0.88, 0.88)
    colours = np.full((len(classes), 3), grey)
    colours[named] = palette[: len(named)]
    axes.scatter(coordinates[0], coordinates[1], c=colours[y], s=_point_size(y), alpha=0.8, linewidths=0)
    entries = [(_format_label(classes[i]), colours[i]) for i in named]
    if len(named) < len(classes):
        entries.append((f"{len(classes) - len(named)} others", np.array(grey)))
    handles = [Line2D([], [], color=colour, marker="o", linestyle="", label=label) for label, colour in entries]
    axes.figure.legend(handles=handles, loc="outside right center", fontsize="small")


def _point_size(rows: Array) -> float:
    """Return the area of a dot, in points squared: the more dots, the smaller."""
    return float(np.clip(8000 / len(rows), 8, 30))


def _format_label(name: str) -> str:
    """Return a name as a picture shows it: cut, its dollars no mathematics, an underscore at its start no secret.

    A token of white space stands in quotes.
    """
    name = repr(name) if name.isspace() else name
    cut = name if len(name) <= MAX_LABEL_LENGTH else f"{name[: MAX_LABEL_LENGTH - 1]}…"
    return cut.replace("$", r"\$").replace("_", "\u200b_", 1) if cut.startswith("_") else cut.replace("$", r"\$")
