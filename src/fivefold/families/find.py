"""Find a family's parts by its name: a family is the folder of that name."""

from importlib import import_module
from typing import TYPE_CHECKING

from torch import nn

from ..params.models import Network
from .shape import Shape

if TYPE_CHECKING:
    from .supervised import Supervised


def build_network(params: Network, shape: Shape) -> nn.Module:
    """Return the untrained network that `params` describe, for records of `shape`."""
    network: nn.Module = import_module(f"fivefold.families.{params.family}.network").build(params, shape)
    return network


def module_class(family: str) -> "type[Supervised]":
    """Return the Lightning module class that trains a family; importing it imports Lightning."""
    module: type[Supervised] = import_module(f"fivefold.families.{family}.module").Module
    return module
