"""The tables of a report as pictures."""

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
"""Letters of a class name that are shown."""


@mpl.rc_context(STYLE)  # a legend asks for it when it is made
def save_plots(plots: Mapping[str, Callable[[], Figure]], folder: Path) -> None:
    """Write `<name>.png` into the new `folder` for each picture."""
    folder.mkdir()
    for name, picture in plots.items():
        save_figure(picture(), folder / f"{name}.png")


def plot_learning_curve(table: pd.DataFrame, model_name: str) -> Figure:
    """Loss of training and validation rows over epochs, the best epoch marked."""
    fig, axes = make_figure()
    for split in ("train", "val"):
        axes.plot(table.epoch, table[split], label=split)
    best = table.loc[table.val.idxmin()]
    label = f"best: {best.val:.3g}, epoch {best.epoch:.0f}"
    axes.axvline(best.epoch, color="0.6", linewidth=0.8, linestyle=":", label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    scale = "log" if table[["train", "val"]].to_numpy().min() > 0 else "linear"  # with learnt weights it may be below
    axes.set(xlabel="epoch", ylabel="loss, in the scale of training", yscale=scale)
    set_title(fig, f"{model_name}: learning curve")
    axes.legend()
    return fig


def plot_gradients(table: pd.DataFrame, model_name: str) -> Figure:
    """Norm of each layer's gradient over epochs, the input's layer at the top."""
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
    set_title(fig, f"{model_name}: norm of the gradient, by layer")
    axes.spines[:].set_visible(False)
    fig.colorbar(image, ax=axes)
    return fig


def plot_confusion_matrix(table: pd.DataFrame, model_name: str) -> Figure:
    """Test rows by true and predicted class, in the order of the schema."""
    there = {*table.actual, *table.predicted}
    classes = [name for name in table.actual.cat.categories if name in there]
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
    slanted: dict[str, Any] = (
        {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, names)) > 3 else {}
    )
    axes.set_xticks(range(len(names)), names, **slanted)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="actual")
    set_title(fig, f"{model_name}: test rows")
    axes.spines[:].set_visible(False)
    return fig


def plot_roc_curve(table: pd.DataFrame, model_name: str) -> Figure:
    """True against false positives, each class against the rest."""
    fig, axes = make_figure(4.6, 4.4)
    for (name, area), curve in table.groupby(["class", "area"], sort=False):
        axes.plot(curve.false_positive_rate, curve.true_positive_rate, label=f"{name} ({area:.3f})")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    set_title(fig, f"{model_name}: ROC (area under it)")
    axes.legend(fontsize="small")
    return fig


def plot_calibration_curve(table: pd.DataFrame, model_name: str) -> Figure:
    """Accuracy against confidence; a dot's area is its share of rows."""
    fig, axes = make_figure(4.6, 4.4)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    axes.scatter(table.confidence, table.accuracy, s=20 + 300 * table.rows / table.rows.sum(), clip_on=False)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.03), ylim=(-0.03, 1.05))
    set_title(fig, f"{model_name}: calibration")
    return fig


def plot_predictions(table: pd.DataFrame, model_name: str) -> Figure:
    """Predicted against actual values."""
    fig, axes = make_figure(4.6, 4.4)
    low, high = table.to_numpy().min(), table.to_numpy().max()
    axes.plot([low, high], [low, high], color="0.7", linewidth=0.8, linestyle=":")
    axes.scatter(table.actual, table.predicted, s=12, alpha=0.6, linewidths=0)
    axes.set(xlabel="actual", ylabel="predicted")
    set_title(fig, f"{model_name}: test rows")
    return fig


def plot_forecast(table: pd.DataFrame, model_name: str) -> Figure:
    """Actual and forecast values over the test part, one step ahead, beside naive forecasts."""
    first = table[table.value == table.value.iloc[0]]
    x = first.get("time", first.step)
    fig, axes = make_figure(7.5, 3.6)
    axes.plot(x, first.actual, color="black", linewidth=1.2, label="actual")
    axes.plot(x, first.predicted, color="C0", label="forecast")
    levels = [name for name in first if name.startswith("q")]
    if levels:
        label = f"quantiles {levels[0][1:]} to {levels[-1][1:]}"
        axes.fill_between(x, first[levels[0]], first[levels[-1]], color="C0", alpha=0.2, linewidth=0, label=label)
    for naive, label, line in (("persistence", "the step before", ":"), ("seasonal", "a season ago", "--")):
        if naive in first:
            axes.plot(x, first[naive], color="0.6", linewidth=0.8, linestyle=line, label=label)
    if x.dtype.kind != "M" and (x == x.round()).all():
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="" if "time" in first else "step of the series", ylabel=first.value.iloc[0].removesuffix("+1"))
    set_title(fig, f"{model_name}: forecasts of the test part, one step ahead")
    fig.legend(ncols=5, fontsize="small", loc="outside lower center")
    return fig


def plot_errors(table: pd.DataFrame, model_name: str) -> Figure:
    """How many test rows have which error, by what they are."""
    kinds = list(dict.fromkeys(table.kind))
    kinds = sorted(kinds) if set(kinds) == {"normal", "anomaly"} else ["all"]
    fig, axes = make_figure(6.0, 3.4)
    edges = np.histogram_bin_edges(table.error, bins=40).tolist()
    for kind in kinds:
        values = table.error if kind == "all" else table.error[table.kind == kind]
        axes.hist(values, bins=edges, alpha=0.6 if len(kinds) > 1 else 1, label=kind)
    if "threshold" in table:
        axes.axvline(table.threshold.iloc[0], color="0.4", linewidth=0.8, linestyle=":", label="threshold")
    axes.set(xlabel="mean squared error of a record", ylabel="test rows")
    set_title(fig, f"{model_name}: errors")
    if len(kinds) > 1 or "threshold" in table:
        axes.legend()
    return fig


def plot_rate_distortion(table: pd.DataFrame, model_name: str) -> Figure:
    """Error against the bits that a record is kept in, beside a PCA."""
    fig, axes = make_figure(5.4, 3.8)
    axes.plot(table.rate, table.autoencoder, marker="o", markersize=3, label="autoencoder")
    axes.plot(table.rate, table.pca, marker="o", markersize=3, color="0.6", label="PCA of the same size")
    axes.set(xlabel="bits a number of the record", ylabel="mean squared error", yscale="log")
    set_title(fig, f"{model_name}: rate and distortion")
    axes.legend()
    return fig


def plot_latent_codes(table: pd.DataFrame, model_name: str) -> Figure:
    """Test rows in the plane of their codes, coloured by class."""
    names = sorted(set(table["class"]), key=str)
    fig, axes = make_figure(5.6, 4.4)
    for i, each in enumerate(names):
        rows = table[table["class"] == each]
        axes.scatter(rows.x, rows.y, s=8, alpha=0.7, linewidths=0, color=mpl.colormaps["tab20"](i % 20), label=each)
    axes.set(xlabel="first axis of the codes", ylabel="second axis")
    set_title(fig, f"{model_name}: codes of test rows")
    if 1 < len(names) <= 20:
        fig.legend(fontsize="small", loc="outside right upper", markerscale=2)
    return fig


PLOT_FUNCTIONS: dict[str, Callable[[pd.DataFrame, str], Figure]] = {
    "learning_curve": plot_learning_curve,
    "gradients": plot_gradients,
    "confusion": plot_confusion_matrix,
    "roc": plot_roc_curve,
    "calibration": plot_calibration_curve,
    "predicted": plot_predictions,
    "forecast": plot_forecast,
    "errors": plot_errors,
    "compression": plot_rate_distortion,
    "codes": plot_latent_codes,
}
