"""How one sees what a model makes while it is trained.

Shapes: n records, l numbers of noise, k classes (0: none are asked for).
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config.models import Model
from ..config.networks.autoencoder import Autoencoder, GenerationMode
from ..data.dataset import Dataset
from ..models.lightning import BaseModule
from ..models.serialization import build_head
from ..preprocessing.pipeline import Pipeline
from . import image_grid

MAX_CLASSES = 16
"""Classes that have a row of their own."""


class SamplePreview(NamedTuple):
    """How a model that makes images is looked at: draws a grid of them, PNG; epochs between two looks."""

    render: Callable[[], bytes]
    every_n_epochs: int


def sample_fixed_noise(latent_dim: int, n_classes: int, seed: int) -> Tensor:
    """Return the noise of a grid, (n, l + k), the same for the same seed: each class in a row of its own."""
    rows = min(n_classes, MAX_CLASSES) or image_grid.COLUMNS
    drawn = torch.randn(rows * image_grid.COLUMNS, latent_dim, generator=torch.Generator().manual_seed(seed))
    asked = torch.arange(rows).repeat_interleave(image_grid.COLUMNS)
    return torch.cat([drawn, functional.one_hot(asked, n_classes).float()], dim=1) if n_classes else drawn


@torch.no_grad()
def render_samples(
    network: nn.Module,
    generate_fn: Callable[[Tensor], Tensor],
    head: nn.Module,
    z: Tensor,
    pixel_range: tuple[float, float],
) -> bytes:
    """Return a grid of what `tell`, which is of `network`, makes of noise z (n, l + k); nothing of a training changes.

    output: what is told -> raw records. bounds: what of those is black, and what is white.
    """
    learning = [module for module in network.modules() if module.training]
    network.eval()
    told = generate_fn(z)
    for module in learning:
        module.training = True
    images: Tensor = head.to(told.device)(told, z)
    return image_grid.render_grid(images.float().cpu().numpy(), *pixel_range)


def compute_pixel_range(dataset: Dataset) -> tuple[float, float]:
    """Return the least and the largest number of training images."""
    x = dataset.train.x
    return float(x.min()), float(x.max())


def build_autoencoder_preview(
    params: Model, dataset: Dataset, pipeline: Pipeline, module: BaseModule, seed: int
) -> SamplePreview | None:
    """Return how one that makes images of noise is looked at; None of others."""
    network, schema = params.network, dataset.schema
    if not isinstance(network, Autoencoder) or not isinstance(network.mode, GenerationMode) or schema.kind != "images":
        return None
    output = build_head(network, schema, pipeline, params.training.loss)
    tell = cast(Callable[[Tensor], Tensor], module.eval_network.decode)
    z, bounds = sample_fixed_noise(network.latent_dim, 0, seed), compute_pixel_range(dataset)
    return SamplePreview(lambda: render_samples(module.eval_network, tell, output, z.to(module.device), bounds), 1)
