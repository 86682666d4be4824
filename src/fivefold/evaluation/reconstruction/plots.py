"""Pictures of records: as they are, and as a network tells them."""

import numpy as np
from matplotlib.figure import Figure

from ...config.networks.autoencoder import Denoising
from ...data.dataset import Array
from ...models.serialization import Saved
from ...plotting import figure, title
from ..image_plots import SHOWN, plot_image_rows
from .metrics import Told, noise_of, spoilt, tell


def images(name: str, test: Told) -> Figure:
    """Test images above what is told of them."""
    return plot_image_rows(f"{name}: test rows, and what is told of them", {"record": test.truth, "told": test.told})


def cleaned(name: str, saved: Saved, variant: Denoising, x: Array, seed: int) -> Figure:
    """Test images, spoilt ones, and what is told of those."""
    truth = tell(saved.model, x).truth
    noise = noise_of(saved, variant, truth)
    shown = {"record": truth, "noisy": spoilt(saved, noise, x, seed), "told": tell(saved.model, x, noise, seed).told}
    return plot_image_rows(f"{name}: test rows, with noise, and what is told of those", shown)


def heat(name: str, test: Told) -> Figure:
    """The test images that are told worst, what is told of them, and where the error lies."""
    worst = np.argsort(-test.errors, kind="stable")[:SHOWN]
    truth, told = test.truth[worst], test.told[worst]
    shown = {"record": truth, "told": told, "error": ((truth - told) ** 2).mean(axis=1, keepdims=True)}
    return plot_image_rows(f"{name}: the test rows told worst, and where the error lies", shown)


def steps(name: str, test: Told) -> Figure:
    """The first value of six test sequences, and what is told of it."""
    fig, first = figure(7.5, 4.5)
    first.remove()
    panels = fig.subplots(2, 3).ravel()
    for panel, i in zip(panels, range(len(test.truth)), strict=False):
        length = len(test.truth[i]) if test.real is None else int(test.real[i].sum())
        panel.plot(test.truth[i, :length, 0], color="black", linewidth=1, label="record")
        panel.plot(test.told[i, :length, 0], color="C0", linewidth=1, label="told")
    for panel in panels[len(test.truth) :]:
        panel.set_axis_off()
    fig.legend(*panels[0].get_legend_handles_labels(), ncols=2, fontsize="small", loc="outside lower center")
    title(fig, f"{name}: the first value of test rows, and what is told of it")
    return fig


def columns(name: str, test: Told, features: list[str]) -> Figure:
    """Test rows beside what is told of them, and the share of each feature's variance that is told, the best first.

    features: their names, of which thirty are drawn at most.
    """
    truth = test.truth.reshape(len(test.truth), -1)
    told = test.told.reshape(truth.shape)
    left = ((truth - told) ** 2).mean(0)
    variance = truth.var(0)
    share = np.where(variance > 0, 1 - left / np.where(variance > 0, variance, 1), 1)
    order = np.argsort(-share, kind="stable")[:30]
    fig, first = figure(9.0, 1.4 + 0.22 * len(order))
    first.remove()
    axes, *panels = fig.subplots(1, 3, sharey=True, width_ratios=(2, 1, 1))
    axes.barh(range(len(order)), np.maximum(share[order], 0), height=0.7)
    axes.set_yticks(range(len(order)), [features[i][:30] for i in order], fontsize="small")
    axes.invert_yaxis()
    axes.set(xlabel="share of the variance that is told", xlim=(0, 1))
    shown = truth[:SHOWN, order].T  # (features, n)
    low, high = np.quantile(shown, (0.02, 0.98))
    for panel, label, each in zip(panels, ("record", "told"), (shown, told[:SHOWN, order].T), strict=True):
        panel.imshow(each, aspect="auto", cmap="gray", vmin=low, vmax=high)
        panel.set(xlabel=label, xticks=[])
    title(fig, f"{name}: test rows, and what is told of them")
    return fig
