"""How one sees what a model makes while it is trained.

Shapes: n records, l numbers of noise, k classes (0: none are asked for).
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data.schema import Schema
from ..families.autoencoder.params import Autoencoder, Generate
from ..families.saved import last_part
from ..families.trained import Trained
from ..params.models import Model
from ..preprocessing.chain import Chain
from . import film


class Showing(NamedTuple):
    """How a model that makes images is looked at: draws a grid of them, PNG; epochs between two looks."""

    draw: Callable[[], bytes]
    every: int


def fixed(latent: int, classes: int, seed: int) -> Tensor:
    """Return the noise of a grid, (n, l + k), the same for the same seed: each class in a row of its own."""
    rows = min(classes, film.SIDE) or film.SIDE
    drawn = torch.randn(rows * film.SIDE, latent, generator=torch.Generator().manual_seed(seed))
    asked = torch.arange(rows).repeat_interleave(film.SIDE)
    return torch.cat([drawn, functional.one_hot(asked, classes).float()], dim=1) if classes else drawn


@torch.no_grad()
def draw(network: nn.Module, tell: Callable[[Tensor], Tensor], output: nn.Module, z: Tensor) -> bytes:
    """Return a grid of what `tell`, which is of `network`, makes of noise z (n, l + k); nothing of a training changes.

    output: what is told -> raw records.
    """
    learning = [module for module in network.modules() if module.training]
    network.eval()
    told = tell(z)
    for module in learning:
        module.training = True
    images: Tensor = output.to(told.device)(told, z)
    return film.sheet(images.float().cpu().numpy())


def of_autoencoder(params: Model, schema: Schema, chain: Chain, module: Trained, seed: int) -> Showing | None:
    """Return how one that makes images of noise is looked at; None of others."""
    network = params.network
    if not isinstance(network, Autoencoder) or not isinstance(network.purpose, Generate) or schema.kind != "images":
        return None
    output = last_part(network, schema, chain, params.training.loss)
    tell = cast(Callable[[Tensor], Tensor], module.judged.decode)
    z = fixed(network.latent, 0, seed)
    return Showing(lambda: draw(module.judged, tell, output, z.to(module.device)), 1)
