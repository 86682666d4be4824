"""A CSV read piece by piece: read at once, its cells take several times what is made of them.

A column has one type, however long the file: as words where a piece of it holds words. Whole numbers take the least
bytes that hold them.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

CELLS = 2**22
"""Cells of a piece."""


def read_pieces(source: Path, names: Sequence[str], words: Sequence[str], how: dict[str, Any]) -> pd.DataFrame:
    """Return the table at `source`; a file of one piece as pandas reads it.

    names: of all columns. words: those that are read as they are spelt. how: further arguments of `read_csv`.
    """
    pieces = _pieces(source, names, {name: str for name in names if name in words}, how)
    first, second = next(pieces), next(pieces, None)
    if second is None:
        return first
    read = [_small(piece) for piece in chain((first, second), pieces)]
    del first, second
    mixed = [name for name in names if not _of_one_type([piece[name] for piece in read])]
    if mixed:
        spelt = _pieces(source, names, dict.fromkeys(mixed, str), {**how, "usecols": mixed})
        for piece, again in zip(read, spelt, strict=True):
            piece[mixed] = again[mixed]
    return pd.DataFrame({name: _joined([piece[name] for piece in read]) for name in names}, copy=False)


def _pieces(source: Path, names: Sequence[str], dtype: dict[str, type], how: dict[str, Any]) -> Iterator[pd.DataFrame]:
    rows = max(CELLS // len(names), 1)
    with pd.read_csv(source, names=names, dtype=dtype, chunksize=rows, low_memory=False, **how) as reader:
        yield from reader


def _small(piece: pd.DataFrame) -> pd.DataFrame:
    """Return a piece with the least bytes for its whole numbers."""
    whole = piece.select_dtypes("integer")
    small = {name: pd.to_numeric(whole[name], downcast="integer").dtype for name in whole}
    return piece.astype(small).copy()  # side by side: many small arrays would leave holes in memory


def _of_one_type(parts: Sequence[pd.Series]) -> bool:
    """Say whether pieces are all numbers, all flags or all words; one without any value is of each of these."""
    return len({_kind(part) for part in parts if not part.isna().all()}) <= 1


def _kind(part: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(part.dtype):
        return "flags"
    return "numbers" if pd.api.types.is_numeric_dtype(part.dtype) else "words"


def _joined(parts: Sequence[pd.Series]) -> Any:
    """Return the values of all pieces of a column."""
    words = next((part.dtype for part in parts if _kind(part) == "words"), None)
    same = parts if words is None else [part.astype(words) for part in parts]
    return pd.concat(same, ignore_index=True).array
