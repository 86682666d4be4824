"""Plots of images: a grid, or one row per kind."""

import numpy as np
from matplotlib.figure import Figure

from ..data.dataset import Array
from ..plotting import figure, title

SHOWN = 12
"""Records of a picture."""

SIDE = 8
"""Columns of a grid."""


def plot_image_grid(text: str, records: Array, bounds: tuple[float, float]) -> Figure:
    """Images (n, c, h, w) in rows of eight; bounds: what is black, and what is white."""
    height = -(-len(records) // SIDE)
    fig, axes = figure(SIDE * 0.7, height * 0.7 + 0.5)
    blank = height * SIDE - len(records)
    tiles = np.pad(_pixels(records, bounds), ((0, blank), (0, 1), (0, 1), (0, 0)), constant_values=1)
    tiles = tiles.reshape(height, SIDE, *tiles.shape[1:])
    sheet = tiles.transpose(0, 2, 1, 3, 4).reshape(height * tiles.shape[2], SIDE * tiles.shape[3], -1)
    axes.imshow(sheet.squeeze(-1) if sheet.shape[-1] == 1 else sheet, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    title(fig, text)
    return fig


def plot_image_rows(text: str, shown: dict[str, Array]) -> Figure:
    """Images in a row each, named at the left; the error's in other colours, each row by its own."""
    fig, first = figure(SHOWN * 0.62, len(shown) * 0.75 + 0.5)
    first.remove()
    count = min(SHOWN, *(len(each) for each in shown.values()))
    panels = fig.subplots(len(shown), count, squeeze=False)
    bounds = bounds_of(next(iter(shown.values()))[:count])
    for line, (name, images) in zip(panels, shown.items(), strict=True):
        for panel, image in zip(line, images, strict=False):
            panel.set_xticks([])
            panel.set_yticks([])
            panel.spines[:].set_visible(False)
            if name == "error":
                panel.imshow(image[0], cmap="inferno")
                continue
            pixels = _pixels(image[None], bounds)[0]
            panel.imshow(pixels[..., 0] if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
        line[0].set_ylabel(name)
    title(fig, text)
    return fig


def bounds_of(records: Array) -> tuple[float, float]:
    """Return the smallest and the largest number of records."""
    return float(records.min()), float(records.max())


def _pixels(records: Array, bounds: tuple[float, float]) -> Array:
    """Return images (n, c, h, w) as (n, h, w, c) between 0 and 1; of four channels the first three."""
    low, high = bounds
    return np.asarray(np.clip((records - low) / ((high - low) or 1), 0, 1).transpose(0, 2, 3, 1)[..., :3])
