"""The last part of an autoencoder's model, by its mode: what its network gives -> what a user is told.

Shapes: b rows, l numbers of a code.

An encoder layer by layer, as plain facts: `preprocessing.encoder` makes another model's preprocessing of them.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ...config.networks.autoencoder import AnomalyMode, Autoencoder, GenerationMode, ReductionMode
from ...data.schema import Schema
from ...errors import ParamsError
from ...preprocessing.pipeline import Pipeline
from ..inverse import InversePreprocess, SampleHead
from ..layers import ACTIVATIONS
from .network import AutoencoderNetwork


class LatentHead(nn.Module):
    """Codes (b, l), as they are."""

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return the codes."""
        return outputs


class AnomalyHead(nn.Module):
    """Errors (b, 1) -> (b, 2): the error, and 1 where it is above the threshold, else 0."""

    threshold: Tensor

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.tensor(threshold))

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return errors and decisions."""
        return torch.cat([outputs, (outputs > self.threshold).to(outputs.dtype)], dim=1)


class ReconstructionHead(nn.Module):
    """Features told -> raw records (b, ...); of padded steps nothing is told, as in the record."""

    def __init__(self, pipeline: Pipeline, *, is_image: bool) -> None:
        super().__init__()
        self.inverse = InversePreprocess(pipeline, is_image=is_image)
        self.has_mask = any(step.kind == "mask" for step in pipeline.steps)

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return raw records, in the shape of x."""
        told: Tensor = self.inverse(outputs)
        if not self.has_mask:
            return told
        return torch.where(torch.isnan(x).all(dim=-1, keepdim=True), torch.nan, told)


def build_head(params: Autoencoder, schema: Schema, pipeline: Pipeline, threshold: float = 0.0) -> nn.Module:
    """Return the last part of a model.

    Raises:
        ParamsError: records must be told in their own units, and the preprocessing cannot be undone.
    """
    images = schema.kind == "images"
    match params.mode:
        case ReductionMode():
            return LatentHead()
        case AnomalyMode():
            return AnomalyHead(threshold)
        case GenerationMode():
            return SampleHead(pipeline, is_image=images)
    return ReconstructionHead(pipeline, is_image=images)


ACTIVATION_NAMES = {layer: name for name, layer in ACTIVATIONS.items()}


def describe_encoder(network: AutoencoderNetwork) -> list[dict[str, Any]]:
    """Return the layers from features to codes; of a variational one to their means. Plain JSON values.

    at: where a layer's weights stand among those of the model.

    Raises:
        ParamsError: a layer is none that can be told so, such as a recurrent one.
    """
    parts = {"to_latent": network.to_latent, "latent_activation": network.latent_activation}
    every = [(f"encoder.{name}", part) for name, part in network.encoder.named_modules() if not list(part.children())]
    return [fact for name, part in (*every, *parts.items()) for fact in _describe_layer(f"network.{name}", part)]


def _describe_layer(name: str, layer: nn.Module) -> Iterator[dict[str, Any]]:
    match layer:
        case nn.Linear():
            yield {"kind": "dense", "at": name}
        case nn.Conv2d():
            yield {"kind": "convolve", "at": name, "stride": layer.stride[0], "padding": layer.padding[0]}
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            yield {"kind": "norm", "at": name, "eps": layer.eps, "places": 2 * isinstance(layer, nn.BatchNorm2d)}
        case nn.Flatten() | nn.Identity():
            pass
        case _ if type(layer) in ACTIVATION_NAMES:
            yield {"kind": ACTIVATION_NAMES[type(layer)]}
        case _:
            raise ParamsError(f"an encoder's layers must be dense or convolutions, but {name} is {layer}; name another")
