"""An encoder and its mirror image: a record as few numbers, and the record from them.

Source: Rumelhart, Hinton & Williams 1986; Masci et al. 2011 (conv); Srivastava, Mansimov & Salakhutdinov 2015
(recurrent); Kingma & Welling 2014 (variational).
Shapes: b rows, f features, l numbers of a code, r what is told of a record: its features without a mask.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.autoencoder import Autoencoder, Contractive, Detect, Generate, Reduce, Variational
from ...errors import ParamsError
from ..layers import initialise
from ..recurrent import initialise_cells
from ..shape import Shape
from .convolutions import ConvDecoder, ConvEncoder
from .dense import DenseDecoder, DenseEncoder
from .steps import StepsDecoder, StepsEncoder

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
