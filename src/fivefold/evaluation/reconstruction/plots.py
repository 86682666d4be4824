"""Plots of samples and their reconstructions."""

import numpy as np
from matplotlib.figure import Figure

from ...config.networks.autoencoder import DenoisingVariant
from ...data.dataset import Array
from ...models.serialization import TrainedModel
from ...plotting import make_figure, set_title
from ..image_plots import MAX_SHOWN, plot_image_rows
from .metrics import Reconstruction, build_noise, corrupt_features, reconstruct


def plot_reconstructed_images(model_name: str, reconstruction: Reconstruction) -> Figure:
    """Plot test images above their reconstructions."""
    return plot_image_rows(
        f"{model_name}: test samples and reconstructions",
        {"original": reconstruction.original, "reconstruction": reconstruction.reconstructed},
    )


def plot_denoised_images(
    model_name: str, trained_model: TrainedModel, variant: DenoisingVariant, x: Array, seed: int
) -> Figure:
    """Plot test images x (n, c, h, w), their corrupted versions and the reconstructions of those."""
    original = reconstruct(trained_model.model, x).original
    noise = build_noise(trained_model, variant, original)
    labeled_images = {
        "original": original,
        "corrupted": corrupt_features(trained_model, noise, x, seed),
        "reconstruction": reconstruct(trained_model.model, x, noise, seed).reconstructed,
    }
    return plot_image_rows(f"{model_name}: test samples, corrupted inputs and reconstructions", labeled_images)


def plot_error_maps(model_name: str, reconstruction: Reconstruction) -> Figure:
    """Plot the test images with the largest errors, their reconstructions and squared errors by pixel."""
    worst = np.argsort(-reconstruction.errors, kind="stable")[:MAX_SHOWN]
    original, reconstructed = reconstruction.original[worst], reconstruction.reconstructed[worst]
    labeled_images = {
        "original": original,
        "reconstruction": reconstructed,
        "error": ((original - reconstructed) ** 2).mean(axis=1, keepdims=True),
    }
    return plot_image_rows(f"{model_name}: worst reconstructions and error maps", labeled_images)


def plot_reconstructed_sequences(model_name: str, reconstruction: Reconstruction) -> Figure:
    """Plot the first feature of six test sequences and its reconstruction."""
    fig, first = make_figure(7.5, 4.5)
    first.remove()
    panels = fig.subplots(2, 3).ravel()
    for panel, i in zip(panels, range(len(reconstruction.original)), strict=False):
        length = len(reconstruction.original[i]) if reconstruction.mask is None else int(reconstruction.mask[i].sum())
        panel.plot(reconstruction.original[i, :length, 0], color="black", linewidth=1, label="original")
        panel.plot(reconstruction.reconstructed[i, :length, 0], color="C0", linewidth=1, label="reconstruction")
    for panel in panels[len(reconstruction.original) :]:
        panel.set_axis_off()
    fig.legend(*panels[0].get_legend_handles_labels(), ncols=2, fontsize="small", loc="outside lower center")
    set_title(fig, f"{model_name}: first feature of test samples and its reconstruction")
    return fig


def plot_reconstructed_features(model_name: str, reconstruction: Reconstruction, feature_names: list[str]) -> Figure:
    """Plot the explained variance of each feature, and test rows next to their reconstructions.

    Features are sorted by explained variance, the largest first; at most thirty are shown.
    """
    original = reconstruction.original.reshape(len(reconstruction.original), -1)
    reconstructed = reconstruction.reconstructed.reshape(original.shape)
    mse = ((original - reconstructed) ** 2).mean(0)
    variance = original.var(0)
    explained = np.where(variance > 0, 1 - mse / np.where(variance > 0, variance, 1), 1)
    order = np.argsort(-explained, kind="stable")[:30]
    fig, first = make_figure(9.0, 1.4 + 0.22 * len(order))
    first.remove()
    axes, *panels = fig.subplots(1, 3, sharey=True, width_ratios=(2, 1, 1))
    axes.barh(range(len(order)), np.maximum(explained[order], 0), height=0.7)
    axes.set_yticks(range(len(order)), [feature_names[i][:30] for i in order], fontsize="small")
    axes.invert_yaxis()
    axes.set(xlabel="explained variance", xlim=(0, 1))
    shown = original[:MAX_SHOWN, order].T  # (features, n)
    low, high = np.quantile(shown, (0.02, 0.98))
    images = {"original": shown, "reconstruction": reconstructed[:MAX_SHOWN, order].T}
    for panel, (label, image) in zip(panels, images.items(), strict=True):
        panel.imshow(image, aspect="auto", cmap="gray", vmin=low, vmax=high)
        panel.set(xlabel=label, xticks=[])
    set_title(fig, f"{model_name}: test samples and reconstructions")
    return fig
