"""Columns that say of a row where it belongs, and are no features."""

import numpy as np
import pandas as pd

from ..errors import DataError, shown
from .records import Array

PARTS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
}


def given_parts(values: pd.Series, origin: object) -> Array:
    """Return train, validation or test for each row, as the source says it.

    Raises:
        DataError: a row says something else, or there is no training or test row.
    """
    codes, words = pd.factorize(values, use_na_sentinel=False)
    known = pd.Series([PARTS.get(str(word).strip().lower()) for word in words], dtype=object)
    parts = known.take(codes).reset_index(drop=True)
    if parts.isna().any():
        row = int(np.flatnonzero(parts.isna().to_numpy())[0])
        raise DataError(
            f"{origin}: column {values.name!r} must say train, validation or test, but row {values.index[row] + 1} says"
            f" {shown(values.iloc[row])}; mend it, or split another way"
        )
    for part in ("train", "test"):
        if part not in set(parts):
            raise DataError(
                f"{origin}: column {values.name!r} must name {part} rows, but names none; split another way"
            )
    return np.asarray(parts)


def groups_of(values: pd.Series, origin: object) -> Array:
    """Return a number for each row, the same for rows of one group; a `DataError` names the first without one."""
    gaps = np.flatnonzero(values.isna().to_numpy())
    if len(gaps):
        raise DataError(
            f"{origin}: every row must have a group, but row {values.index[gaps[0]] + 1} of column {values.name!r} is"
            f" empty ({len(gaps)} such rows); fill it in"
        )
    return np.asarray(pd.factorize(values)[0])
