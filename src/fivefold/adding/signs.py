"""By what a column, or a table of them, is known."""

import math

import numpy as np
import pandas as pd

from ..config.datasets import Column
from ..data.columns import types
from ..data.columns.roles import PARTS

SEVERAL_WORDS = r"\s|[\u0e00-\u0eff\u3040-\u9fff]"
"""What stands in several words: what parts them, or a letter of a script that does not part them."""


def is_numeric(values: pd.Series) -> bool:
    """Say whether a column holds numbers."""
    return bool(pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype))


def holds_numbers(values: pd.Series) -> bool:
    """Say whether a column holds numbers, however they are written: 12% too."""
    text = not pd.api.types.is_numeric_dtype(values.dtype)
    return is_numeric(values) or (text and types.infer(values, Column())[0] == "numeric")


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
    return types.infer(values, Column())[0] == "categorical"


def is_text(values: pd.Series) -> bool:
    """Say whether words are text, not categories: most cells stand there once, and are several words."""
    cells = values.dropna().astype(str)
    return bool(cells.nunique() > len(cells) / 2) and are_sentences(cells)


def are_sentences(cells: pd.Series) -> bool:
    """Say whether most cells are several words, not one as a UUID or an address is."""
    return bool(cells.dropna().astype(str).str.strip().str.contains(SEVERAL_WORDS).mean() > 0.5)


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
