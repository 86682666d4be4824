"""A trained model on disk: `weights.safetensors`, and a `model.json` that rebuilds the network without params.yaml.

The signature describes input and output of the exported file and of registered versions.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from ..config.models import NetworkConfig
from ..config.networks.autoencoder import AnomalyMode, Autoencoder, GenerationMode, ReductionMode
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..config.training import BCELoss, LossConfig
from ..data.baselines import naive_indices
from ..data.dataset import Array
from ..data.schema import Schema
from ..data.storage import verify_manifest
from ..data.targets import output_metadata, target_specs
from ..errors import ArtifactError
from ..preprocessing.pipeline import Pipeline, Step
from .autoencoder import head as autoencoder_head
from .autoencoder.network import AutoencoderNetwork
from .cyclegan import head as cyclegan_head
from .factory import InputSpec, build_network
from .gan import head as gan_head
from .inference import (
    InferenceModel,
    MultiTargetHead,
    Preprocess,
    RegressionHead,
    SigmoidHead,
    SoftmaxHead,
    SupervisedHead,
)
from .losses import output_size

RAW_DTYPES = {"images": "uint8", "text": "int32"}
"""NumPy dtype of raw samples by kind of dataset; float64 for all others."""


class Signature(NamedTuple):
    """Names, shapes without the batch dimension, and NumPy dtypes of a model's input and output."""

    input_name: str
    input_shape: tuple[int, ...]
    input_dtype: str
    output_name: str
    output_shape: tuple[int, ...]
    output_dtype: str
    n_classes: int = 0
    """For noise: how many of its last values are a one-hot class to generate."""
    target_class: str = ""
    """For translations: the class into which images are translated."""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the signature stored in `model.json`."""
        return cls(**data | {name: tuple(data[name]) for name in ("input_shape", "output_shape")})

    @property
    def output_fields(self) -> dict[str, Any]:
        """Description of the output for users of the exported file, as JSON values."""
        return {
            "name": self.output_name,
            "shape": self.output_shape,
            **({"target_class": self.target_class} if self.target_class else {}),
        }


def infer_signature(network_config: NetworkConfig, schema: Schema) -> Signature:
    """Return the signature of a model.

    Input: raw samples or noise. Output: predictions, samples, latent codes, errors or translations.
    """
    sample = (schema.shape, RAW_DTYPES.get(schema.kind, "float64"))
    generated = (schema.shape, "float32" if schema.kind == "images" else "float64")
    if isinstance(network_config, Gan):
        n_classes = len(schema.classes) if network_config.is_conditional else 0
        return Signature("z", (network_config.latent_dim + n_classes,), "float32", "samples", *generated, n_classes)
    if isinstance(network_config, Cyclegan):
        return Signature(
            "x", *sample, "translations", *generated, target_class=network_config.target_class or schema.classes[1]
        )
    if not isinstance(network_config, Autoencoder):
        return Signature("x", *sample, schema.output_kind, (schema.n_outputs,), schema.output_dtype)
    match network_config.mode:
        case GenerationMode():
            return Signature("z", (network_config.latent_dim,), "float32", "samples", *generated)
        case ReductionMode():
            return Signature("x", *sample, "codes", (network_config.latent_dim,), "float32")
        case AnomalyMode():
            return Signature("x", *sample, "anomaly", (2,), "float32")
    return Signature("x", *sample, "reconstruction", *generated)


def build_input_example(signature: Signature, x: Array, n: int) -> Array:
    """Return n model inputs (n, ...): raw samples x, repeated from the first if there are fewer, or noise."""
    if signature.input_name == "z":
        z = np.random.default_rng(0).standard_normal((n, *signature.input_shape)).astype(signature.input_dtype)
        if signature.n_classes:
            z[:, -signature.n_classes :] = np.eye(signature.n_classes)[np.arange(n) % signature.n_classes]
        return z
    return np.ascontiguousarray(x[np.resize(np.arange(len(x)), n)])


NETWORK_ADAPTER: TypeAdapter[NetworkConfig] = TypeAdapter(NetworkConfig)
LOSS_ADAPTER: TypeAdapter[LossConfig] = TypeAdapter(LossConfig)


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with its configuration and metadata.

    Attributes:
        model: ready to predict, on the CPU, in evaluation mode.
        schema: of the dataset that it was trained on.
        network_config: the network's block of params.yaml.
        loss_config: the loss's block of params.yaml.
        metadata: name, fingerprint, best epoch and the like; JSON values.
    """

    model: InferenceModel
    schema: Schema
    network_config: NetworkConfig
    loss_config: LossConfig
    metadata: dict[str, Any]


def save_model(trained_model: TrainedModel, folder: Path) -> None:
    """Write the model into `folder`; it is moved to the CPU."""
    model, signature = trained_model.model.cpu(), infer_signature(trained_model.network_config, trained_model.schema)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "weights.safetensors",
    )
    preprocess = model.preprocess
    metadata = {
        **trained_model.metadata,
        "n_parameters": sum(p.numel() for p in model.network.parameters()),
        "network": NETWORK_ADAPTER.dump_python(trained_model.network_config, mode="json"),
        "loss": LOSS_ADAPTER.dump_python(trained_model.loss_config, mode="json"),
        "preprocess": {
            "dtype": str(preprocess.dtype).removeprefix("torch."),
            "steps": list(preprocess.step_kinds),
        },
        "schema": trained_model.schema.model_dump(mode="json"),
        "output": build_output_metadata(trained_model),
        "signature": signature._asdict(),
        **_encoder_metadata(trained_model),
    }
    (folder / "model.json").write_text(json.dumps(metadata, indent=2) + "\n")


def build_output_metadata(trained_model: TrainedModel) -> dict[str, Any]:
    """Return a description of a model's output for users of the exported file, as JSON values.

    It names the target if the model predicts it or is conditioned on it; for anomaly detection the threshold and the
    normal classes.
    """
    network = trained_model.network_config
    output_fields = infer_signature(network, trained_model.schema).output_fields
    if isinstance(network, Autoencoder) and isinstance(network.mode, AnomalyMode):
        threshold = float(trained_model.model.head.get_buffer("threshold"))
        return {"threshold": threshold, "normal_classes": network.mode.normal_classes} | output_fields
    if isinstance(network, Autoencoder) or (isinstance(network, Gan) and not network.is_conditional):
        return output_fields
    return output_metadata(trained_model.schema) | output_fields


def _encoder_metadata(trained_model: TrainedModel) -> dict[str, Any]:
    """Return the encoder's layers if another model can use them as preprocessing, else an empty dict."""
    network = trained_model.network_config
    if not isinstance(network, Autoencoder) or network.architecture == "recurrent":
        return {}
    return {"encoder": autoencoder_head.describe_encoder(cast(AutoencoderNetwork, trained_model.model.network))}


def load_model(folder: Path) -> TrainedModel:
    """Return the model that `save_model` wrote.

    Raises:
        ArtifactError: a file is missing, was altered, or does not hold a model of this version.
    """
    verify_manifest(folder)
    metadata = json.loads((folder / "model.json").read_text())
    try:
        schema = Schema.from_json(json.dumps(metadata["schema"]), folder / "model.json")
        network = NETWORK_ADAPTER.validate_json(json.dumps(metadata["network"]))
        loss = LOSS_ADAPTER.validate_json(json.dumps(metadata["loss"]))
        weights = load_file(folder / "weights.safetensors")
        pipeline = _restore_pipeline(metadata["preprocess"], weights)
        network_module = build_network(network, build_input_spec(schema, pipeline, loss))
        model = build_inference_model(
            network, schema, pipeline, network_module, build_head(network, schema, pipeline, loss)
        )
        model.load_state_dict(weights)
    except (KeyError, ValidationError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(
            f"{folder} must contain a model saved by this version, but: {reason}; run `dvc repro` again"
        ) from None
    return TrainedModel(model.eval(), schema, network, loss, metadata)


def build_input_spec(schema: Schema, pipeline: Pipeline, loss_config: LossConfig) -> InputSpec:
    """Return the input and output sizes of a network that follows `pipeline` and is trained with `loss_config`."""
    return InputSpec(
        pipeline.output_shape(schema.shape),
        output_size(schema, loss_config),
        len(schema.vocabulary),
        has_mask=any(step.kind == "mask" for step in pipeline.steps),
        one_hot_sizes=pipeline.one_hot_sizes(),
        n_classes=len(schema.classes),
    )


def build_inference_model(
    network_config: NetworkConfig, schema: Schema, pipeline: Pipeline, network: nn.Module, head: nn.Module
) -> InferenceModel:
    """Return the deployed model of a network."""
    is_generator = infer_signature(network_config, schema).input_name == "z"
    return InferenceModel(Preprocess(pipeline), network, head, is_generator=is_generator)


def build_head(network_config: NetworkConfig, schema: Schema, pipeline: Pipeline, loss_config: LossConfig) -> nn.Module:
    """Return the head of a model; its buffers have initial values."""
    match network_config:
        case Autoencoder():
            return autoencoder_head.build_head(network_config, schema, pipeline)
        case Gan():
            return gan_head.build_head(network_config, schema, pipeline)
        case Cyclegan():
            return cyclegan_head.build_head(network_config, schema, pipeline)
    return build_supervised_head(schema, loss_config)


def build_supervised_head(
    schema: Schema, loss_config: LossConfig, shift: Array | None = None, scale: Array | None = None
) -> SupervisedHead:
    """Return the head of a supervised model: probabilities for classes, values in the units of the targets.

    Args:
        schema: of all targets.
        loss_config: loss of the primary target.
        shift: (k,), mean of each target in training; a target of classes has one unused entry.
        scale: (k,), standard deviation of each target in training.
    """
    if not schema.extra_targets:
        return _build_target_head(schema, loss_config, shift, scale)
    heads, start, specs = [], 0, target_specs(schema)
    for spec in specs:
        end = start + max(len(spec.schema.values), 1)
        shift_scale = (None if array is None else array[start:end] for array in (shift, scale))
        heads.append(_build_target_head(spec.schema, loss_config, *shift_scale))
        start = end
    return MultiTargetHead(heads, [spec.columns for spec in specs])


def _build_target_head(
    schema: Schema, loss_config: LossConfig, shift: Array | None, scale: Array | None
) -> SoftmaxHead | SigmoidHead | RegressionHead:
    if schema.classes:
        return SigmoidHead() if isinstance(loss_config, BCELoss) else SoftmaxHead()
    k = len(schema.values)
    return RegressionHead(
        np.zeros(k) if shift is None else shift,
        np.ones(k) if scale is None else scale,
        n_quantiles=max(len(schema.quantiles), 1),
        base_indices=naive_indices(schema, schema.difference),
        log_target=schema.log_target,
    )


def _restore_pipeline(preprocess: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Pipeline:
    arrays = {
        key.removeprefix("preprocess."): tensor.numpy()
        for key, tensor in tensors.items()
        if key.startswith("preprocess.")
    }
    steps = (
        Step(kind, {key.rpartition("_")[0]: a for key, a in arrays.items() if key.rpartition("_")[2] == str(i)})
        for i, kind in enumerate(preprocess["steps"])
    )
    return Pipeline(preprocess["dtype"], tuple(steps))
