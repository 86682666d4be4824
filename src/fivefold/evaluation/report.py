"""What there is to say of a trained model: scores, tables, pictures and lines, whatever it learnt."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class EvaluationReport:
    """All that evaluate writes.

    scores: by set and name, those of test rows first; the leading score first.
    predictions: a row per record.
    tables: what is drawn, by name.
    pictures: by name; drawn when they are called.
    lines: what a person is told of the test rows.
    """

    scores: dict[str, dict[str, float]]
    predictions: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    plots: Mapping[str, Callable[[], "Figure"]]
    summary: list[str]
