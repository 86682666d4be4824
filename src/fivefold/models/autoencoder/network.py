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

from ...config.networks.autoencoder import (
    AnomalyMode,
    Autoencoder,
    ContractiveVariant,
    GenerationMode,
    ReductionMode,
    VariationalVariant,
)
from ...errors import ParamsError
from ..factory import InputSpec
from ..layers import ACTIVATIONS, BatchNorm2d, build_dense_block, halved_sizes, initialize_weights
from ..recurrent import RecurrentLayer, SequenceInput, initialize_recurrent_weights, select_last_step


class ConvEncoder(nn.Module):
    """(b, c, y, x) -> (b, width): each layer halves the image, rounded up."""

    def __init__(self, params: Autoencoder, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((image_shape[0], *params.hidden)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=params.norm != "batch")]
            layers += [BatchNorm2d(after)] if params.norm == "batch" else []
            layers += [ACTIVATIONS[params.activation]()]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        last = params.hidden[-1] if params.hidden else image_shape[0]
        self.width = last * math.prod(halved_sizes(image_shape, len(params.hidden), round_up=True)[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the last layer, flat."""
        out: Tensor = self.layers(x)
        return out


class ConvDecoder(nn.Module):
    """(b, l) -> (b, c, y, x), which may be odd: what a halving rounded up is taken back."""

    def __init__(self, params: Autoencoder, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        steps = halved_sizes(image_shape, len(params.hidden), round_up=True)
        channels = (image_shape[0], *params.hidden)
        small = (channels[-1], *steps[-1])
        layers: list[nn.Module] = [nn.Linear(params.latent_dim, math.prod(small)), nn.Unflatten(1, small)]
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

    def forward(self, latent: Tensor) -> Tensor:
        """Return what is told, before its activation."""
        out: Tensor = self.layers(latent)
        return out


class DenseEncoder(nn.Module):
    """(b, ...) with f numbers a row -> (b, width)."""

    def __init__(self, params: Autoencoder, n_features: int) -> None:
        super().__init__()
        widths = (n_features, *params.hidden)
        layers = [
            layer
            for pair in pairwise(widths)
            for layer in build_dense_block(*pair, params.activation, 0.0, params.norm)
        ]
        self.layers = nn.Sequential(nn.Flatten(), *layers)
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return the last hidden layer."""
        out: Tensor = self.layers(x)
        return out


class DenseDecoder(nn.Module):
    """(b, l) -> (b, *r)."""

    def __init__(self, params: Autoencoder, output_shape: tuple[int, ...]) -> None:
        super().__init__()
        widths = (params.latent_dim, *reversed(params.hidden))
        layers = [
            layer
            for pair in pairwise(widths)
            for layer in build_dense_block(*pair, params.activation, 0.0, params.norm)
        ]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(output_shape)))
        self.output_shape = output_shape

    def forward(self, latent: Tensor) -> Tensor:
        """Return what is told, before its activation."""
        out: Tensor = self.layers(latent)
        return out.reshape(-1, *self.output_shape)


class RecurrentEncoder(nn.Module):
    """(b, t, f), the last feature of masked records their mask -> (b, width), the state at the last real step."""

    def __init__(self, params: Autoencoder, spec: InputSpec) -> None:
        super().__init__()
        self.input_layer = SequenceInput(spec.has_mask)
        widths = (spec.shape[1] - spec.has_mask, *params.hidden)
        self.layers = nn.ModuleList(
            RecurrentLayer(params.cell, *pair, bidirectional=False) for pair in pairwise(widths)
        )
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return the state at the last real step."""
        steps, lengths = self.input_layer(x)
        for layer in self.layers:
            steps = layer(steps, lengths)
        return select_last_step(steps, lengths)


class RecurrentDecoder(nn.Module):
    """(b, l) -> (b, t, f): the code is the input of every step."""

    def __init__(self, params: Autoencoder, output_shape: tuple[int, ...]) -> None:
        super().__init__()
        widths = (params.latent_dim, *reversed(params.hidden))
        self.layers = nn.ModuleList(
            RecurrentLayer(params.cell, *pair, bidirectional=False) for pair in pairwise(widths)
        )
        self.head = nn.Linear(widths[-1], output_shape[1])
        self.n_steps = output_shape[0]

    def forward(self, latent: Tensor) -> Tensor:
        """Return what is told, before its activation."""
        steps = latent[:, None].expand(-1, self.n_steps, -1)  # (b, l) -> (b, t, l)
        for layer in self.layers:
            steps = layer(steps, None)
        out: Tensor = self.head(steps)
        return out


LATENT_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}

MAX_LOG_VARIANCE = 10.0
"""Bound of a code's log variance either way: its exponential must stay finite."""


class AutoencoderOutput(NamedTuple):
    """What a training looks at.

    told: (b, *r), before its activation. code: (b, l). log_variance: (b, l), of a variational one.
    slope: (b,), squared norm of the code's Jacobian, of a contractive one in training.
    """

    reconstruction: Tensor
    latent: Tensor
    log_variance: Tensor | None = None
    jacobian_norm: Tensor | None = None


def build(params: Autoencoder, spec: InputSpec) -> nn.Module:
    """Return the network for records of `shape`.

    Raises:
        ParamsError: the design is not one of such records.
    """
    if spec.vocab_size:
        raise ParamsError("network.family autoencoder tells numbers, but a record is text; choose family rnn")
    if params.architecture == "conv" and len(spec.shape) != 3:
        raise ParamsError(
            f"network.architecture conv needs images, but a record has shape {spec.shape}; choose dense or recurrent"
        )
    if params.architecture == "recurrent" and len(spec.shape) != 2:
        raise ParamsError(
            f"network.architecture recurrent needs steps, but a record has shape {spec.shape}; choose dense or conv"
        )
    return AutoencoderNetwork(params, spec)


class AutoencoderNetwork(nn.Module):
    """Features (b, ...) -> what `purpose` is: features told again, a code (b, l), or how far off it is (b, 1).

    For generation: codes (b, l) -> features (b, *r).
    """

    def __init__(self, params: Autoencoder, spec: InputSpec) -> None:
        super().__init__()
        self.output_shape = reconstruction_shape(spec)
        self.has_mask, self.one_hot_sizes = spec.has_mask, spec.one_hot_sizes
        self.mode, self.variant = params.mode, params.variant
        self.uses_sigmoid = params.output_activation == "sigmoid"
        self.latent_dim = params.latent_dim
        match params.architecture:
            case "dense":
                self.encoder: nn.Module = DenseEncoder(params, math.prod(spec.shape))
                self.decoder: nn.Module = DenseDecoder(params, self.output_shape)
            case "conv":
                self.encoder = ConvEncoder(params, self.output_shape)
                self.decoder = ConvDecoder(params, self.output_shape)
            case "recurrent":
                self.encoder = RecurrentEncoder(params, spec)
                self.decoder = RecurrentDecoder(params, self.output_shape)
        width: int = self.encoder.width
        self.to_latent = nn.Linear(width, params.latent_dim)
        self.to_log_variance = (
            nn.Linear(width, params.latent_dim) if isinstance(params.variant, VariationalVariant) else None
        )
        self.latent_activation = LATENT_ACTIVATIONS[params.latent_activation]()
        initialize_weights(self, params.init, params.activation)
        if params.architecture == "recurrent" and params.init != "default":
            initialize_recurrent_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return what `purpose` asks for."""
        match self.mode:
            case GenerationMode():
                return self.decode(x)
            case ReductionMode():
                return self.encode(x)
            case AnomalyMode():
                return self.reconstruction_errors(x)[:, None]
        return self.decode(self.encode(x))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (b, l) of features x; of a variational one their means."""
        code: Tensor = self.latent_activation(self.to_latent(self.encoder(x)))
        return code

    def decode(self, latent: Tensor) -> Tensor:
        """Return the features (b, *r) that codes stand for."""
        return self.apply_output_activation(self.decoder(latent))

    def apply_output_activation(self, outputs: Tensor) -> Tensor:
        """Return what is told as features: numbers by the output's activation, categories as shares."""
        if not self.one_hot_sizes:
            return outputs.sigmoid() if self.uses_sigmoid else outputs
        numbers, *blocks = torch.split(
            outputs, [outputs.shape[1] - sum(self.one_hot_sizes), *self.one_hot_sizes], dim=1
        )
        numbers = numbers.sigmoid() if self.uses_sigmoid else numbers
        return torch.cat([numbers, *(block.softmax(1) for block in blocks)], dim=1)

    def training_outputs(self, x: Tensor) -> AutoencoderOutput:
        """Return what a training looks at; a variational code is drawn."""
        hidden = self.encoder(x)
        code = self.latent_activation(self.to_latent(hidden))
        if self.to_log_variance is not None:
            log_variance = self.to_log_variance(hidden).clamp(-MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)
            drawn = code + torch.randn_like(code) * (log_variance / 2).exp()
            return AutoencoderOutput(self.decoder(drawn), code, log_variance)
        contracts = isinstance(self.variant, ContractiveVariant) and self.training
        return AutoencoderOutput(self.decoder(code), code, jacobian_norm=self._jacobian_norm(x) if contracts else None)

    def reconstruction_errors(self, x: Tensor) -> Tensor:
        """Return the mean squared error (b,) over what is real of each record of features x."""
        square = functional.mse_loss(self.decode(self.encode(x)), self.reconstruction_target(x), reduction="none")
        if not self.has_mask:
            return square.flatten(1).mean(1)
        real = x[:, :, -1:]  # (b, t, 1)
        return (square * real).sum((1, 2)) / (real.sum((1, 2)) * square.shape[2]).clamp_min(1)

    def reconstruction_target(self, x: Tensor) -> Tensor:
        """Return of features x what is to be told (b, *r)."""
        return x[:, :, :-1] if self.has_mask else x

    def _jacobian_norm(self, x: Tensor) -> Tensor:
        """Return an estimate of the squared norm (b,) of each code's Jacobian, by one random direction (Hutchinson)."""
        x = x.detach().requires_grad_()
        code = self.encode(x)
        (row,) = torch.autograd.grad((code * torch.randn_like(code)).sum(), x, create_graph=True)
        return row.square().flatten(1).sum(1)


def reconstruction_shape(spec: InputSpec) -> tuple[int, ...]:
    """Return the shape of what is told of one record."""
    return (*spec.shape[:-1], spec.shape[-1] - 1) if spec.has_mask else spec.shape
