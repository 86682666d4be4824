"""What a network must know of its data: never in params.yaml, always from the data."""

from typing import NamedTuple


class Shape(NamedTuple):
    """Shape of one preprocessed record, without the batch, and how many numbers the network must give for it."""

    features: tuple[int, ...]
    outputs: int
    tokens: int = 0
    """Size of the vocabulary if a record is token indices, 0 being padding; else 0."""
