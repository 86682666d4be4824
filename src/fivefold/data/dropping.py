"""Rows that are left out of the set that they were drawn into, and what is said of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..config.base import Rule
from ..errors import DataError
from .findings import Finding
from .records import SPLITS, Array, Keys, Parts
from .splitting import suffice


def repeats(frame: pd.DataFrame, names: Sequence[str], rows: Array, parts: Parts) -> Array:
    """Return (n,) which rows repeat another in the columns `names`: no training row does for a held-out one.

    rows: (n,) positions in the frame of the rows that `parts` speaks of.
    """
    order = np.concatenate([parts[name] for name in SPLITS])  # of equal rows the first stays: a training row, if any
    codes = frame.groupby(list(names), sort=False, dropna=False).ngroup().to_numpy()[rows]
    found = np.zeros(len(rows), bool)
    found[order] = pd.Series(codes[order]).duplicated()
    return found


def leave_out(
    parts: Parts, out: Array, keys: Keys, rule: Rule, source: Path, remedy: str
) -> tuple[Parts, tuple[Finding, ...]]:
    """Return the sets without the rows of which `out` (n,) says so, and how many those are.

    Raises:
        DataError: too few rows are left; says `remedy`.
    """
    left = {name: index[~out[index]] for name, index in parts.items()}
    drawn = {name: index for name, index in left.items() if len(parts[name])}
    counts = {name: len(parts[name]) - len(left[name]) for name in SPLITS}
    if not any(counts.values()):
        return parts, ()
    for name, index in drawn.items():
        if not len(index):
            raise DataError(f"{source}: `{rule}: drop` leaves no row of the {name} set; {remedy}")
    suffice(keys, drawn)
    each = ", ".join(f"{count} {name}" for name, count in counts.items())
    text = f"`{rule}: drop` leaves out {sum(counts.values())} rows: {each}"
    return left, (Finding(rule=rule, level="note", text=text),)
