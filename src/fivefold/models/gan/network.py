"""Generative adversarial networks: a generator of samples from noise, and its discriminator.

Source: Goodfellow et al. 2014; Radford et al. 2016 (dcgan); Miyato et al. 2018 (resnet); Karras et al. 2020 (stylegan);
Mirza & Osindero 2014 (label) and Miyato & Koyama 2018 (projection) for class conditioning; Lin et al. 2018 (packs).
Shapes: b samples, l latent dimensions, k classes (0: unconditional), w dimensions of noise and class embedding, r shape
of a sample, e embedding dimensions of a class.
"""

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ...config.networks.gan import Gan
from ...errors import ParamsError
from ..factory import InputSpec
from .dcgan import DCGANDiscriminator, DCGANGenerator, DenseDiscriminator, DenseGenerator
from .resnet import ResNetDiscriminator, ResNetGenerator
from .stylegan import StyleGANDiscriminator, StyleGANGenerator
from .tabular import GumbelSoftmaxHead


class LatentConditioning(nn.Module):
    """Noise and one-hot class (b, l + k) -> noise and class embedding (b, width)."""

    def __init__(self, params: Gan, n_classes: int) -> None:
        super().__init__()
        self.latent_dim = params.latent_dim
        self.embed = nn.Linear(n_classes, params.embedding_dim, bias=False) if params.is_conditional else None
        self.width = params.latent_dim + (params.embedding_dim if params.is_conditional else 0)

    def forward(self, z: Tensor) -> Tensor:
        """Return the input of the generator's first layer."""
        if self.embed is None:
            return z
        return torch.cat([z[:, : self.latent_dim], self.embed(z[:, self.latent_dim :])], dim=1)


class InputConditioning(nn.Module):
    """Samples (b, *r) and one-hot classes (b, k) -> samples with one more channel, or e more features if flat."""

    def __init__(self, params: Gan, n_classes: int, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.image_size = input_shape[1:] if params.architecture != "dense" else ()
        n_embedding = params.embedding_dim if not self.image_size else self.image_size[0] * self.image_size[1]
        self.embed = nn.Linear(n_classes, n_embedding, bias=False) if params.conditioning == "label" else None
        has_label = self.embed is not None
        self.output_shape = (
            (input_shape[0] + has_label, *input_shape[1:])
            if self.image_size
            else (math.prod(input_shape) + has_label * n_embedding,)
        )

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the input of the discriminator's first layer."""
        if not self.image_size:
            x = x.flatten(1)
        if self.embed is None:
            return x
        embedded: Tensor = self.embed(c)
        return torch.cat([x, embedded.reshape(-1, 1, *self.image_size) if self.image_size else embedded], dim=1)


class GeneratorBackbone(Protocol):
    """Noise and class embedding (b, w) -> (b, *r)."""

    def __call__(self, params: Gan, width: int, output_shape: tuple[int, ...]) -> nn.Module:
        """Return the backbone for samples of shape `output_shape`."""


class DiscriminatorBackbone(Protocol):
    """Samples -> (b, width)."""

    def __call__(self, params: Gan, input_shape: tuple[int, ...]) -> nn.Module:
        """Return the backbone for samples of shape `input_shape`."""


BACKBONES: dict[str, tuple[GeneratorBackbone, DiscriminatorBackbone]] = {
    "dense": (DenseGenerator, DenseDiscriminator),
    "dcgan": (DCGANGenerator, DCGANDiscriminator),
    "resnet": (ResNetGenerator, ResNetDiscriminator),
    "stylegan": (StyleGANGenerator, StyleGANDiscriminator),
}


def build(params: Gan, spec: InputSpec) -> nn.Module:
    """Return generator and discriminator for data of shape `spec`.

    Raises:
        ParamsError: architecture or conditioning does not fit the data.
    """
    if spec.vocab_size or spec.has_mask:
        raise ParamsError(
            "network.family gan generates images and table rows, but the samples are text or sequences; choose another"
            " family"
        )
    if params.architecture != "dense" and len(spec.shape) != 3:
        raise ParamsError(
            f"network.architecture {params.architecture} needs images, but samples have shape {spec.shape};"
            " choose dense"
        )
    if params.is_conditional and not spec.n_classes:
        raise ParamsError(
            f"network.conditioning {params.conditioning} needs classes, but the dataset has none; choose none"
        )
    return GanNetwork(params, spec)


class GanNetwork(nn.Module):
    """Noise (b, l), or noise and one-hot class (b, l + k) if conditional -> features (b, *r)."""

    def __init__(self, params: Gan, spec: InputSpec) -> None:
        super().__init__()
        n_classes = spec.n_classes if params.is_conditional else 0
        self.latent_dim, self.n_classes = params.latent_dim, n_classes
        self.generator = Generator(params, n_classes, spec)
        first, *others = spec.shape
        self.discriminator = Discriminator(params, n_classes * params.pac, (first * params.pac, *others))

    def forward(self, z: Tensor) -> Tensor:
        """Return the features that the generator generates."""
        generated: Tensor = self.generator(z)
        return generated


class Generator(nn.Module):
    """Noise and class (b, l + k) -> features (b, *r)."""

    def __init__(self, params: Gan, n_classes: int, spec: InputSpec) -> None:
        super().__init__()
        self.conditioning = LatentConditioning(params, n_classes)
        self.backbone = BACKBONES[params.architecture][0](params, self.conditioning.width, spec.shape)
        self.uses_sigmoid = params.output_activation == "sigmoid"
        self.category_head = GumbelSoftmaxHead(spec.one_hot_sizes, params.latent_dim) if spec.one_hot_sizes else None

    def forward(self, z: Tensor) -> Tensor:
        """Return the features of generated samples."""
        features: Tensor = self.backbone(self.conditioning(z))  # (b, l + k) -> (b, w) -> (b, *r)
        if self.category_head is not None:
            features = self.category_head(features, z)
        return features.sigmoid() if self.uses_sigmoid else features


class Discriminator(nn.Module):
    """Features (b, *r) and classes (b, k) -> logits (b,), higher for samples that look like real ones of that class.

    With packs, one logit is of several samples: their features or channels are concatenated, and so are their classes.
    """

    def __init__(self, params: Gan, n_classes: int, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.rescales_input = params.output_activation == "sigmoid"
        self.conditioning = InputConditioning(params, n_classes, input_shape)
        self.backbone = BACKBONES[params.architecture][1](params, self.conditioning.output_shape)
        width: int = self.backbone.width  # type: ignore[assignment]
        self.head = nn.Linear(width, 1)
        projects = params.conditioning == "projection"
        self.projection = nn.Linear(n_classes, width, bias=False) if projects else None
        if params.discriminator_norm == "spectral":
            for module in self.modules():
                if isinstance(module, nn.Linear | nn.Conv2d):
                    spectral_norm(module)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the logits."""
        h = self.backbone(self.conditioning(2 * x - 1 if self.rescales_input else x, c))  # (b, width)
        logits: Tensor = self.head(h)[:, 0]  # (b,)
        return logits if self.projection is None else logits + (self.projection(c) * h).sum(1)
