"""Pictures of what a generator makes, and of how it came about.

Shapes: n rows, c channels, h x w pixels, k classes.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...data.dataset import Array
from ...data.schema import Schema
from ...models.serialization import TrainedModel
from ...plotting import make_figure, set_title
from ..image_plots import GRID_COLUMNS, plot_image_grid, value_range
from ..plots import plot_gradients
from .samples import generate, is_conditional, sample_noise

MAX_CLASS_ROWS = 16
"""Classes that have a row of their own."""

MAX_SCATTER_POINTS = 1000
"""Rows of a scatter."""

LINEAR_THRESHOLD = 0.01
"""Distance below which the axis of a learning curve is linear: it may be 0, and below."""

MAX_PANELS, PANELS_PER_ROW = 25, 5
"""Columns of a table that are shown at most, and so many beside each other."""


def build_sample_plots(
    model_name: str, trained_model: TrainedModel, generated: Array, real: Array, seed: int
) -> dict[str, Callable[[], Figure]]:
    """Return pictures of made records (n, ...) and real ones: grids of images, two numeric columns of a table."""
    if trained_model.schema.kind != "images":
        numbers = numeric_features(trained_model.schema)
        return (
            {"samples": partial(plot_feature_pair, model_name, generated, real, *numbers[:2])}
            if len(numbers) > 1
            else {}
        )
    classes = min(len(trained_model.schema.classes), MAX_CLASS_ROWS) if is_conditional(trained_model) else 0
    asked = np.repeat(np.arange(classes), GRID_COLUMNS)
    n = len(asked) or GRID_COLUMNS * GRID_COLUMNS
    records = generate(trained_model, sample_noise(trained_model, n, seed, asked))
    text = f"{model_name}: records made of noise" + (", each class in a row" if classes else "")
    rows = np.asarray(real[: GRID_COLUMNS * GRID_COLUMNS]).astype(np.float64)
    return {
        "samples": partial(plot_image_grid, text, records, value_range(rows)),
        "real": partial(plot_image_grid, f"{model_name}: test rows", rows, value_range(rows)),
    }


def numeric_features(schema: Schema) -> list[tuple[int, str]]:
    """Return place and name of each numeric feature of a table."""
    kinds = [column.type for column in schema.columns for _ in column.features]
    return [(i, schema.features[i]) for i, kind in enumerate(kinds) if kind == "numeric"]


def plot_feature_pair(
    model_name: str, generated: Array, real: Array, x_feature: tuple[int, str], y_feature: tuple[int, str]
) -> Figure:
    """Made and real rows of a table by two of their features, place and name of each."""
    fig, axes = make_figure(4.6, 4.4)
    for rows, label, colour in ((real, "real", "0.6"), (generated, "made", "C0")):
        x, y = rows[:MAX_SCATTER_POINTS, x_feature[0]], rows[:MAX_SCATTER_POINTS, y_feature[0]]
        axes.scatter(x, y, s=8, alpha=0.6, linewidths=0, color=colour, label=label)
    axes.set(xlabel=x_feature[1], ylabel=y_feature[1])
    axes.legend(fontsize="small")
    set_title(fig, f"{model_name}: records made of noise, and test rows")
    return fig


def plot_learning_curve(table: pd.DataFrame, model_name: str) -> Figure:
    """Losses of both players over epochs; below them how far records are from held-out rows, and from each other."""
    fig, first = make_figure(6.0, 6.0)
    first.remove()
    losses, distances, variety = fig.subplots(3, 1, sharex=True)
    for player in ("discriminator", "generator"):
        losses.plot(table.epoch, table[player], label=player)
    seen = table.dropna(subset=["energy_distance", "kid", "diversity"])
    for each, label in (("energy_distance", "energy distance"), ("kid", "KID")):
        (line,) = distances.plot(seen.epoch, seen[each], marker=".", label=label)
        if f"{each}_floor" in seen:
            floor = seen[f"{each}_floor"].iloc[-1]
            distances.axhline(floor, color=line.get_color(), linewidth=0.8, linestyle=":", label=f"{label}, real rows")
    variety.plot(seen.epoch, seen.diversity, marker=".", color="C2")
    variety.axhline(1, color="0.6", linewidth=0.8, linestyle=":", label="real rows")
    losses.set(ylabel="loss")
    distances.set(ylabel="distance")
    distances.set_yscale("symlog", linthresh=LINEAR_THRESHOLD)  # about 0, either way, is as good as can be
    variety.set(xlabel="epoch", ylabel="diversity", ylim=(0, max(1.1, 1.05 * seen.diversity.max())))
    variety.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (losses, distances, variety):
        axes.legend(fontsize="small")
    set_title(fig, f"{model_name}: the contest")
    return fig


def plot_class_proportions(table: pd.DataFrame, model_name: str) -> Figure:
    """How often the judge sees each class, in records and in test rows."""
    fig, axes = make_figure(max(4.0, 0.5 * len(table) + 1), 3.4)
    place = np.arange(len(table))
    axes.bar(place - 0.2, table.real, width=0.4, color="0.7", label="test rows")
    axes.bar(place + 0.2, table.made, width=0.4, label="records")
    axes.set_xticks(place, [str(name)[:18] for name in table["class"]])
    axes.set(ylabel="share")
    axes.margins(y=0.2)  # room for the legend
    axes.legend(fontsize="small", ncols=2, loc="upper right")
    set_title(fig, f"{model_name}: classes that the judge sees")
    return fig


def plot_column_histograms(table: pd.DataFrame, model_name: str) -> Figure:
    """How often test rows and records have each value of a column, the first columns of a table."""
    every = list(dict.fromkeys(table["column"]))
    shown = every[:MAX_PANELS]
    wide = min(PANELS_PER_ROW, len(shown))
    high = -(-len(shown) // wide)
    fig, first = make_figure(wide * 2.1, high * 1.7 + 0.5)
    first.remove()
    for i, name in enumerate(shown):
        part, axes = table[table["column"] == name], fig.add_subplot(high, wide, i + 1)
        if part["word"].notna().any():
            place = np.arange(len(part))
            axes.bar(place - 0.2, part.real, width=0.4, color="0.7")
            axes.bar(place + 0.2, part.made, width=0.4)
            axes.set_xticks(place, [str(word)[:8] for word in part["word"]], rotation=30, fontsize="x-small")
        else:
            edges = np.append(part.low, part.high.iloc[-1])
            axes.stairs(part.real, edges, fill=True, color="0.7")
            axes.stairs(part.made, edges, color="C0")
            axes.tick_params(axis="x", labelsize="x-small")
        axes.set_yticks([])
        axes.set_title(str(name)[:24], fontsize="small", fontweight="normal")
    rest = f"; {len(every) - len(shown)} columns more" if len(every) > len(shown) else ""
    set_title(fig, f"{model_name}: columns of test rows (grey) and of records (blue){rest}")
    return fig


PLOT_FUNCTIONS: dict[str, Callable[[pd.DataFrame, str], Figure]] = {
    "learning_curve": plot_learning_curve,
    "gradients": plot_gradients,
    "classes": plot_class_proportions,
    "columns": plot_column_histograms,
}
