"""A picture of a feature selection: a bar per feature of a table, a map of an image's pixels."""

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..data.schema import Schema
from ..plotting import figure, save
from .selection import Selected, feature_names

BARS = 20
"""Features shown at most, best first."""


def plot_selection(selected: Selected, schema: Schema, name: str, path: Path) -> None:
    """Draw the score of each feature, kept ones in colour."""
    table = selected.table
    pixels = schema.kind == "images" and len(table) == math.prod(schema.shape)
    fig = _map(selected, schema) if pixels else _bars(selected)
    axes = fig.axes[0]
    hidden = 0 if pixels else max(0, len(table) - BARS)
    more = f", {hidden} more not shown" if hidden else ""
    axes.set_title(f"{name}: {selected.summary}{more}")
    save(fig, path)


def _bars(selected: Selected) -> Figure:
    table = selected.table.head(BARS).iloc[::-1]
    fig, axes = figure(height=max(2.5, 0.24 * len(table) + 1))
    axes.barh(table.feature, table.score.fillna(0.0), color=["C0" if kept else "0.82" for kept in table.kept])
    axes.set_xlabel(selected.score)
    axes.margins(y=0.01)
    return fig


def _map(selected: Selected, schema: Schema) -> Figure:
    """Channels stand side by side; a pixel that is not kept, or never changes, is blank."""
    table = selected.table.set_index("feature").loc[feature_names(schema, schema.shape)]
    channels, height, width = schema.shape
    scores = table.score.where(table.kept).to_numpy(dtype=np.float64).reshape(schema.shape)
    fig, axes = figure(1.2 + 3.4 * channels * min(2.0, width / height), 3.8)
    image = axes.imshow(np.concatenate(scores, axis=1), cmap="viridis")
    for channel in range(1, channels):
        axes.axvline(channel * width - 0.5, color="white", linewidth=2)
    axes.set_xticks([])
    axes.set_yticks([])
    fig.colorbar(image, label=selected.score, shrink=0.85)
    return fig
