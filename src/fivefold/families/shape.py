"""What a network must know of its data: never in params.yaml, always from the data."""

from typing import NamedTuple


class Shape(NamedTuple):
    """Shape of one preprocessed record, without the batch, and how many numbers the network must give for it."""

    features: tuple[int, ...]
    """(features,) of a table, (channels, height, width) of images, (steps, values) of sequences and series, (tokens,)
    of text."""
    outputs: int
    tokens: int = 0
    """Size of the vocabulary if a record is token indices, 0 being padding; else 0."""
    masked: bool = False
    """Whether the last value of each step of a sequence says that it is one, 1, or padding, 0; padding comes last."""
    categories: tuple[int, ...] = ()
    """Of a table whose last features are categories: how many features, one 1 and the rest 0, each of them takes."""
    classes: int = 0
    """Classes of the records, which a network may be asked for; 0 if they have values."""
