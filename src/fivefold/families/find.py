"""Find a family's network by its name: a family is the folder of that name."""

import os
from importlib import import_module

import torch
from torch import nn

from ..config.models import Network
from ..errors import ParamsError
from .shape import Shape


def build_network(params: Network, shape: Shape) -> nn.Module:
    """Return the untrained network that `params` describe, for records of `shape`.

    Raises:
        ParamsError: it does not fit the records, or its weights alone are larger than this machine's memory; the
            text begins with the key, below `models.<name>`.
    """
    build = import_module(f"fivefold.families.{params.family}.network").build
    with torch.device("meta"):  # shapes without numbers: costs nothing
        needed = sum(p.nbytes for p in build(params, shape).parameters())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        raise ParamsError(
            f"network must fit into memory, {memory / 2**30:.0f} GiB, but its weights take {needed / 2**30:,.0f} GiB;"
            " make it narrower"
        )
    network: nn.Module = build(params, shape)
    return network
