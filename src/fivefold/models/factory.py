"""Find a family's network by its name: a family is the folder of that name.

What a network must know of its data: never in params.yaml, always from the data.
"""

import os
from importlib import import_module
from typing import NamedTuple

import torch
from torch import nn

from ..config.models import NetworkConfig
from ..errors import ParamsError


class InputSpec(NamedTuple):
    """Shape of one preprocessed record, without the batch, and how many numbers the network must give for it."""

    shape: tuple[int, ...]
    """(features,) of a table, (channels, height, width) of images, (steps, values) of sequences and series, (tokens,)
    of text."""
    n_outputs: int
    vocab_size: int = 0
    """Size of the vocabulary if a record is token indices, 0 being padding; else 0."""
    has_mask: bool = False
    """Whether the last value of each step of a sequence says that it is one, 1, or padding, 0; padding comes last."""
    one_hot_sizes: tuple[int, ...] = ()
    """Of a table whose last features are categories: how many features, one 1 and the rest 0, each of them takes."""
    n_classes: int = 0
    """Classes of the records, which a network may be asked for; 0 if they have values."""


def build_network(params: NetworkConfig, spec: InputSpec) -> nn.Module:
    """Return the untrained network that `params` describe, for records of `shape`.

    Raises:
        ParamsError: it does not fit the records, or its weights alone are larger than this machine's memory; the
            text begins with the key, below `models.<name>`.
    """
    build = import_module(f"fivefold.models.{params.family}.network").build
    with torch.device("meta"):  # shapes without numeric_transform: costs nothing
        needed = sum(p.nbytes for p in build(params, spec).parameters())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        raise ParamsError(
            f"network must fit into memory, {memory / 2**30:.0f} GiB, but its weights take {needed / 2**30:,.0f} GiB;"
            " make it narrower"
        )
    network: nn.Module = build(params, spec)
    return network
