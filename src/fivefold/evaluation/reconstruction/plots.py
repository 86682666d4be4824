"""Pictures of records: as they are, and as a network tells them."""

import numpy as np
from matplotlib.figure import Figure

from ...config.networks.autoencoder import DenoisingVariant
from ...data.dataset import Array
from ...models.serialization import TrainedModel
from ...plotting import make_figure, set_title
from ..image_plots import MAX_SHOWN, plot_image_rows
from .metrics import Reconstruction, build_noise, corrupt_features, reconstruct


def plot_reconstructed_images(model_name: str, reconstruction: Reconstruction) -> Figure:
    """Test images above what is told of them."""
    return plot_image_rows(
        f"{model_name}: test rows, and what is told of them",
        {"record": reconstruction.original, "told": reconstruction.reconstructed},
    )


def plot_denoised_images(
    model_name: str, trained_model: TrainedModel, variant: DenoisingVariant, x: Array, seed: int
) -> Figure:
    """Test images, spoilt ones, and what is told of those."""
    truth = reconstruct(trained_model.model, x).original
    noise = build_noise(trained_model, variant, truth)
    shown = {
        "record": truth,
        "noisy": corrupt_features(trained_model, noise, x, seed),
        "told": reconstruct(trained_model.model, x, noise, seed).reconstructed,
    }
    return plot_image_rows(f"{model_name}: test rows, with noise, and what is told of those", shown)


def plot_error_maps(model_name: str, reconstruction: Reconstruction) -> Figure:
    """The test images that are told worst, what is told of them, and where the error lies."""
    worst = np.argsort(-reconstruction.errors, kind="stable")[:MAX_SHOWN]
    truth, told = reconstruction.original[worst], reconstruction.reconstructed[worst]
    shown = {"record": truth, "told": told, "error": ((truth - told) ** 2).mean(axis=1, keepdims=True)}
    return plot_image_rows(f"{model_name}: the test rows told worst, and where the error lies", shown)


def plot_reconstructed_sequences(model_name: str, reconstruction: Reconstruction) -> Figure:
    """The first value of six test sequences, and what is told of it."""
    fig, first = make_figure(7.5, 4.5)
    first.remove()
    panels = fig.subplots(2, 3).ravel()
    for panel, i in zip(panels, range(len(reconstruction.original)), strict=False):
        length = len(reconstruction.original[i]) if reconstruction.mask is None else int(reconstruction.mask[i].sum())
        panel.plot(reconstruction.original[i, :length, 0], color="black", linewidth=1, label="record")
        panel.plot(reconstruction.reconstructed[i, :length, 0], color="C0", linewidth=1, label="told")
    for panel in panels[len(reconstruction.original) :]:
        panel.set_axis_off()
    fig.legend(*panels[0].get_legend_handles_labels(), ncols=2, fontsize="small", loc="outside lower center")
    set_title(fig, f"{model_name}: the first value of test rows, and what is told of it")
    return fig


def plot_reconstructed_features(model_name: str, reconstruction: Reconstruction, feature_names: list[str]) -> Figure:
    """Test rows beside what is told of them, and the share of each feature's variance that is told, the best first.

    features: their names, of which thirty are drawn at most.
    """
    truth = reconstruction.original.reshape(len(reconstruction.original), -1)
    told = reconstruction.reconstructed.reshape(truth.shape)
    left = ((truth - told) ** 2).mean(0)
    variance = truth.var(0)
    share = np.where(variance > 0, 1 - left / np.where(variance > 0, variance, 1), 1)
    order = np.argsort(-share, kind="stable")[:30]
    fig, first = make_figure(9.0, 1.4 + 0.22 * len(order))
    first.remove()
    axes, *panels = fig.subplots(1, 3, sharey=True, width_ratios=(2, 1, 1))
    axes.barh(range(len(order)), np.maximum(share[order], 0), height=0.7)
    axes.set_yticks(range(len(order)), [feature_names[i][:30] for i in order], fontsize="small")
    axes.invert_yaxis()
    axes.set(xlabel="share of the variance that is told", xlim=(0, 1))
    shown = truth[:MAX_SHOWN, order].T  # (features, n)
    low, high = np.quantile(shown, (0.02, 0.98))
    for panel, label, each in zip(panels, ("record", "told"), (shown, told[:MAX_SHOWN, order].T), strict=True):
        panel.imshow(each, aspect="auto", cmap="gray", vmin=low, vmax=high)
        panel.set(xlabel=label, xticks=[])
    set_title(fig, f"{model_name}: test rows, and what is told of them")
    return fig
