"""What a model makes of the same noise, epoch by epoch: a grid of images each time, kept as PNG files in a ZIP.

Shapes: n images, c channels, h x w pixels.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.dataset import Array

ARCHIVE_NAME = "samples.zip"
"""In the folder of a model; empty where it makes no images."""

MLFLOW_KEY = "samples/grid"
"""Of the series of pictures in MLflow: a section of its own."""

COLUMNS = 8
"""Images across."""

MIN_WIDTH = 512
"""Pixels that the images of a row are wide at least: small ones are enlarged by whole numbers."""

SPACING = 2
"""Pixels between images."""

PNG_NAME = "epoch-{:05d}.png"

GridsByEpoch = dict[int, bytes]
"""Number of an epoch, from 1 and 0 before the first -> a grid as PNG."""


def render_grid(images: Array, low: float, high: float) -> bytes:
    """Return images (n, c, h, w) as a grid of `SIDE` across, row by row, PNG; low is black, high is white.

    Of two channels the first is seen, of four the first three.
    """
    colours = images[:, : 3 if images.shape[1] >= 3 else 1]
    colours = ((colours - low) / ((high - low) or 1) * 255).round().clip(0, 255).astype(np.uint8)
    times = -(-MIN_WIDTH // (COLUMNS * images.shape[3]))
    colours = colours.repeat(times, 2).repeat(times, 3)
    n, c, h, w = colours.shape
    down = -(-n // COLUMNS)
    tiles = np.full((down * COLUMNS, h + SPACING, w + SPACING, c), 255, np.uint8)
    tiles[:n, :h, :w] = colours.transpose(0, 2, 3, 1)
    grid = tiles.reshape(down, COLUMNS, h + SPACING, w + SPACING, c).transpose(0, 2, 1, 3, 4)
    grid = grid.reshape(down * (h + SPACING), COLUMNS * (w + SPACING), c)[:-SPACING, :-SPACING]
    file = io.BytesIO()
    Image.fromarray(grid if c == 3 else grid[..., 0]).save(file, "PNG")
    return file.getvalue()


def write_grids(grids: GridsByEpoch, path: Path) -> None:
    """Write a film, the same bytes for the same grids."""
    with zipfile.ZipFile(path, "w") as file:
        for epoch, grid in sorted(grids.items()):
            file.writestr(zipfile.ZipInfo(PNG_NAME.format(epoch)), grid)  # of no date


def read_grids(path: Path) -> GridsByEpoch:
    """Return what `write` wrote."""
    with zipfile.ZipFile(path) as file:
        return {int(name[6:11]): file.read(name) for name in file.namelist()}
