"""The last part of a generator's model: features made of noise -> raw records."""

from torch import nn

from ...data.schema import Schema
from ...preprocessing.chain import Chain
from ..undo import Sample
from .params import Gan


def last_part(params: Gan, schema: Schema, chain: Chain) -> nn.Module:
    """Return the last part of a model.

    Raises:
        ParamsError: the preprocessing cannot be undone.
    """
    return Sample(chain, images=schema.kind == "images")
