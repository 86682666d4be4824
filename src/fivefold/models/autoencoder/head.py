"""The head of an autoencoder in each mode, and a description of its encoder for use as preprocessing.

Shapes: b samples, l latent dimensions.
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
    """Latent codes (b, l), unchanged."""

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return the latent codes."""
        return outputs


class AnomalyHead(nn.Module):
    """Reconstruction errors (b, 1) -> (b, 2): the error, and 1 if it exceeds the threshold, else 0."""

    threshold: Tensor

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.tensor(threshold))

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return errors and decisions."""
        return torch.cat([outputs, (outputs > self.threshold).to(outputs.dtype)], dim=1)


class ReconstructionHead(nn.Module):
    """Reconstructed features -> raw samples (b, ...); padded steps stay NaN."""

    def __init__(self, pipeline: Pipeline, *, is_image: bool) -> None:
        super().__init__()
        self.inverse = InversePreprocess(pipeline, is_image=is_image)
        self.has_mask = any(step.kind == "mask" for step in pipeline.steps)

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return raw samples, in the shape of x."""
        samples: Tensor = self.inverse(outputs)
        if not self.has_mask:
            return samples
        return torch.where(torch.isnan(x).all(dim=-1, keepdim=True), torch.nan, samples)


def build_head(params: Autoencoder, schema: Schema, pipeline: Pipeline, threshold: float = 0.0) -> nn.Module:
    """Return the head for the mode of the autoencoder.

    Raises:
        ParamsError: the mode needs samples in raw units, but the preprocessing is not invertible.
    """
    is_image = schema.kind == "images"
    match params.mode:
        case ReductionMode():
            return LatentHead()
        case AnomalyMode():
            return AnomalyHead(threshold)
        case GenerationMode():
            return SampleHead(pipeline, is_image=is_image)
    return ReconstructionHead(pipeline, is_image=is_image)


ACTIVATION_NAMES = {layer: name for name, layer in ACTIVATIONS.items()}


def describe_encoder(network: AutoencoderNetwork) -> list[dict[str, Any]]:
    """Return the layers from features to latent codes, of a variational autoencoder to their means, as JSON values.

    Key `name` is the prefix of a layer's weights in the model. `preprocessing.selection` builds steps from the list.

    Raises:
        ParamsError: the encoder has a layer of another kind, such as a recurrent one.
    """
    layers = [
        *((f"encoder.{name}", layer) for name, layer in network.encoder.named_modules() if not list(layer.children())),
        ("to_latent", network.to_latent),
        ("latent_activation", network.latent_activation),
    ]
    return [entry for name, layer in layers for entry in _describe_layer(f"network.{name}", layer)]


def _describe_layer(name: str, layer: nn.Module) -> Iterator[dict[str, Any]]:
    """Yield the description of one layer; nothing for a layer that only reshapes."""
    match layer:
        case nn.Linear():
            yield {"kind": "dense", "name": name}
        case nn.Conv2d():
            yield {"kind": "conv2d", "name": name, "stride": layer.stride[0], "padding": layer.padding[0]}
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            spatial_dims = 2 * isinstance(layer, nn.BatchNorm2d)
            yield {"kind": "batch_norm", "name": name, "eps": layer.eps, "spatial_dims": spatial_dims}
        case nn.Flatten() | nn.Identity():
            pass
        case _ if type(layer) in ACTIVATION_NAMES:
            yield {"kind": ACTIVATION_NAMES[type(layer)]}
        case _:
            raise ParamsError(
                f"an encoder must consist of dense layers or convolutions, but {name} is {layer}; choose another"
            )
