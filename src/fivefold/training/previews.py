"""How one sees what a model makes while it is trained.

Shapes: n records, l numbers of noise, k classes (0: none are asked for).
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config.models import Model
from ..config.networks.autoencoder import Autoencoder, Generate
from ..data.dataset import Dataset
from ..models.lightning import Trained
from ..models.serialization import last_part
from ..preprocessing.pipeline import Chain
from . import image_grid

MOST = 16
"""Classes that have a row of their own."""


class Showing(NamedTuple):
    """How a model that makes images is looked at: draws a grid of them, PNG; epochs between two looks."""

    draw: Callable[[], bytes]
    every: int


def fixed(latent: int, classes: int, seed: int) -> Tensor:
    """Return the noise of a grid, (n, l + k), the same for the same seed: each class in a row of its own."""
    rows = min(classes, MOST) or image_grid.SIDE
    drawn = torch.randn(rows * image_grid.SIDE, latent, generator=torch.Generator().manual_seed(seed))
    asked = torch.arange(rows).repeat_interleave(image_grid.SIDE)
    return torch.cat([drawn, functional.one_hot(asked, classes).float()], dim=1) if classes else drawn


@torch.no_grad()
def draw(
    network: nn.Module, tell: Callable[[Tensor], Tensor], output: nn.Module, z: Tensor, bounds: tuple[float, float]
) -> bytes:
    """Return a grid of what `tell`, which is of `network`, makes of noise z (n, l + k); nothing of a training changes.

    output: what is told -> raw records. bounds: what of those is black, and what is white.
    """
    learning = [module for module in network.modules() if module.training]
    network.eval()
    told = tell(z)
    for module in learning:
        module.training = True
    images: Tensor = output.to(told.device)(told, z)
    return image_grid.sheet(images.float().cpu().numpy(), *bounds)


def bounds_of(dataset: Dataset) -> tuple[float, float]:
    """Return the least and the largest number of training images."""
    x = dataset.train.x
    return float(x.min()), float(x.max())


def of_autoencoder(params: Model, dataset: Dataset, chain: Chain, module: Trained, seed: int) -> Showing | None:
    """Return how one that makes images of noise is looked at; None of others."""
    network, schema = params.network, dataset.schema
    if not isinstance(network, Autoencoder) or not isinstance(network.purpose, Generate) or schema.kind != "images":
        return None
    output = last_part(network, schema, chain, params.training.loss)
    tell = cast(Callable[[Tensor], Tensor], module.judged.decode)
    z, bounds = fixed(network.latent, 0, seed), bounds_of(dataset)
    return Showing(lambda: draw(module.judged, tell, output, z.to(module.device), bounds), 1)
