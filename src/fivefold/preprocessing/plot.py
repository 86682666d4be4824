"""A picture of a feature selection."""

from pathlib import Path

from ..plotting import figure, save
from .selection import Selected

BARS = 40
"""Features shown at most, best first."""


def plot_selection(selected: Selected, name: str, path: Path) -> None:
    """Draw the score of each feature as a bar, kept ones filled."""
    table = selected.table.head(BARS).iloc[::-1]
    fig, axes = figure(height=max(2.5, 0.24 * len(table) + 1))
    colours = ["C0" if kept else "0.82" for kept in table.kept]
    axes.barh(table.feature, table.score.fillna(1.0), color=colours)
    axes.set_xlabel(selected.score)
    hidden = len(selected.table) - len(table)
    more = f", {hidden} more not shown" if hidden else ""
    axes.set_title(f"{name}: {int(selected.table.kept.sum())} of {len(selected.table)} features kept{more}")
    axes.margins(y=0.01)
    save(fig, path)
