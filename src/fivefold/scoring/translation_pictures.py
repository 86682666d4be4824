"""Pictures of translated images, and of how a translator came about.

Shapes: n images.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..plotting import figure, title
from .record_pictures import rows
from .translations import Direction

LOOKS = {
    "kid": "kernel distance, that of the two classes being 1",
    "cycle_l1": "cycle L1, pixels from 0 to 1",
    "diversity": "diversity, 1 is that of real rows",
}
"""What was measured of validation rows, and what it says."""


def there_and_back(name: str, there: Direction, label: str) -> Figure:
    """Test images of a class, what they are in the other one, and what that is back."""
    shown = {"record": there.sources.x.astype(np.float64), "there": there.made, "back": there.back}
    return rows(f"{name}: test rows, what they are as {label}, and what that is back", shown)


def learning_curve(table: pd.DataFrame, model: str) -> Figure:
    """Losses of all players over epochs, and below them what was measured of validation rows."""
    fig, first = figure(6.0, 5.0)
    first.remove()
    above, below = fig.subplots(2, 1, sharex=True)
    for player in table.columns.drop(["epoch", *LOOKS]):
        above.plot(table.epoch, table[player], label=player.replace("_", ", "))
    seen = table.dropna()
    for measure, text in LOOKS.items():
        below.plot(seen.epoch, seen[measure], marker=".", label=text)
    above.set(ylabel="loss")
    below.set(xlabel="epoch")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (above, below):
        axes.legend(fontsize="small")
    title(fig, f"{model}: the contest")
    return fig
