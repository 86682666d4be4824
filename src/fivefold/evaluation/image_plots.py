"""Plots of images: a grid, or one labeled row per kind of image."""

import numpy as np
from matplotlib.figure import Figure

from ..data.dataset import Array
from ..plotting import make_figure, set_title

MAX_SHOWN = 12
"""Maximum number of samples in a plot."""

GRID_COLUMNS = 8
"""Number of columns of a grid."""


def plot_image_grid(caption: str, images: Array, bounds: tuple[float, float]) -> Figure:
    """Return a grid of images (n, c, h, w), eight per row; bounds: pixel values drawn as black and white."""
    n_rows = -(-len(images) // GRID_COLUMNS)
    fig, axes = make_figure(GRID_COLUMNS * 0.7, n_rows * 0.7 + 0.5)
    n_blank = n_rows * GRID_COLUMNS - len(images)
    tiles = np.pad(_to_pixels(images, bounds), ((0, n_blank), (0, 1), (0, 1), (0, 0)), constant_values=1)
    tiles = tiles.reshape(n_rows, GRID_COLUMNS, *tiles.shape[1:])
    grid = tiles.transpose(0, 2, 1, 3, 4).reshape(n_rows * tiles.shape[2], GRID_COLUMNS * tiles.shape[3], -1)
    axes.imshow(grid.squeeze(-1) if grid.shape[-1] == 1 else grid, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    set_title(fig, caption)
    return fig


def plot_image_rows(caption: str, labeled_images: dict[str, Array]) -> Figure:
    """Return one row of images (n, c, h, w) per label; `error` uses its own color map, scaled per image."""
    fig, first = make_figure(MAX_SHOWN * 0.62, len(labeled_images) * 0.75 + 0.5)
    first.remove()
    count = min(MAX_SHOWN, *(len(images) for images in labeled_images.values()))
    panels = fig.subplots(len(labeled_images), count, squeeze=False)
    bounds = value_range(next(iter(labeled_images.values()))[:count])
    for row, (label, images) in zip(panels, labeled_images.items(), strict=True):
        for panel, image in zip(row, images, strict=False):
            panel.set_xticks([])
            panel.set_yticks([])
            panel.spines[:].set_visible(False)
            if label == "error":
                panel.imshow(image[0], cmap="inferno")
                continue
            pixels = _to_pixels(image[None], bounds)[0]
            panel.imshow(pixels[..., 0] if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
        row[0].set_ylabel(label)
    set_title(fig, caption)
    return fig


def value_range(images: Array) -> tuple[float, float]:
    """Return the smallest and the largest value of an array."""
    return float(images.min()), float(images.max())


def _to_pixels(images: Array, bounds: tuple[float, float]) -> Array:
    """Return images (n, c, h, w) as (n, h, w, c) from 0 to 1; only the first three of four channels."""
    low, high = bounds
    return np.asarray(np.clip((images - low) / ((high - low) or 1), 0, 1).transpose(0, 2, 3, 1)[..., :3])
