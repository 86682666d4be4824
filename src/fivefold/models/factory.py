"""Build the network of a family: the package of that name under `fivefold.models`."""

import os
from importlib import import_module
from typing import NamedTuple

import torch
from torch import nn

from ..config.models import NetworkConfig
from ..errors import ParamsError


class InputSpec(NamedTuple):
    """What a network has to know about its data: inferred from the data, never set in params.yaml."""

    shape: tuple[int, ...]
    """Shape of one preprocessed sample: (features,) of a table, (channels, height, width) of images, (steps, values) of
    sequences and series, (tokens,) of text.
    """
    n_outputs: int
    """Number of outputs per sample."""
    vocab_size: int = 0
    """Size of the vocabulary if a sample consists of token indices, 0 being padding; else 0."""
    has_mask: bool = False
    """Whether the last value of each step of a sequence is its mask: 1 for a real step, 0 for padding at the end."""
    one_hot_sizes: tuple[int, ...] = ()
    """Number of one-hot columns of each categorical feature; they are the last features of a table."""
    n_classes: int = 0
    """Number of classes of the target; 0 for regression."""


def build_network(params: NetworkConfig, spec: InputSpec) -> nn.Module:
    """Return the untrained network that `params` describe, for data of shape `spec`.

    Raises:
        ParamsError: the network does not fit the data, or its weights exceed the machine's memory; the message begins
            with the key below `models.<name>`.
    """
    build = import_module(f"fivefold.models.{params.family}.network").build
    with torch.device("meta"):  # shapes only: no memory is allocated
        needed = sum(p.nbytes for p in build(params, spec).parameters())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        raise ParamsError(
            f"network must fit into memory ({memory / 2**30:.0f} GiB), but its weights need"
            f" {needed / 2**30:,.0f} GiB; reduce the layer sizes"
        )
    network: nn.Module = build(params, spec)
    return network
