"""Plots of the tables of an evaluation report."""

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn import metrics

from ..plotting import STYLE, make_figure, save_figure, set_title

MAX_LABEL_LENGTH = 18
"""Maximum length of a class name on an axis."""


@mpl.rc_context(STYLE)  # legends read the style when they are created
def save_plots(plots: Mapping[str, Callable[[], Figure]], folder: Path) -> None:
    """Write each plot as `<name>.png` into the new `folder`."""
    folder.mkdir()
    for name, draw in plots.items():
        save_figure(draw(), folder / f"{name}.png")


def plot_learning_curve(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot training and validation loss by epoch; the best epoch is marked."""
    fig, axes = make_figure()
    for split in ("train", "val"):
        axes.plot(table.epoch, table[split], label=split)
    best = table.loc[table.val.idxmin()]
    label = f"best: {best.val:.3g}, epoch {best.epoch:.0f}"
    axes.axvline(best.epoch, color="0.6", linewidth=0.8, linestyle=":", label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    # learned weights of a multi-task loss may make it negative
    scale = "log" if table[["train", "val"]].to_numpy().min() > 0 else "linear"
    axes.set(xlabel="epoch", ylabel="loss", yscale=scale)
    set_title(fig, f"{model_name}: learning curve")
    axes.legend()
    return fig


def plot_gradients(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot the gradient norm by layer and epoch, the input layer at the top."""
    layers, n = list(dict.fromkeys(table.layer)), int(table.epoch.max())
    norms = table.norm.to_numpy().reshape(len(layers), n)
    fig, axes = make_figure(6.0, 1.2 + 0.24 * len(layers))
    shown = np.where(norms > 0, norms, np.nan)
    scale = LogNorm(np.nanmin(shown), np.nanmax(shown)) if np.isfinite(shown).any() else LogNorm(0.1, 1)
    edges = (0.5, n + 0.5, len(layers) - 0.5, -0.5)
    image = axes.imshow(shown, aspect="auto", interpolation="none", norm=scale, cmap="viridis", extent=edges)
    axes.set_yticks(range(len(layers)), layers, fontsize="small")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch")
    set_title(fig, f"{model_name}: gradient norm by layer")
    axes.spines[:].set_visible(False)
    fig.colorbar(image, ax=axes)
    return fig


def plot_confusion_matrix(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot the confusion matrix of test rows, classes in the order of the schema."""
    occurring = {*table.actual, *table.predicted}
    classes = [name for name in table.actual.cat.categories if name in occurring]
    counts = metrics.confusion_matrix(table.actual, table.predicted, labels=classes)
    names = [
        textwrap.shorten(str(name), MAX_LABEL_LENGTH, placeholder="…") or str(name)[:MAX_LABEL_LENGTH]
        for name in classes
    ]
    side = max(3.2, 0.42 * len(names) + 1.6)
    fig, axes = make_figure(side + 0.4, side)
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            shade = counts[row, column] / counts[row].sum()
            axes.text(column, row, str(count), ha="center", va="center", color="white" if shade > 0.5 else "black")
    rotated: dict[str, Any] = (
        {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 3 else {}
    )
    axes.set_xticks(range(len(names)), names, **rotated)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="actual")
    set_title(fig, f"{model_name}: confusion matrix of test rows")
    axes.spines[:].set_visible(False)
    return fig


def plot_roc_curve(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot one-vs-rest ROC curves."""
    fig, axes = make_figure(4.6, 4.4)
    for (name, auc), curve in table.groupby(["class", "auc"], sort=False):
        axes.plot(curve.false_positive_rate, curve.true_positive_rate, label=f"{name} ({auc:.3f})")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    set_title(fig, f"{model_name}: ROC curve (AUC)")
    axes.legend(fontsize="small")
    return fig


def plot_calibration_curve(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot accuracy against confidence; the area of a dot is proportional to its number of rows."""
    fig, axes = make_figure(4.6, 4.4)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    axes.scatter(table.confidence, table.accuracy, s=20 + 300 * table.rows / table.rows.sum(), clip_on=False)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.03), ylim=(-0.03, 1.05))
    set_title(fig, f"{model_name}: calibration curve")
    return fig


def plot_predictions(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot predicted against actual values."""
    fig, axes = make_figure(4.6, 4.4)
    low, high = table.to_numpy().min(), table.to_numpy().max()
    axes.plot([low, high], [low, high], color="0.7", linewidth=0.8, linestyle=":")
    axes.scatter(table.actual, table.predicted, s=12, alpha=0.6, linewidths=0)
    axes.set(xlabel="actual", ylabel="predicted")
    set_title(fig, f"{model_name}: predictions of test rows")
    return fig


def plot_forecast(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot actual values, forecasts and naive forecasts of the test split, one step ahead."""
    first = table[table.value == table.value.iloc[0]]
    x = first.get("time", first.step)
    fig, axes = make_figure(7.5, 3.6)
    axes.plot(x, first.actual, color="black", linewidth=1.2, label="actual")
    axes.plot(x, first.predicted, color="C0", label="forecast")
    levels = [name for name in first if name.startswith("q")]
    if levels:
        label = f"quantiles {levels[0][1:]} to {levels[-1][1:]}"
        axes.fill_between(x, first[levels[0]], first[levels[-1]], color="C0", alpha=0.2, linewidth=0, label=label)
    for name, linestyle in (("naive", ":"), ("seasonal_naive", "--")):
        if name in first:
            label = f"{name.replace('_', ' ')} forecast"
            axes.plot(x, first[name], color="0.6", linewidth=0.8, linestyle=linestyle, label=label)
    if x.dtype.kind != "M" and (x == x.round()).all():
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="" if "time" in first else "time step", ylabel=first.value.iloc[0].removesuffix("+1"))
    set_title(fig, f"{model_name}: one-step-ahead forecasts of the test split")
    fig.legend(ncols=5, fontsize="small", loc="outside lower center")
    return fig


def plot_errors(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot a histogram of the errors of test rows; of a detector, normal rows and anomalies separately."""
    groups = list(dict.fromkeys(table.group))
    groups = sorted(groups) if set(groups) == {"normal", "anomaly"} else ["all"]
    fig, axes = make_figure(6.0, 3.4)
    edges = np.histogram_bin_edges(table.error, bins=40).tolist()
    for group in groups:
        values = table.error if group == "all" else table.error[table.group == group]
        axes.hist(values, bins=edges, alpha=0.6 if len(groups) > 1 else 1, label=group)
    if "threshold" in table:
        axes.axvline(table.threshold.iloc[0], color="0.4", linewidth=0.8, linestyle=":", label="threshold")
    axes.set(xlabel="mean squared error", ylabel="test rows")
    set_title(fig, f"{model_name}: reconstruction errors")
    if len(groups) > 1 or "threshold" in table:
        axes.legend()
    return fig


def plot_rate_distortion(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot the rate-distortion curves of an autoencoder and of a PCA."""
    fig, axes = make_figure(5.4, 3.8)
    axes.plot(table.rate, table.autoencoder, marker="o", markersize=3, label="autoencoder")
    axes.plot(table.rate, table.pca, marker="o", markersize=3, color="0.6", label="PCA, same dimension")
    axes.set(xlabel="bits per input value", ylabel="mean squared error", yscale="log")
    set_title(fig, f"{model_name}: rate-distortion curve")
    axes.legend()
    return fig


def plot_latent_codes(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot a 2-D projection of the latent codes of test rows, colored by class."""
    names = sorted(set(table["class"]), key=str)
    fig, axes = make_figure(5.6, 4.4)
    for i, each in enumerate(names):
        rows = table[table["class"] == each]
        axes.scatter(rows.x, rows.y, s=8, alpha=0.7, linewidths=0, color=mpl.colormaps["tab20"](i % 20), label=each)
    axes.set(xlabel="first axis", ylabel="second axis")
    set_title(fig, f"{model_name}: latent codes of test rows")
    if 1 < len(names) <= 20:
        fig.legend(fontsize="small", loc="outside right upper", markerscale=2)
    return fig


PLOT_FUNCTIONS: dict[str, Callable[[pd.DataFrame, str], Figure]] = {
    "learning_curve": plot_learning_curve,
    "gradients": plot_gradients,
    "confusion_matrix": plot_confusion_matrix,
    "roc_curve": plot_roc_curve,
    "calibration_curve": plot_calibration_curve,
    "predicted_vs_actual": plot_predictions,
    "forecast": plot_forecast,
    "errors": plot_errors,
    "rate_distortion": plot_rate_distortion,
    "latent_codes": plot_latent_codes,
}
"""Table name -> plot function."""
