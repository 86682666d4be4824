"""By what a column, or a table of them, is known."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..data import columns
from ..data.roles import PARTS
from ..params.datasets import Column
from .groups import says_ids

SERIES = ("series", "sequence", "case", "id", "sample", "subject", "recording", "record", "trial", "session", "episode")
STEPS = ("t", "step", "time", "index", "timestamp", "date", "frame", "timestep", "time_step", "ms", "seconds")


def step_columns(frame: pd.DataFrame, names: list[str], target: str, *, sure: bool) -> Iterator[tuple[str, str]]:
    """Yield pairs of columns that may be sequence and step, of which the target is constant within a sequence.

    Their names have to tell it, and steps to begin again in each sequence: else a counter of rows beside any column
    that determines the target would do.
    sure: a person says that there are sequences, so columns of other names may be it whose steps rise.
    """
    ids = sorted(names, key=lambda name: not says_series(name))
    steps = sorted(names, key=lambda name: name.lower() not in STEPS)
    for series in ids:
        rows = frame[series].map(frame[series].value_counts())
        if not (1 < frame[series].nunique() < len(frame)) or frame[series].isna().any():
            continue
        once = frame.drop_duplicates([series, target])[series].is_unique
        for step in (name for name in steps if once and name != series):
            named = says_series(series) and step.lower() in STEPS and (sure or begin_again(frame, series, step))
            # each sequence has five steps or more, which stand in order
            rising = sure and rows.min() >= 5 and is_numeric(frame[step]) and _rises(frame, series, step)
            if (named or rising) and not frame.duplicated([series, step]).any():
                yield series, step


def says_series(name: str) -> bool:
    """Say whether a name is one of sequences."""
    return name.lower() in SERIES or says_ids(name)


def begin_again(frame: pd.DataFrame, series: str, step: str) -> bool:
    """Say whether every sequence begins before any other has ended."""
    places = pd.Series(pd.factorize(frame[step], sort=True)[0]).groupby(frame[series].to_numpy())
    return bool(places.min().max() <= places.max().min())


def _rises(frame: pd.DataFrame, series: str, step: str) -> bool:
    apart = frame.groupby(series)[step].diff().dropna()
    return bool((apart > 0).all())


def is_numeric(values: pd.Series) -> bool:
    """Say whether a column holds numbers."""
    return bool(pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype))


def is_fold(values: pd.Series) -> bool:
    """Say whether a column numbers the folds of a cross-validation."""
    named = str(values.name).lower() in ("fold", "folds", "kfold", "cv_fold", "fold_id")
    return named and is_numeric(values) and 2 <= values.nunique() <= 20


def says_parts(values: pd.Series) -> bool:
    """Say whether a column names training and test rows."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return False
    words = set(values.dropna().astype(str).str.strip().str.lower().unique()[:10])
    return {PARTS.get(word) for word in words} >= {"train", "test"}


def is_words(values: pd.Series) -> bool:
    """Say whether a column holds words: neither numbers nor dates, nor yes and no."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return False
    return columns.infer(values, Column())[0] == "categorical"


def is_text(values: pd.Series) -> bool:
    """Say whether words are text, not categories: most cells stand there once."""
    cells = values.dropna().astype(str)
    return bool(cells.nunique() > len(cells) / 2)


def cells_that_are_none(frame: pd.DataFrame) -> tuple[str, str] | None:
    """Return the first column of Parquet whose cells are lists, structures or bytes, and what they are."""
    for name in (name for name in frame if pd.api.types.is_object_dtype(frame[name].dtype)):
        known = frame[name].dropna()
        cell = known.iloc[0] if len(known) else ""
        found = {dict: "structures", bytes: "bytes", list: "lists", np.ndarray: "lists"}.get(type(cell))
        if found:
            return str(name), found
    return None


def are_pixels(frame: pd.DataFrame) -> bool:
    """Say whether columns are the pixels of a square image: as many as a square has, whole numbers from 0 to 255."""
    width = frame.shape[1]
    square = any(width % c == 0 and math.isqrt(width // c) ** 2 == width // c for c in (1, 3, 4))
    if width < 64 or not square or not all(pd.api.types.is_integer_dtype(kind) for kind in frame.dtypes):
        return False
    values = frame.head(1000).to_numpy()
    return bool(values.min() >= 0 and 15 < values.max() <= 255)
