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
from ..factory import Shape
from .dcgan import ConvBody, ConvMaker, DenseBody, DenseMaker
from .resnet import ResidualBody, ResidualMaker
from .stylegan import StyleBody, StyleMaker
from .tabular import Chosen


class Asked(nn.Module):
    """Noise and one 1 among k zeros, (b, l + k) -> noise and what stands for the class, (b, width)."""

    def __init__(self, params: Gan, classes: int) -> None:
        super().__init__()
        self.latent = params.latent
        self.embed = nn.Linear(classes, params.embedding, bias=False) if params.conditional else None
        self.width = params.latent + (params.embedding if params.conditional else 0)

    def forward(self, z: Tensor) -> Tensor:
        """Return what a generator's first layer sees."""
        if self.embed is None:
            return z
        return torch.cat([z[:, : self.latent], self.embed(z[:, self.latent :])], dim=1)


class Joined(nn.Module):
    """Records (b, *f) and classes (b, k) -> records with one more channel, or with e more features if they are flat."""

    def __init__(self, params: Gan, classes: int, told: tuple[int, ...]) -> None:
        super().__init__()
        self.channel = told[1:] if params.design != "dense" else ()
        more = params.embedding if not self.channel else self.channel[0] * self.channel[1]
        self.embed = nn.Linear(classes, more, bias=False) if params.condition == "label" else None
        joins = self.embed is not None
        self.told = (told[0] + joins, *told[1:]) if self.channel else (_numbers(told) + joins * more,)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return what a critic's first layer sees."""
        if not self.channel:
            x = x.flatten(1)
        if self.embed is None:
            return x
        more: Tensor = self.embed(c)
        return torch.cat([x, more.reshape(-1, 1, *self.channel) if self.channel else more], dim=1)


def _numbers(told: tuple[int, ...]) -> int:
    return int(torch.Size(told).numel())


class Maker(Protocol):
    """(b, w) numbers of noise and class -> (b, *r)."""

    def __call__(self, params: Gan, width: int, told: tuple[int, ...]) -> nn.Module:
        """Return one for records `told`."""


class Body(Protocol):
    """Records -> (b, width)."""

    def __call__(self, params: Gan, seen: tuple[int, ...]) -> nn.Module:
        """Return one for records of shape `seen`."""


DESIGNS: dict[str, tuple[Maker, Body]] = {
    "dense": (DenseMaker, DenseBody),
    "dcgan": (ConvMaker, ConvBody),
    "resnet": (ResidualMaker, ResidualBody),
    "stylegan": (StyleMaker, StyleBody),
}


def build(params: Gan, shape: Shape) -> nn.Module:
    """Return both networks for records of `shape`.

    Raises:
        ParamsError: the design is not one of such records.
    """
    if shape.tokens or shape.masked:
        raise ParamsError(
            "network.family gan makes images and rows of tables, but a record is text or steps; choose another family"
        )
    if params.design != "dense" and len(shape.features) != 3:
        raise ParamsError(
            f"network.design {params.design} needs images, but a record has shape {shape.features}; choose dense"
        )
    if params.conditional and not shape.classes:
        raise ParamsError(f"network.condition {params.condition} needs classes, but the records have none; choose none")
    return GanNetwork(params, shape)


class GanNetwork(nn.Module):
    """Noise (b, l), of a conditional one with a 1 among k zeros behind it, (b, l + k) -> features (b, *r)."""

    def __init__(self, params: Gan, shape: Shape) -> None:
        super().__init__()
        classes = shape.classes if params.conditional else 0
        self.latent, self.classes = params.latent, classes
        self.generator = Generator(params, classes, shape)
        first, *others = shape.features
        self.critic = Critic(params, classes * params.pac, (first * params.pac, *others))

    def forward(self, z: Tensor) -> Tensor:
        """Return what the generator makes."""
        made: Tensor = self.generator(z)
        return made


class Generator(nn.Module):
    """(b, l + k) -> (b, *r)."""

    def __init__(self, params: Gan, classes: int, shape: Shape) -> None:
        super().__init__()
        self.asked = Asked(params, classes)
        self.body = DESIGNS[params.design][0](params, self.asked.width, shape.features)
        self.squashes = params.output == "sigmoid"
        self.chosen = Chosen(shape.categories, params.latent) if shape.categories else None

    def forward(self, z: Tensor) -> Tensor:
        """Return features of records."""
        made: Tensor = self.body(self.asked(z))
        if self.chosen is not None:
            made = self.chosen(made, z)
        return made.sigmoid() if self.squashes else made


class Critic(nn.Module):
    """Features (b, *r) and classes (b, k) -> (b,), the higher the more like a real record of that class.

    Of packs, several records that are judged together: their channels or features in a row, and their classes.
    """

    def __init__(self, params: Gan, classes: int, told: tuple[int, ...]) -> None:
        super().__init__()
        self.centres = params.output == "sigmoid"
        self.joined = Joined(params, classes, told)
        self.body = DESIGNS[params.design][1](params, self.joined.told)
        width: int = self.body.width  # type: ignore[assignment]
        self.head = nn.Linear(width, 1)
        projects = params.condition == "projection"
        self.project = nn.Linear(classes, width, bias=False) if projects else None
        if params.critic_norm == "spectral":
            for module in self.modules():
                if isinstance(module, nn.Linear | nn.Conv2d):
                    spectral_norm(module)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return how real each record seems."""
        h = self.body(self.joined(2 * x - 1 if self.centres else x, c))  # (b, width)
        told: Tensor = self.head(h)[:, 0]  # (b,)
        return told if self.project is None else told + (self.project(c) * h).sum(1)
