"""A generator of records from noise, and the critic that it learns from.

Source: Goodfellow et al. 2014; Radford et al. 2016 (dcgan); Miyato et al. 2018 (resnet); Karras et al. 2020 (stylegan);
Mirza & Osindero 2014 and Miyato & Koyama 2018 (classes); Lin et al. 2018 (packs).
Shapes: b rows, l numbers of noise, k classes (0: none are asked for), r what a record is.

How both players are told the class of a record.

Source: Mirza & Osindero 2014 (label); Miyato & Koyama 2018 (projection).
Shapes: b rows, l numbers of noise, k classes (0: none), f features, e numbers that stand for a class.
"""

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
    """Noise and one 1 among k zeros, (b, l + k) -> noise and what stands for the class, (b, width)."""

    def __init__(self, params: Gan, n_classes: int) -> None:
        super().__init__()
        self.latent_dim = params.latent_dim
        self.embed = nn.Linear(n_classes, params.embedding_dim, bias=False) if params.is_conditional else None
        self.width = params.latent_dim + (params.embedding_dim if params.is_conditional else 0)

    def forward(self, z: Tensor) -> Tensor:
        """Return what a generator's first layer sees."""
        if self.embed is None:
            return z
        return torch.cat([z[:, : self.latent_dim], self.embed(z[:, self.latent_dim :])], dim=1)


class InputConditioning(nn.Module):
    """Records (b, *f) and classes (b, k) -> records with one more channel, or with e more features if they are flat."""

    def __init__(self, params: Gan, n_classes: int, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.channel_shape = input_shape[1:] if params.architecture != "dense" else ()
        more = params.embedding_dim if not self.channel_shape else self.channel_shape[0] * self.channel_shape[1]
        self.embed = nn.Linear(n_classes, more, bias=False) if params.conditioning == "label" else None
        joins = self.embed is not None
        self.output_shape = (
            (input_shape[0] + joins, *input_shape[1:])
            if self.channel_shape
            else (_n_elements(input_shape) + joins * more,)
        )

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return what a critic's first layer sees."""
        if not self.channel_shape:
            x = x.flatten(1)
        if self.embed is None:
            return x
        more: Tensor = self.embed(c)
        return torch.cat([x, more.reshape(-1, 1, *self.channel_shape) if self.channel_shape else more], dim=1)


def _n_elements(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


class GeneratorBackbone(Protocol):
    """(b, w) numbers of noise and class -> (b, *r)."""

    def __call__(self, params: Gan, width: int, output_shape: tuple[int, ...]) -> nn.Module:
        """Return one for records `told`."""


class DiscriminatorBackbone(Protocol):
    """Records -> (b, width)."""

    def __call__(self, params: Gan, input_shape: tuple[int, ...]) -> nn.Module:
        """Return one for records of shape `seen`."""


BACKBONES: dict[str, tuple[GeneratorBackbone, DiscriminatorBackbone]] = {
    "dense": (DenseGenerator, DenseDiscriminator),
    "dcgan": (DCGANGenerator, DCGANDiscriminator),
    "resnet": (ResNetGenerator, ResNetDiscriminator),
    "stylegan": (StyleGANGenerator, StyleGANDiscriminator),
}


def build(params: Gan, spec: InputSpec) -> nn.Module:
    """Return both networks for records of `shape`.

    Raises:
        ParamsError: the design is not one of such records.
    """
    if spec.vocab_size or spec.has_mask:
        raise ParamsError(
            "network.family gan makes images and rows of tables, but a record is text or steps; choose another family"
        )
    if params.architecture != "dense" and len(spec.shape) != 3:
        raise ParamsError(
            f"network.architecture {params.architecture} needs images, but a record has shape {spec.shape}; choose dense"
        )
    if params.is_conditional and not spec.n_classes:
        raise ParamsError(
            f"network.conditioning {params.conditioning} needs classes, but the records have none; choose none"
        )
    return GanNetwork(params, spec)


class GanNetwork(nn.Module):
    """Noise (b, l), of a conditional one with a 1 among k zeros behind it, (b, l + k) -> features (b, *r)."""

    def __init__(self, params: Gan, spec: InputSpec) -> None:
        super().__init__()
        classes = spec.n_classes if params.is_conditional else 0
        self.latent_dim, self.n_classes = params.latent_dim, classes
        self.generator = Generator(params, classes, spec)
        first, *others = spec.shape
        self.discriminator = Discriminator(params, classes * params.pac, (first * params.pac, *others))

    def forward(self, z: Tensor) -> Tensor:
        """Return what the generator makes."""
        made: Tensor = self.generator(z)
        return made


class Generator(nn.Module):
    """(b, l + k) -> (b, *r)."""

    def __init__(self, params: Gan, n_classes: int, spec: InputSpec) -> None:
        super().__init__()
        self.conditioning = LatentConditioning(params, n_classes)
        self.backbone = BACKBONES[params.architecture][0](params, self.conditioning.width, spec.shape)
        self.uses_sigmoid = params.output_activation == "sigmoid"
        self.category_head = GumbelSoftmaxHead(spec.one_hot_sizes, params.latent_dim) if spec.one_hot_sizes else None

    def forward(self, z: Tensor) -> Tensor:
        """Return features of records."""
        made: Tensor = self.backbone(self.conditioning(z))
        if self.category_head is not None:
            made = self.category_head(made, z)
        return made.sigmoid() if self.uses_sigmoid else made


class Discriminator(nn.Module):
    """Features (b, *r) and classes (b, k) -> (b,), the higher the more like a real record of that class.

    Of packs, several records that are judged together: their channels or features in a row, and their classes.
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
        """Return how real each record seems."""
        h = self.backbone(self.conditioning(2 * x - 1 if self.rescales_input else x, c))  # (b, width)
        told: Tensor = self.head(h)[:, 0]  # (b,)
        return told if self.projection is None else told + (self.projection(c) * h).sum(1)
