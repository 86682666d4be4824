"""Render images that a model generates during training.

Shapes: n samples, l latent dimensions, k classes (0 without conditioning).
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
"""Number of classes that are shown, one per row."""


class SamplePreview(NamedTuple):
    """A function that renders a grid of generated images as PNG, and the number of epochs between two grids."""

    render: Callable[[], bytes]
    every_n_epochs: int


def sample_fixed_noise(latent_dim: int, n_classes: int, seed: int) -> Tensor:
    """Return the noise and the one-hot classes of a grid, (n, l + k), determined by the seed; one class per row."""
    rows = min(n_classes, MAX_CLASSES) or image_grid.COLUMNS
    noise = torch.randn(rows * image_grid.COLUMNS, latent_dim, generator=torch.Generator().manual_seed(seed))
    classes = torch.arange(rows).repeat_interleave(image_grid.COLUMNS)
    return torch.cat([noise, functional.one_hot(classes, n_classes).float()], dim=1) if n_classes else noise


@torch.no_grad()
def render_samples(
    network: nn.Module,
    generate_fn: Callable[[Tensor], Tensor],
    head: nn.Module,
    z: Tensor,
    pixel_range: tuple[float, float],
) -> bytes:
    """Return a PNG grid of the images that are generated from z (n, l + k); the state of training does not change.

    generate_fn: `network` or a method of it. head: outputs of `generate_fn` -> raw images.
    pixel_range: raw values that are drawn black and white.
    """
    training_modules = [module for module in network.modules() if module.training]
    network.eval()
    outputs = generate_fn(z)
    for module in training_modules:
        module.training = True
    images: Tensor = head.to(outputs.device)(outputs, z)
    return image_grid.render_grid(images.float().cpu().numpy(), *pixel_range)


def compute_pixel_range(dataset: Dataset) -> tuple[float, float]:
    """Return the minimum and the maximum of the training images."""
    x = dataset.train.x
    return float(x.min()), float(x.max())


def build_autoencoder_preview(
    params: Model, dataset: Dataset, pipeline: Pipeline, module: BaseModule, seed: int
) -> SamplePreview | None:
    """Return the preview of an autoencoder that generates images; None for other models."""
    network, schema = params.network, dataset.schema
    if not isinstance(network, Autoencoder) or not isinstance(network.mode, GenerationMode) or schema.kind != "images":
        return None
    head = build_head(network, schema, pipeline, params.training.loss)
    decode = cast(Callable[[Tensor], Tensor], module.eval_network.decode)
    z, pixel_range = sample_fixed_noise(network.latent_dim, 0, seed), compute_pixel_range(dataset)
    return SamplePreview(lambda: render_samples(module.eval_network, decode, head, z.to(module.device), pixel_range), 1)
