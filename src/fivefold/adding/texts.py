"""Columns of text, and whether a table is there for them."""

from dataclasses import dataclass

import pandas as pd

from .signs import are_sentences, is_text, is_words

LONG_TEXT = 25.0
"""Mean characters of a cell from which a column of words is text."""

BESIDE = 3
"""Other columns beside which a text of `LONG_TEXT` is still what the table is about; a longer one bears more."""


@dataclass(frozen=True)
class Texts:
    """Columns of text, the longest first, the other columns, and the mean characters of the longest."""

    columns: tuple[str, ...]
    others: tuple[str, ...]
    longest: float


def texts_of(frame: pd.DataFrame, names: list[str], *, sure: bool) -> Texts:
    """Return which of the columns `names` are text.

    sure: a person says that there is text: without long ones, the longest column of words is it, one of several words
        a cell first.
    """
    lengths = {name: _mean_length(frame[name]) for name in names if is_words(frame[name])}
    texts = [name for name, length in lengths.items() if length >= LONG_TEXT and is_text(frame[name])]
    texts.sort(key=lambda name: -lengths[name])
    if sure and not texts and lengths:
        texts = [max(lengths, key=lambda name: (are_sentences(frame[name]), lengths[name]))]
    others = tuple(name for name in names if name not in texts)
    return Texts(tuple(texts), others, lengths[texts[0]] if texts else 0.0)


def reads_as_text(texts: Texts) -> bool:
    """Say whether the text is what a table is about: reviews with a date and a user, not passengers with a name."""
    return bool(texts.columns) and texts.longest >= LONG_TEXT * max(1.0, len(texts.others) / BESIDE)


def _mean_length(values: pd.Series) -> float:
    cells = values.dropna().astype(str)
    return float(cells.str.len().mean()) if len(cells) else 0.0
