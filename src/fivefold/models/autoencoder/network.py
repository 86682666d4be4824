"""An encoder and its mirror image: a record as few numbers, and the record from them.

Source: Rumelhart, Hinton & Williams 1986; Masci et al. 2011 (conv); Srivastava, Mansimov & Salakhutdinov 2015
(recurrent); Kingma & Welling 2014 (variational).
Shapes: b rows, f features, l numbers of a code, r what is told of a record: its features without a mask.

Convolutions that halve an image, and transposed ones that double it again.

Source: Masci et al. 2011; strides in place of pooling as in Springenberg et al. 2015.
Shapes: b rows, c channels, y x x pixels, l numbers of a code.

Dense layers to a code and back.

Shapes: b rows, f features, l numbers of a code, r what is told of a record.

Recurrent layers that read a sequence into a code, and others that write it from the code.

Source: Srivastava, Mansimov & Salakhutdinov 2015; each step is written from the code itself, none from the one before.
Shapes: b rows, t steps, f values a step, l numbers of a code, d units.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.autoencoder import Autoencoder, Contractive, Detect, Generate, Reduce, Variational
from ...errors import ParamsError
from ..factory import Shape
from ..layers import ACTIVATIONS, BatchNorm2d, dense, halvings, initialise
from ..recurrent import Recurrent, Steps, initialise_cells, last


class ConvEncoder(nn.Module):
    """(b, c, y, x) -> (b, width): each layer halves the image, rounded up."""

    def __init__(self, params: Autoencoder, told: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((told[0], *params.hidden)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=params.norm != "batch")]
            layers += [BatchNorm2d(after)] if params.norm == "batch" else []
            layers += [ACTIVATIONS[params.activation]()]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        last = params.hidden[-1] if params.hidden else told[0]
        self.width = last * math.prod(halvings(told, len(params.hidden), up=True)[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer, flat."""
        out: Tensor = self.layers(x)
        return out


class ConvDecoder(nn.Module):
    """(b, l) -> (b, c, y, x), which may be odd: what a halving rounded up is taken back."""

    def __init__(self, params: Autoencoder, told: tuple[int, ...]) -> None:
        super().__init__()
        steps = halvings(told, len(params.hidden), up=True)
        channels = (told[0], *params.hidden)
        small = (channels[-1], *steps[-1])
        layers: list[nn.Module] = [nn.Linear(params.latent, math.prod(small)), nn.Unflatten(1, small)]
        if params.hidden:
            layers += [ACTIVATIONS[params.activation]()]
        for i in range(len(params.hidden), 0, -1):
            even = tuple(1 - size % 2 for size in steps[i - 1])
            last = i == 1
            after = nn.ConvTranspose2d(
                channels[i],
                channels[i - 1],
                3,
                stride=2,
                padding=1,
                output_padding=(even[0], even[1]),
                bias=last or params.norm != "batch",
            )
            layers += [after]
            if not last:
                layers += [BatchNorm2d(channels[i - 1])] if params.norm == "batch" else []
                layers += [ACTIVATIONS[params.activation]()]
        self.layers = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        """Return what is told, before its activation."""
        out: Tensor = self.layers(code)
        return out


class DenseEncoder(nn.Module):
    """(b, ...) with f numbers a row -> (b, width)."""

    def __init__(self, params: Autoencoder, n_features: int) -> None:
        super().__init__()
        widths = (n_features, *params.hidden)
        layers = [layer for pair in pairwise(widths) for layer in dense(*pair, params.activation, 0.0, params.norm)]
        self.layers = nn.Sequential(nn.Flatten(), *layers)
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return the last hidden layer."""
        out: Tensor = self.layers(x)
        return out


class DenseDecoder(nn.Module):
    """(b, l) -> (b, *r)."""

    def __init__(self, params: Autoencoder, told: tuple[int, ...]) -> None:
        super().__init__()
        widths = (params.latent, *reversed(params.hidden))
        layers = [layer for pair in pairwise(widths) for layer in dense(*pair, params.activation, 0.0, params.norm)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(told)))
        self.told = told

    def forward(self, code: Tensor) -> Tensor:
        """Return what is told, before its activation."""
        out: Tensor = self.layers(code)
        return out.reshape(-1, *self.told)


class StepsEncoder(nn.Module):
    """(b, t, f), the last feature of masked records their mask -> (b, width), the state at the last real step."""

    def __init__(self, params: Autoencoder, shape: Shape) -> None:
        super().__init__()
        self.read = Steps(shape.masked)
        widths = (shape.features[1] - shape.masked, *params.hidden)
        self.layers = nn.ModuleList(Recurrent(params.cell, *pair, bidirectional=False) for pair in pairwise(widths))
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return the state at the last real step."""
        steps, lengths = self.read(x)
        for layer in self.layers:
            steps = layer(steps, lengths)
        return last(steps, lengths)


class StepsDecoder(nn.Module):
    """(b, l) -> (b, t, f): the code is the input of every step."""

    def __init__(self, params: Autoencoder, told: tuple[int, ...]) -> None:
        super().__init__()
        widths = (params.latent, *reversed(params.hidden))
        self.layers = nn.ModuleList(Recurrent(params.cell, *pair, bidirectional=False) for pair in pairwise(widths))
        self.head = nn.Linear(widths[-1], told[1])
        self.steps = told[0]

    def forward(self, code: Tensor) -> Tensor:
        """Return what is told, before its activation."""
        steps = code[:, None].expand(-1, self.steps, -1)  # (b, l) -> (b, t, l)
        for layer in self.layers:
            steps = layer(steps, None)
        out: Tensor = self.head(steps)
        return out


CODES: dict[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}

WIDEST = 10.0
"""Bound of a code's log variance either way: its exponential must stay finite."""


class Parts(NamedTuple):
    """What a training looks at.

    told: (b, *r), before its activation. code: (b, l). log_variance: (b, l), of a variational one.
    slope: (b,), squared norm of the code's Jacobian, of a contractive one in training.
    """

    told: Tensor
    code: Tensor
    log_variance: Tensor | None = None
    slope: Tensor | None = None


def build(params: Autoencoder, shape: Shape) -> nn.Module:
    """Return the network for records of `shape`.

    Raises:
        ParamsError: the design is not one of such records.
    """
    if shape.tokens:
        raise ParamsError("network.family autoencoder tells numbers, but a record is text; choose family rnn")
    if params.design == "conv" and len(shape.features) != 3:
        raise ParamsError(
            f"network.design conv needs images, but a record has shape {shape.features}; choose dense or recurrent"
        )
    if params.design == "recurrent" and len(shape.features) != 2:
        raise ParamsError(
            f"network.design recurrent needs steps, but a record has shape {shape.features}; choose dense or conv"
        )
    return AutoencoderNetwork(params, shape)


class AutoencoderNetwork(nn.Module):
    """Features (b, ...) -> what `purpose` is: features told again, a code (b, l), or how far off it is (b, 1).

    For generation: codes (b, l) -> features (b, *r).
    """

    def __init__(self, params: Autoencoder, shape: Shape) -> None:
        super().__init__()
        self.told = told_shape(shape)
        self.masked, self.categories = shape.masked, shape.categories
        self.purpose, self.variant = params.purpose, params.variant
        self.squashes = params.output == "sigmoid"
        self.latent = params.latent
        match params.design:
            case "dense":
                self.encoder: nn.Module = DenseEncoder(params, math.prod(shape.features))
                self.decoder: nn.Module = DenseDecoder(params, self.told)
            case "conv":
                self.encoder = ConvEncoder(params, self.told)
                self.decoder = ConvDecoder(params, self.told)
            case "recurrent":
                self.encoder = StepsEncoder(params, shape)
                self.decoder = StepsDecoder(params, self.told)
        width: int = self.encoder.width
        self.to_code = nn.Linear(width, params.latent)
        self.to_log_variance = nn.Linear(width, params.latent) if isinstance(params.variant, Variational) else None
        self.code = CODES[params.code]()
        initialise(self, params.init, params.activation)
        if params.design == "recurrent" and params.init != "default":
            initialise_cells(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return what `purpose` asks for."""
        match self.purpose:
            case Generate():
                return self.decode(x)
            case Reduce():
                return self.encode(x)
            case Detect():
                return self.errors(x)[:, None]
        return self.decode(self.encode(x))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (b, l) of features x; of a variational one their means."""
        code: Tensor = self.code(self.to_code(self.encoder(x)))
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Return the features (b, *r) that codes stand for."""
        return self.finish(self.decoder(code))

    def finish(self, told: Tensor) -> Tensor:
        """Return what is told as features: numbers by the output's activation, categories as shares."""
        if not self.categories:
            return told.sigmoid() if self.squashes else told
        numbers, *blocks = torch.split(told, [told.shape[1] - sum(self.categories), *self.categories], dim=1)
        numbers = numbers.sigmoid() if self.squashes else numbers
        return torch.cat([numbers, *(block.softmax(1) for block in blocks)], dim=1)

    def parts(self, x: Tensor) -> Parts:
        """Return what a training looks at; a variational code is drawn."""
        hidden = self.encoder(x)
        code = self.code(self.to_code(hidden))
        if self.to_log_variance is not None:
            log_variance = self.to_log_variance(hidden).clamp(-WIDEST, WIDEST)
            drawn = code + torch.randn_like(code) * (log_variance / 2).exp()
            return Parts(self.decoder(drawn), code, log_variance)
        contracts = isinstance(self.variant, Contractive) and self.training
        return Parts(self.decoder(code), code, slope=self._slope(x) if contracts else None)

    def errors(self, x: Tensor) -> Tensor:
        """Return the mean squared error (b,) over what is real of each record of features x."""
        square = functional.mse_loss(self.decode(self.encode(x)), self.truth(x), reduction="none")
        if not self.masked:
            return square.flatten(1).mean(1)
        real = x[:, :, -1:]  # (b, t, 1)
        return (square * real).sum((1, 2)) / (real.sum((1, 2)) * square.shape[2]).clamp_min(1)

    def truth(self, x: Tensor) -> Tensor:
        """Return of features x what is to be told (b, *r)."""
        return x[:, :, :-1] if self.masked else x

    def _slope(self, x: Tensor) -> Tensor:
        """Return an estimate of the squared norm (b,) of each code's Jacobian, by one random direction (Hutchinson)."""
        x = x.detach().requires_grad_()
        code = self.encode(x)
        (row,) = torch.autograd.grad((code * torch.randn_like(code)).sum(), x, create_graph=True)
        return row.square().flatten(1).sum(1)


def told_shape(shape: Shape) -> tuple[int, ...]:
    """Return the shape of what is told of one record."""
    return (*shape.features[:-1], shape.features[-1] - 1) if shape.masked else shape.features
