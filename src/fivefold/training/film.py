"""What a model makes of the same noise, epoch by epoch: a grid of images each time, kept as PNG files in a ZIP.

Shapes: n images, c channels, h x w pixels.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.records import Array

FILE = "samples.zip"
"""In the folder of a model; empty where it makes no images."""

KEY = "samples/grid"
"""Of the series of pictures in MLflow: a section of its own."""

SIDE = 8
"""Images across, and down at most."""

WIDTH = 256
"""Pixels that a grid is wide at least: small images are enlarged by whole numbers."""

NAME = "epoch-{:05d}.png"

Film = dict[int, bytes]
"""Number of an epoch, from 1 and 0 before the first -> a grid as PNG."""


def sheet(images: Array) -> bytes:
    """Return images (n, c, h, w) from 0 to 255 as a grid of `SIDE` across, row by row, PNG.

    Of two channels the first is seen, of four the first three.
    """
    colours = images[:, : 3 if images.shape[1] >= 3 else 1]
    n, c, h, w = colours.shape
    down = -(-n // SIDE)
    tiles = np.full((down * SIDE, h + 1, w + 1, c), 255, np.uint8)  # a white line below and beside each
    tiles[:n, :h, :w] = colours.round().clip(0, 255).transpose(0, 2, 3, 1)
    grid = tiles.reshape(down, SIDE, h + 1, w + 1, c).transpose(0, 2, 1, 3, 4)
    grid = grid.reshape(down * (h + 1), SIDE * (w + 1), c)[:-1, :-1]
    times = -(-WIDTH // grid.shape[1])
    grid = grid.repeat(times, 0).repeat(times, 1)
    file = io.BytesIO()
    Image.fromarray(grid if c == 3 else grid[..., 0]).save(file, "PNG")
    return file.getvalue()


def write(film: Film, path: Path) -> None:
    """Write a film, the same bytes for the same grids."""
    with zipfile.ZipFile(path, "w") as file:
        for epoch, grid in sorted(film.items()):
            file.writestr(zipfile.ZipInfo(NAME.format(epoch)), grid)  # of no date


def read(path: Path) -> Film:
    """Return what `write` wrote."""
    with zipfile.ZipFile(path) as file:
        return {int(name[6:11]): file.read(name) for name in file.namelist()}
