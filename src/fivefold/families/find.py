"""Find a family's network by its name: a family is the folder of that name."""

from importlib import import_module

from torch import nn

from ..params.models import Network
from .shape import Shape


def build_network(params: Network, shape: Shape) -> nn.Module:
    """Return the untrained network that `params` describe, for records of `shape`."""
    network: nn.Module = import_module(f"fivefold.families.{params.family}.network").build(params, shape)
    return network
