"""What to say of cells that are read as numbers though they are written with more than digits."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..config.datasets import Column
from ..data.columns import types
from ..data.columns.numbers import DURATION, amounts
from ..errors import shown

UNIT = re.compile(r"[-+]?\d[\d.,' ]*?\s?([^\W\d_]{1,7}\d?|[^\W\d_]{1,4}/[^\W\d_]{1,4}|°[CF]?)")
"""A number with a unit behind it: 12 kg, 3,5m2, 80 km/h, 20°C."""

ORDINAL = frozenset(("st", "nd", "rd", "th"))
"""What stands behind 1st to 4th."""

LEAST, UNITS, MOST = 10, 4, 0.9
"""Different cells from which a column may be a number with a unit, its units at most, the share of its cells."""

HOURS = re.compile(r"(\d{1,3}):[0-5]\d")
A_DAY = 23
"""Hours above which those of two parts may be minutes."""

BEGINNING = 1_000
"""Rows that are looked at."""


def amounts_of(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a remark that names such columns, each with its first such cell; none if there are none."""
    found = list(_amounts(frame.head(BEGINNING)))
    return (f"read as numbers: {', '.join(found)}",) if found else ()


def units_of(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a remark that names columns of numbers with a unit, which are read as words; none if there are none."""
    found = list(_units(frame.head(BEGINNING)))
    remedy = "write the number alone to have it as one"
    return (f"numbers with a unit are read as words: {', '.join(found)}; {remedy}",) if found else ()


def _units(frame: pd.DataFrame) -> Iterator[str]:
    for name in frame.select_dtypes(["str", "object"]):
        cells = pd.Series(frame[name].dropna().astype(str).str.strip().unique(), dtype=str)
        units = cells.map(lambda cell: found[1] if (found := UNIT.fullmatch(cell)) else None).dropna()
        if len(units) < max(LEAST, MOST * len(cells)) or units.nunique() > UNITS or ORDINAL & set(units):
            continue
        if types.infer(frame[name], Column())[0] == "categorical":
            yield f"{name} {shown(cells[units.index[0]])}"


def _amounts(frame: pd.DataFrame) -> Iterator[str]:
    for name in frame.select_dtypes(["str", "object"]):
        if types.infer(frame[name], Column())[0] != "numeric":
            continue
        words = pd.Series(frame[name].dropna().astype(str).str.strip().str.lower().unique())
        written = words[pd.to_numeric(words, errors="coerce").isna()]
        values = amounts(written)
        if values.notna().any():
            at = int(np.flatnonzero(values.notna())[0])
            yield f"{name} {shown(written.iloc[at])} as {values.iloc[at]:.10g}{_seconds(written, written.iloc[at])}"


def _seconds(words: pd.Series, first: str) -> str:
    """Return the unit of a duration, and what a person who meant minutes and seconds must do."""
    if not DURATION.fullmatch(first):
        return ""
    long = next((word for word in words if (found := HOURS.fullmatch(word)) and int(found[1]) > A_DAY), "")
    return f" seconds (of hours and minutes; if {long} is minutes and seconds, write 00:{long})" if long else " seconds"
