"""Render grids of images that a model generates from the same noise in each epoch, and store them in a ZIP archive.

Shapes: n images, c channels, h x w pixels.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.dataset import Array

ARCHIVE_NAME = "sample_grids.zip"
"""File in the folder of a model; the archive is empty if the model generates no images."""

MLFLOW_KEY = "samples/grid"
"""Key of the image series in MLflow."""

COLUMNS = 8
"""Images per row of a grid."""

MIN_WIDTH = 512
"""Minimum total width of the images of a row, in pixels; small images are enlarged by an integer factor."""

SPACING = 2
"""Pixels between images."""

PNG_NAME = "epoch-{:05d}.png"

GridsByEpoch = dict[int, bytes]
"""Number of finished epochs, 0 before training -> grid as PNG."""


def render_grid(images: Array, low: float, high: float) -> bytes:
    """Return images (n, c, h, w) as a PNG grid with `COLUMNS` images per row; `low` is black, `high` is white.

    Of two channels the first is shown, of four or more the first three.
    """
    pixels = images[:, : 3 if images.shape[1] >= 3 else 1]
    pixels = ((pixels - low) / ((high - low) or 1) * 255).round().clip(0, 255).astype(np.uint8)
    factor = -(-MIN_WIDTH // (COLUMNS * images.shape[3]))
    pixels = pixels.repeat(factor, 2).repeat(factor, 3)
    n, c, h, w = pixels.shape
    n_rows = -(-n // COLUMNS)
    tiles = np.full((n_rows * COLUMNS, h + SPACING, w + SPACING, c), 255, np.uint8)
    tiles[:n, :h, :w] = pixels.transpose(0, 2, 3, 1)
    grid = tiles.reshape(n_rows, COLUMNS, h + SPACING, w + SPACING, c).transpose(0, 2, 1, 3, 4)
    grid = grid.reshape(n_rows * (h + SPACING), COLUMNS * (w + SPACING), c)[:-SPACING, :-SPACING]
    file = io.BytesIO()
    Image.fromarray(grid if c == 3 else grid[..., 0]).save(file, "PNG")
    return file.getvalue()


def write_grids(grids: GridsByEpoch, path: Path) -> None:
    """Write grids to a ZIP archive; the same grids give the same bytes."""
    with zipfile.ZipFile(path, "w") as file:
        for epoch, grid in sorted(grids.items()):
            file.writestr(zipfile.ZipInfo(PNG_NAME.format(epoch)), grid)  # ZipInfo without a date


def read_grids(path: Path) -> GridsByEpoch:
    """Return the grids that `write_grids` wrote."""
    with zipfile.ZipFile(path) as file:
        return {int(name[6:11]): file.read(name) for name in file.namelist()}
