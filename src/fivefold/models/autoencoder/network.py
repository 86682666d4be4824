"""Autoencoders: an encoder to a latent code and a decoder back, dense, convolutional or recurrent.

Source: Rumelhart, Hinton & Williams 1986; Masci et al. 2011 (conv), with strides in place of pooling as in Springenberg
et al. 2015; Srivastava, Mansimov & Salakhutdinov 2015 (recurrent), where each step is decoded from the latent code
itself, not from the previous step; Kingma & Welling 2014 (variational).
Shapes: b samples, f features, t steps, c channels, y x x pixels, d units, l latent dimensions, r the shape of a
reconstruction: that of the features without a mask.
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
        """Return the output of the last layer, flattened."""
        out: Tensor = self.layers(x)
        return out


class ConvDecoder(nn.Module):
    """(b, l) -> (b, c, y, x) of any size: each layer inverts a halving that was rounded up."""

    def __init__(self, params: Autoencoder, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        sizes = halved_sizes(image_shape, len(params.hidden), round_up=True)
        channels = (image_shape[0], *params.hidden)
        inner_shape = (channels[-1], *sizes[-1])
        layers: list[nn.Module] = [nn.Linear(params.latent_dim, math.prod(inner_shape)), nn.Unflatten(1, inner_shape)]
        if params.hidden:
            layers += [ACTIVATIONS[params.activation]()]
        for i in range(len(params.hidden), 0, -1):
            output_padding = tuple(1 - side % 2 for side in sizes[i - 1])
            is_last = i == 1
            conv = nn.ConvTranspose2d(
                channels[i],
                channels[i - 1],
                3,
                stride=2,
                padding=1,
                output_padding=(output_padding[0], output_padding[1]),
                bias=is_last or params.norm != "batch",
            )
            layers += [conv]
            if not is_last:
                layers += [BatchNorm2d(channels[i - 1])] if params.norm == "batch" else []
                layers += [ACTIVATIONS[params.activation]()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        """Return the reconstruction (b, c, y, x) before its activation."""
        out: Tensor = self.layers(latent)
        return out


class DenseEncoder(nn.Module):
    """(b, ...) with `n_features` values per sample -> (b, width)."""

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
        """Return the reconstruction (b, *r) before its activation."""
        out: Tensor = self.layers(latent)
        return out.reshape(-1, *self.output_shape)  # (b, prod(r)) -> (b, *r)


class RecurrentEncoder(nn.Module):
    """(b, t, f), the last feature being the mask of masked samples -> (b, width), the state at the last real step."""

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
            steps = layer(steps, lengths)  # (b, t, d)
        return select_last_step(steps, lengths)  # (b, t, d) -> (b, d)


class RecurrentDecoder(nn.Module):
    """(b, l) -> (b, t, f): the latent code is the input at every step."""

    def __init__(self, params: Autoencoder, output_shape: tuple[int, ...]) -> None:
        super().__init__()
        widths = (params.latent_dim, *reversed(params.hidden))
        self.layers = nn.ModuleList(
            RecurrentLayer(params.cell, *pair, bidirectional=False) for pair in pairwise(widths)
        )
        self.head = nn.Linear(widths[-1], output_shape[1])
        self.n_steps = output_shape[0]

    def forward(self, latent: Tensor) -> Tensor:
        """Return the reconstruction (b, t, f) before its activation."""
        steps = latent[:, None].expand(-1, self.n_steps, -1)  # (b, l) -> (b, t, l)
        for layer in self.layers:
            steps = layer(steps, None)  # (b, t, d)
        out: Tensor = self.head(steps)  # (b, t, d) -> (b, t, f)
        return out


LATENT_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}

MAX_LOG_VARIANCE = 10.0
"""Bound of the absolute latent log variance, which keeps its exponential finite."""


class AutoencoderOutput(NamedTuple):
    """Everything that the loss of an autoencoder needs.

    Attributes:
        reconstruction: (b, *r), before its activation.
        latent: (b, l), of a variational autoencoder the means.
        log_variance: (b, l), of a variational autoencoder.
        jacobian_norm: (b,), squared norm of the encoder's Jacobian, of a contractive autoencoder in training.
    """

    reconstruction: Tensor
    latent: Tensor
    log_variance: Tensor | None = None
    jacobian_norm: Tensor | None = None


def build(params: Autoencoder, spec: InputSpec) -> nn.Module:
    """Return the network for data of shape `spec`.

    Raises:
        ParamsError: the architecture does not fit the data.
    """
    if spec.vocab_size:
        raise ParamsError(
            "network.family autoencoder reconstructs numeric features, but the samples are text; choose family rnn"
        )
    if params.architecture == "conv" and len(spec.shape) != 3:
        raise ParamsError(
            f"network.architecture conv needs images, but samples have shape {spec.shape}; choose dense or recurrent"
        )
    if params.architecture == "recurrent" and len(spec.shape) != 2:
        raise ParamsError(
            f"network.architecture recurrent needs sequences, but samples have shape {spec.shape}; choose dense or conv"
        )
    return AutoencoderNetwork(params, spec)


class AutoencoderNetwork(nn.Module):
    """Features (b, ...) -> the output of `mode`: reconstruction, latent code (b, l) or reconstruction error (b, 1).

    For generation: latent codes (b, l) -> features (b, *r).
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
        """Return the output of `mode`."""
        match self.mode:
            case GenerationMode():
                return self.decode(x)
            case ReductionMode():
                return self.encode(x)
            case AnomalyMode():
                return self.reconstruction_errors(x)[:, None]
        return self.decode(self.encode(x))

    def encode(self, x: Tensor) -> Tensor:
        """Return the latent codes (b, l) of features x; of a variational autoencoder their means."""
        latent: Tensor = self.latent_activation(self.to_latent(self.encoder(x)))
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Return the features (b, *r) reconstructed from latent codes."""
        return self.apply_output_activation(self.decoder(latent))

    def apply_output_activation(self, outputs: Tensor) -> Tensor:
        """Return reconstructed features: numeric ones through the output activation, categories as probabilities."""
        if not self.one_hot_sizes:
            return outputs.sigmoid() if self.uses_sigmoid else outputs
        numeric, *blocks = torch.split(
            outputs, [outputs.shape[1] - sum(self.one_hot_sizes), *self.one_hot_sizes], dim=1
        )
        numeric = numeric.sigmoid() if self.uses_sigmoid else numeric
        return torch.cat([numeric, *(block.softmax(1) for block in blocks)], dim=1)

    def training_outputs(self, x: Tensor) -> AutoencoderOutput:
        """Return everything that the loss needs; a variational latent code is sampled."""
        hidden = self.encoder(x)  # (b, ...) -> (b, width)
        latent = self.latent_activation(self.to_latent(hidden))  # (b, l)
        if self.to_log_variance is not None:
            log_variance = self.to_log_variance(hidden).clamp(-MAX_LOG_VARIANCE, MAX_LOG_VARIANCE)
            sampled = latent + torch.randn_like(latent) * (log_variance / 2).exp()
            return AutoencoderOutput(self.decoder(sampled), latent, log_variance)
        reconstruction = self.decoder(latent)
        is_contractive = isinstance(self.variant, ContractiveVariant) and self.training
        jacobian_norm = self._jacobian_norm(x) if is_contractive else None
        return AutoencoderOutput(reconstruction, latent, jacobian_norm=jacobian_norm)

    def reconstruction_errors(self, x: Tensor) -> Tensor:
        """Return the mean squared error (b,) of each sample of features x over its mask steps."""
        squared = functional.mse_loss(self.decode(self.encode(x)), self.reconstruction_target(x), reduction="none")
        if not self.has_mask:
            return squared.flatten(1).mean(1)
        mask = x[:, :, -1:]  # (b, t, 1)
        return (squared * mask).sum((1, 2)) / (mask.sum((1, 2)) * squared.shape[2]).clamp_min(1)

    def reconstruction_target(self, x: Tensor) -> Tensor:
        """Return the part (b, *r) of features x that is to be reconstructed: all but a mask."""
        return x[:, :, :-1] if self.has_mask else x

    def _jacobian_norm(self, x: Tensor) -> Tensor:
        """Return the squared norm (b,) of the encoder's Jacobian, by one random direction (Hutchinson 1989)."""
        x = x.detach().requires_grad_()
        latent = self.encode(x)
        (product,) = torch.autograd.grad((latent * torch.randn_like(latent)).sum(), x, create_graph=True)
        return product.square().flatten(1).sum(1)


def reconstruction_shape(spec: InputSpec) -> tuple[int, ...]:
    """Return the shape of the reconstruction of one sample."""
    return (*spec.shape[:-1], spec.shape[-1] - 1) if spec.has_mask else spec.shape
