"""Plots of a feature selection: scores of the features and a 2-d projection of the rows."""

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
"""Maximum number of features shown, best first."""

LOG_SCALE_RATIO = 1_000
"""Ratio of the longest to the shortest bar above which the axis is logarithmic, so that short bars are visible."""

MAX_LABEL_LENGTH = 32
"""Characters of a name that are shown."""

MAX_POINTS = 2_000
"""Maximum number of rows in a projection."""

MAX_COLORS = 20
"""Maximum number of classes with their own color: the most frequent ones."""


@mpl.rc_context(STYLE)
def plot_selection(selected: FittedSelection, schema: Schema, name: str, path: Path) -> None:
    """Plot the score of each feature, selected ones in color, or the explained variance ratio of each component."""
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
    """Plot normalized training rows x (n, ...) on the first two principal components of their selected features.

    Colors show the targets y (n,) or (n, k), the primary one if there are several; without a target, (n, 0), all rows
    have the same color. Nothing is plotted for text.
    """
    if schema.kind == "text":
        return
    y = primary_target(y)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(
        sample_rows(y, min(1.0, MAX_POINTS / len(y)), bool(schema.classes), rng)
    )  # shuffled, so that no class hides the others
    points, labels = _project_2d(selected, x[rows], rng)
    fig, axes = make_figure(6.4, 4.6)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    if schema.classes:
        _scatter_classes(axes, points, y[rows], schema.classes)
    elif not schema.values:
        axes.scatter(points[0], points[1], s=_point_size(rows), alpha=0.8, linewidths=0)
    else:
        scatter = axes.scatter(
            points[0], points[1], c=y[rows], s=_point_size(rows), alpha=0.8, linewidths=0, cmap="viridis"
        )
        fig.colorbar(scatter, label=_format_label(schema.values[0]), shrink=0.85)
    shown = f"{len(rows)} of {len(x)}" if len(rows) < len(x) else f"{len(x)}"
    set_title(fig, f"{name}: 2-d projection of {shown} training rows")
    save_figure(fig, path)


def _plot_bars(selected: FittedSelection) -> Figure:
    """Plot scores as bars, best first, with the selection frequency on the right if it is known."""
    table = selected.table.head(MAX_BARS).iloc[::-1]
    scores, label = _replace_infinite(table.score.to_numpy(dtype=np.float64, na_value=0.0), selected.score_label)
    positions = range(len(table))
    fig, axes = make_figure(6.4, max(2.5, 0.24 * len(table) + 1))
    bars = axes.barh(positions, scores, color=["C0" if is_selected else "0.82" for is_selected in table.selected])
    axes.bar_label(bars, ["∞" if np.isinf(score) else "" for score in table.score], padding=3)
    axes.set_yticks(positions, [_format_label(feature) for feature in table.feature])
    axes.set_xlabel(label)
    axes.margins(y=0.01)
    positive = scores[scores > 0]
    if len(positive) and positive.max() > LOG_SCALE_RATIO * positive.min():
        axes.set(xscale="log", xlim=(positive.min() / 2, positive.max() * 2))
    if table.stability.notna().any():
        right = axes.secondary_yaxis("right")
        right.set_yticks(positions, [f"{frequency:.0%}" for frequency in table.stability])
        right.set_ylabel("selection frequency")
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
    return fig


def _plot_pixels(selected: FittedSelection, schema: Schema) -> Figure:
    """Plot scores as an image, blank for pixels that are not selected or constant, next to the selection frequency."""
    table = selected.table.set_index("feature").loc[feature_names(schema, schema.shape)]
    scores, label = _replace_infinite(table.score.where(table.selected).to_numpy(), selected.score_label)
    panels = {label: scores}
    if table.stability.notna().any():
        panels["selection frequency"] = table.stability.to_numpy()
    channels, height, width = schema.shape
    aspect = channels * min(2.0, width / height)
    rows, columns = (1, len(panels)) if aspect <= 1 else (len(panels), 1)
    fig, first = make_figure(columns * (1.2 + 3.4 * aspect), rows * 3.8)
    first.remove()
    for axes, (label, values) in zip(fig.subplots(rows, columns, squeeze=False).flat, panels.items(), strict=True):
        pixels = values.reshape(schema.shape)
        image = axes.imshow(np.concatenate(pixels, axis=1), cmap="viridis")  # channels side by side
        for channel in range(1, channels):
            axes.axvline(channel * width - 0.5, color="0.8", linewidth=2)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set(visible=True, color="0.8")
        fig.colorbar(image, label=label, shrink=0.85)
    return fig


def _replace_infinite(scores: Array, label: str) -> tuple[Array, str]:
    """Return scores with infinite values replaced by the largest finite one, and a label that states it."""
    infinite = np.isinf(scores)
    largest = scores[np.isfinite(scores)].max(initial=0.0) or 1.0
    if infinite.any():
        label = f"{label} (infinite values drawn at the maximum)"
    return np.where(infinite, largest, scores), label


def _plot_variance(selected: FittedSelection) -> Figure:
    """Plot the individual and cumulative explained variance ratio of the components."""
    ratio = selected.table.score.to_numpy()
    number = np.arange(1, len(ratio) + 1)
    fig, axes = make_figure()
    bars = axes.bar(number, ratio, label="individual", color="C0")
    line = axes.plot(number, ratio.cumsum(), label="cumulative", color="C1", marker="o", markersize=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set(xlabel="component", ylabel="explained variance ratio", ylim=(0, 1.03), xlim=(0.4, len(ratio) + 0.6))
    fig.legend(handles=[bars, *line], loc="outside lower center", ncols=2)
    return fig


def _project_2d(selected: FittedSelection, x: Array, rng: np.random.Generator) -> tuple[list[Array], list[str]]:
    """Return the horizontal (n,) and vertical (n,) coordinates of rows x (n, ...), and the labels of the two axes."""
    for step in selected.steps:
        x = step(x)
    x = x.reshape(len(x), -1).astype(np.float64)
    if _is_projection(selected):
        ratios = selected.table.score.to_numpy()
    else:
        with warnings.catch_warnings(action="ignore"):  # if all features are constant
            pca = PCA(min(2, *x.shape), random_state=int(rng.integers(2**31)))
            x = pca.fit_transform(x)  # (n, f) -> (n, 2)
        ratios = np.nan_to_num(pca.explained_variance_ratio_)
    coordinates = [x[:, i] for i in range(min(2, x.shape[1]))]
    labels = [f"component {i + 1}, {ratio:.0%} of the variance" for i, ratio in enumerate(ratios[:2])]
    if len(coordinates) == 1:
        return [*coordinates, rng.random(len(x))], [*labels, "random jitter"]
    return coordinates, labels


def _is_projection(selected: FittedSelection) -> bool:
    return any(step.kind == "project" for step in selected.steps)


def _scatter_classes(axes: Axes, coordinates: list[Array], y: Array, classes: tuple[str, ...]) -> None:
    """Plot points in the color of their class; beyond `MAX_COLORS` classes the rarest are gray."""
    counts = np.bincount(y, minlength=len(classes))
    colored = np.sort(np.argsort(-counts, kind="stable")[:MAX_COLORS])
    palette = mpl.colormaps["tab10" if len(colored) <= 10 else "tab20"].colors  # type: ignore[attr-defined]
    gray = (0.88, 0.88, 0.88)
    colors = np.full((len(classes), 3), gray)
    colors[colored] = palette[: len(colored)]
    axes.scatter(coordinates[0], coordinates[1], c=colors[y], s=_point_size(y), alpha=0.8, linewidths=0)
    entries = [(_format_label(classes[i]), colors[i]) for i in colored]
    if len(colored) < len(classes):
        entries.append((f"{len(classes) - len(colored)} other classes", np.array(gray)))
    handles = [Line2D([], [], color=color, marker="o", linestyle="", label=label) for label, color in entries]
    axes.figure.legend(handles=handles, loc="outside right center", fontsize="small")


def _point_size(rows: Array) -> float:
    """Return the marker area in points squared: smaller for more points."""
    return float(np.clip(8000 / len(rows), 8, 30))


def _format_label(name: str) -> str:
    """Return a name as plot text: truncated, `$` escaped, whitespace quoted.

    A zero-width space protects a leading underscore, since Matplotlib hides such labels from legends.
    """
    name = repr(name) if name.isspace() else name
    short = name if len(name) <= MAX_LABEL_LENGTH else f"{name[: MAX_LABEL_LENGTH - 1]}…"
    return short.replace("$", r"\$").replace("_", "\u200b_", 1) if short.startswith("_") else short.replace("$", r"\$")
