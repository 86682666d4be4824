"""How every picture looks: one size, one style, no display, the same bytes for the same data."""

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
    """Return a figure of `width` x `height` inches with one pair of axes, without pyplot and its start-up."""
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(fig)
        return fig, fig.subplots()


def set_title(fig: Figure, text: str) -> None:
    """Give a figure a title, broken into lines as its width asks."""
    letters = max(20, int(fig.get_figwidth() * 13))
    fig.suptitle("\n".join(textwrap.wrap(text, letters)), fontsize="medium", fontweight="bold")


def save_figure(fig: Figure, path: Path) -> None:
    """Write a figure as PNG without the date and version that would change its digest."""
    fig.savefig(path, dpi=110, metadata={"Software": None})
