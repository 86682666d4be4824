"""Style of all plots. Figures need no display, and the same data gives the same bytes."""

import textwrap
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "date.converter": "concise",
    "font.size": 9,
    "legend.frameon": False,
}


def make_figure(width: float = 6.0, height: float = 4.0) -> tuple[Figure, Axes]:
    """Return a figure of `width` x `height` inches and its axes, without importing pyplot, which is slow."""
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(fig)
        return fig, fig.subplots()


def set_title(fig: Figure, text: str) -> None:
    """Set the title of a figure, wrapped to its width."""
    max_chars = max(20, int(fig.get_figwidth() * 13))
    fig.suptitle("\n".join(textwrap.wrap(text, max_chars)), fontsize="medium", fontweight="bold")


def save_figure(fig: Figure, path: Path) -> None:
    """Write a figure as PNG, without metadata that would change its hash."""
    fig.savefig(path, dpi=110, metadata={"Software": None})
