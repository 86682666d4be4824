"""The result of an evaluation: scores, predictions, tables, plots and a summary, for every model family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class EvaluationReport:
    """Everything that the evaluate stage writes.

    Attributes:
        scores: Metrics by split (`test`, `val`, `train`) and name; the test split and the main metric come first.
        predictions: One row per sample.
        tables: Data of the plots, by name.
        plots: Functions that draw the plots, by name.
        summary: Lines about the test split, printed on the console.
    """

    scores: dict[str, dict[str, float]]
    predictions: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    plots: Mapping[str, Callable[[], "Figure"]]
    summary: list[str]
