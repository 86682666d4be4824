"""Plots of generated samples and of the training of a generator."""

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
"""Maximum number of classes in a grid with one row per class."""

MAX_SCATTER_POINTS = 1000
"""Maximum number of rows per scatter plot."""

LINEAR_THRESHOLD = 0.01
"""Distance below which the axis of a learning curve is linear, because distances may be 0 or negative."""

MAX_PANELS, PANELS_PER_ROW = 25, 5
"""Maximum number of table columns that are plotted, and number of panels per row."""


def build_sample_plots(
    model_name: str, trained_model: TrainedModel, generated: Array, real: Array, seed: int
) -> dict[str, Callable[[], Figure]]:
    """Return plots of generated and real samples: grids of images, or the first two numeric features of a table.

    Args:
        model_name: Name shown in titles.
        trained_model: The generator.
        generated: Generated rows of a table, (m, f); ignored for images, which are generated here.
        real: Real samples, (n, ...).
        seed: Seed of the noise.
    """
    if trained_model.schema.kind != "images":
        features = numeric_features(trained_model.schema)
        return (
            {"samples": partial(plot_feature_pair, model_name, generated, real, *features[:2])}
            if len(features) > 1
            else {}
        )
    n_classes = min(len(trained_model.schema.classes), MAX_CLASS_ROWS) if is_conditional(trained_model) else 0
    labels = np.repeat(np.arange(n_classes), GRID_COLUMNS)
    n = len(labels) or GRID_COLUMNS * GRID_COLUMNS
    images = generate(trained_model, sample_noise(trained_model, n, seed, labels))
    title = f"{model_name}: generated samples" + (", one class per row" if n_classes else "")
    real_images = np.asarray(real[: GRID_COLUMNS * GRID_COLUMNS]).astype(np.float64)
    bounds = value_range(real_images)
    return {
        "samples": partial(plot_image_grid, title, images, bounds),
        "real": partial(plot_image_grid, f"{model_name}: test samples", real_images, bounds),
    }


def numeric_features(schema: Schema) -> list[tuple[int, str]]:
    """Return index and name of each numeric feature of a table."""
    types = [column.type for column in schema.columns for _ in column.features]
    return [(i, schema.features[i]) for i, column_type in enumerate(types) if column_type == "numeric"]


def plot_feature_pair(
    model_name: str, generated: Array, real: Array, x_feature: tuple[int, str], y_feature: tuple[int, str]
) -> Figure:
    """Plot real and generated rows of a table by two features, given as index and name."""
    fig, axes = make_figure(4.6, 4.4)
    for rows, label, color in ((real, "real", "0.6"), (generated, "generated", "C0")):
        x, y = rows[:MAX_SCATTER_POINTS, x_feature[0]], rows[:MAX_SCATTER_POINTS, y_feature[0]]
        axes.scatter(x, y, s=8, alpha=0.6, linewidths=0, color=color, label=label)
    axes.set(xlabel=x_feature[1], ylabel=y_feature[1])
    axes.legend(fontsize="small")
    set_title(fig, f"{model_name}: generated and test samples")
    return fig


def plot_learning_curve(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot adversarial losses, distances of generated from validation rows, and diversity, by epoch."""
    fig, first = make_figure(6.0, 6.0)
    first.remove()
    losses, distances, diversity = fig.subplots(3, 1, sharex=True)
    for network in ("discriminator", "generator"):
        losses.plot(table.epoch, table[network], label=network)
    validated = table.dropna(subset=["energy_distance", "kid", "diversity"])
    for metric, label in (("energy_distance", "energy distance"), ("kid", "KID")):
        (line,) = distances.plot(validated.epoch, validated[metric], marker=".", label=label)
        if f"{metric}_real" in validated:
            baseline = validated[f"{metric}_real"].iloc[-1]
            distances.axhline(
                baseline, color=line.get_color(), linewidth=0.8, linestyle=":", label=f"{label}, real rows"
            )
    diversity.plot(validated.epoch, validated.diversity, marker=".", color="C2")
    diversity.axhline(1, color="0.6", linewidth=0.8, linestyle=":", label="real rows")
    losses.set(ylabel="loss")
    distances.set(ylabel="distance")
    distances.set_yscale("symlog", linthresh=LINEAR_THRESHOLD)  # unbiased estimates scatter around 0 at best
    diversity.set(xlabel="epoch", ylabel="diversity", ylim=(0, max(1.1, 1.05 * validated.diversity.max())))
    diversity.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (losses, distances, diversity):
        axes.legend(fontsize="small")
    set_title(fig, f"{model_name}: adversarial losses and validation metrics")
    return fig


def plot_class_proportions(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot the proportion of each class predicted by the reference classifier, for real and generated samples."""
    fig, axes = make_figure(max(4.0, 0.5 * len(table) + 1), 3.4)
    positions = np.arange(len(table))
    axes.bar(positions - 0.2, table.real, width=0.4, color="0.7", label="real")
    axes.bar(positions + 0.2, table.generated, width=0.4, label="generated")
    axes.set_xticks(positions, [str(name)[:18] for name in table["class"]])
    axes.set(ylabel="proportion")
    axes.margins(y=0.2)  # space for the legend
    axes.legend(fontsize="small", ncols=2, loc="upper right")
    set_title(fig, f"{model_name}: classes predicted by the reference classifier")
    return fig


def plot_column_histograms(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot the distributions of real and generated values, one panel per table column."""
    columns = list(dict.fromkeys(table["column"]))
    shown = columns[:MAX_PANELS]
    n_columns = min(PANELS_PER_ROW, len(shown))
    n_rows = -(-len(shown) // n_columns)
    fig, first = make_figure(n_columns * 2.1, n_rows * 1.7 + 0.5)
    first.remove()
    for i, name in enumerate(shown):
        values, axes = table[table["column"] == name], fig.add_subplot(n_rows, n_columns, i + 1)
        if values["category"].notna().any():
            positions = np.arange(len(values))
            axes.bar(positions - 0.2, values.real, width=0.4, color="0.7")
            axes.bar(positions + 0.2, values.generated, width=0.4)
            labels = [str(category)[:8] for category in values["category"]]
            axes.set_xticks(positions, labels, rotation=30, fontsize="x-small")
        else:
            edges = np.append(values.low, values.high.iloc[-1])
            axes.stairs(values.real, edges, fill=True, color="0.7")
            axes.stairs(values.generated, edges, color="C0")
            axes.tick_params(axis="x", labelsize="x-small")
        axes.set_yticks([])
        axes.set_title(str(name)[:24], fontsize="small", fontweight="normal")
    omitted = f"; {len(columns) - len(shown)} more columns" if len(columns) > len(shown) else ""
    set_title(fig, f"{model_name}: column distributions, real (gray) and generated (blue){omitted}")
    return fig


PLOT_FUNCTIONS: dict[str, Callable[[pd.DataFrame, str], Figure]] = {
    "learning_curve": plot_learning_curve,
    "gradients": plot_gradients,
    "class_proportions": plot_class_proportions,
    "column_histograms": plot_column_histograms,
}
"""Table name -> plot function."""
