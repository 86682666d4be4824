"""Plots of images: a grid, or one row per kind."""

import numpy as np
from matplotlib.figure import Figure

from ..data.dataset import Array
from ..plotting import make_figure, set_title

MAX_SHOWN = 12
"""Records of a picture."""

GRID_COLUMNS = 8
"""Columns of a grid."""


def plot_image_grid(caption: str, images: Array, bounds: tuple[float, float]) -> Figure:
    """Images (n, c, h, w) in rows of eight; bounds: what is black, and what is white."""
    height = -(-len(images) // GRID_COLUMNS)
    fig, axes = make_figure(GRID_COLUMNS * 0.7, height * 0.7 + 0.5)
    blank = height * GRID_COLUMNS - len(images)
    tiles = np.pad(_to_pixels(images, bounds), ((0, blank), (0, 1), (0, 1), (0, 0)), constant_values=1)
    tiles = tiles.reshape(height, GRID_COLUMNS, *tiles.shape[1:])
    sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(height * tiles.shape[2], GRID_COLUMNS * tiles.shape[3], -1)
    axes.imshow(sheet.squeeze(-1) if sheet.shape[-1] == 1 else sheet, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    set_title(fig, caption)
    return fig


def plot_image_rows(caption: str, labeled_images: dict[str, Array]) -> Figure:
    """Images in a row each, named at the left; the error's in other colours, each row by its own."""
    fig, first = make_figure(MAX_SHOWN * 0.62, len(labeled_images) * 0.75 + 0.5)
    first.remove()
    count = min(MAX_SHOWN, *(len(each) for each in labeled_images.values()))
    panels = fig.subplots(len(labeled_images), count, squeeze=False)
    bounds = value_range(next(iter(labeled_images.values()))[:count])
    for line, (name, images) in zip(panels, labeled_images.items(), strict=True):
        for panel, image in zip(line, images, strict=False):
            panel.set_xticks([])
            panel.set_yticks([])
            panel.spines[:].set_visible(False)
            if name == "error":
                panel.imshow(image[0], cmap="inferno")
                continue
            pixels = _to_pixels(image[None], bounds)[0]
            panel.imshow(pixels[..., 0] if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
        line[0].set_ylabel(name)
    set_title(fig, caption)
    return fig


def value_range(images: Array) -> tuple[float, float]:
    """Return the smallest and the largest number of records."""
    return float(images.min()), float(images.max())


def _to_pixels(images: Array, bounds: tuple[float, float]) -> Array:
    """Return images (n, c, h, w) as (n, h, w, c) between 0 and 1; of four channels the first three."""
    low, high = bounds
    return np.asarray(np.clip((images - low) / ((high - low) or 1), 0, 1).transpose(0, 2, 3, 1)[..., :3])
