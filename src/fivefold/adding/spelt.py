"""What to say of cells that are read as numbers though they are written with more than digits."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..data import columns
from ..data.amounts import CLOCK, amounts
from ..errors import shown
from ..params.datasets import Column

BEGINNING = 1_000
"""Rows that are looked at."""


def amounts_of(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a remark that names such columns, each with its first such cell; none if there are none."""
    found = list(_amounts(frame.head(BEGINNING)))
    return (f"read as numbers: {', '.join(found)}",) if found else ()


def _amounts(frame: pd.DataFrame) -> Iterator[str]:
    for name in frame.select_dtypes(["str", "object"]):
        if columns.infer(frame[name], Column())[0] != "numeric":
            continue
        words = pd.Series(frame[name].dropna().astype(str).str.strip().str.lower().unique())
        written = words[pd.to_numeric(words, errors="coerce").isna()]
        values = amounts(written)
        if values.notna().any():
            at = int(np.flatnonzero(values.notna())[0])
            seconds = " seconds" if CLOCK.fullmatch(written.iloc[at]) else ""
            yield f"{name} {shown(written.iloc[at])} as {values.iloc[at]:.10g}{seconds}"
