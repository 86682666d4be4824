"""An encoder layer by layer, as plain facts: `preprocessing.encoder` makes another model's preprocessing of them."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from ...errors import ParamsError
from ..layers import ACTIVATIONS
from .network import AutoencoderNetwork

NAMES = {layer: name for name, layer in ACTIVATIONS.items()}


def unrolled(network: AutoencoderNetwork) -> list[dict[str, Any]]:
    """Return the layers from features to codes; of a variational one to their means. Plain JSON values.

    at: where a layer's weights stand among those of the model.

    Raises:
        ParamsError: a layer is none that can be told so, such as a recurrent one.
    """
    parts = {"to_code": network.to_code, "code": network.code}
    every = [(f"encoder.{name}", part) for name, part in network.encoder.named_modules() if not list(part.children())]
    return [fact for name, part in (*every, *parts.items()) for fact in _told(f"network.{name}", part)]


def _told(name: str, part: nn.Module) -> Iterator[dict[str, Any]]:
    match part:
        case nn.Linear():
            yield {"kind": "dense", "at": name}
        case nn.Conv2d():
            yield {"kind": "convolve", "at": name, "stride": part.stride[0], "padding": part.padding[0]}
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            yield {"kind": "norm", "at": name, "eps": part.eps, "places": 2 * isinstance(part, nn.BatchNorm2d)}
        case nn.Flatten() | nn.Identity():
            pass
        case _ if type(part) in NAMES:
            yield {"kind": NAMES[type(part)]}
        case _:
            raise ParamsError(f"an encoder's layers must be dense or convolutions, but {name} is {part}; name another")
