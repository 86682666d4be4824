"""A trained model on disk: `weights.safetensors` and a `model.json` that rebuilds it without params.yaml.

What a whole model takes and gives: the signature of its exported file and of its registered versions.
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
"""Type of raw records by kind; else float64."""


class Signature(NamedTuple):
    """Names, shapes without rows, and NumPy types of input and output."""

    input_name: str
    input_shape: tuple[int, ...]
    input_dtype: str
    output_name: str
    output_shape: tuple[int, ...]
    output_dtype: str
    n_classes: int = 0
    """Of noise: how many of its last numbers ask for a class, one 1 and the rest 0."""
    target_class: str = ""
    """Of translations: the class that images are translated into."""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return what stands in `model.json`."""
        return cls(**data | {name: tuple(data[name]) for name in ("input_shape", "output_shape")})

    @property
    def output_fields(self) -> dict[str, Any]:
        """What is said of the output to those who have only the file, as plain values."""
        return {
            "name": self.output_name,
            "shape": self.output_shape,
            **({"into": self.target_class} if self.target_class else {}),
        }


def infer_signature(network_config: NetworkConfig, schema: Schema) -> Signature:
    """Return what a model takes, raw records or noise, and gives: predictions, records, codes, errors, translations."""
    records = (schema.shape, RAW_DTYPES.get(schema.kind, "float64"))
    told = (schema.shape, "float32" if schema.kind == "images" else "float64")
    if isinstance(network_config, Gan):
        classes = len(schema.classes) if network_config.is_conditional else 0
        return Signature("z", (network_config.latent_dim + classes,), "float32", "samples", *told, classes)
    if isinstance(network_config, Cyclegan):
        return Signature(
            "x", *records, "translations", *told, target_class=network_config.target_class or schema.classes[1]
        )
    if not isinstance(network_config, Autoencoder):
        return Signature("x", *records, schema.output_kind, (schema.n_outputs,), schema.output_dtype)
    match network_config.mode:
        case GenerationMode():
            return Signature("z", (network_config.latent_dim,), "float32", "samples", *told)
        case ReductionMode():
            return Signature("x", *records, "codes", (network_config.latent_dim,), "float32")
        case AnomalyMode():
            return Signature("x", *records, "anomaly", (2,), "float32")
    return Signature("x", *records, "reconstruction", *told)


def build_input_example(signature: Signature, x: Array, n: int) -> Array:
    """Return n rows of what a model takes, (n, ...): raw records x, from the first again if they are few, or noise."""
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
    """A trained model and what is known of it.

    model: ready to predict, on the CPU, in evaluation mode.
    facts: name, fingerprint, best epoch and the like; plain JSON values.
    """

    model: InferenceModel
    schema: Schema
    network_config: NetworkConfig
    loss_config: LossConfig
    metadata: dict[str, Any]


def save_model(trained_model: TrainedModel, folder: Path) -> None:
    """Write the model into `folder`, moved to the CPU."""
    model, interface = trained_model.model.cpu(), infer_signature(trained_model.network_config, trained_model.schema)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "weights.safetensors",
    )
    preprocess = model.preprocess
    facts = {
        **trained_model.metadata,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "network": NETWORK_ADAPTER.dump_python(trained_model.network_config, mode="json"),
        "loss": LOSS_ADAPTER.dump_python(trained_model.loss_config, mode="json"),
        "preprocess": {
            "dtype": str(preprocess.dtype).removeprefix("torch."),
            "steps": list(preprocess.step_kinds),
        },
        "schema": trained_model.schema.model_dump(mode="json"),
        "gives": build_output_metadata(trained_model),
        "interface": interface._asdict(),
        **_encoder_metadata(trained_model),
    }
    (folder / "model.json").write_text(json.dumps(facts, indent=2) + "\n")


def build_output_metadata(trained_model: TrainedModel) -> dict[str, Any]:
    """Return what is said of a model's output to those who have only its file, as plain values.

    A target where one is learnt or asked for; of a detector its threshold and the classes that it learnt.
    """
    network, told = (
        trained_model.network_config,
        infer_signature(trained_model.network_config, trained_model.schema).output_fields,
    )
    if isinstance(network, Autoencoder) and isinstance(network.mode, AnomalyMode):
        threshold = float(trained_model.model.head.get_buffer("threshold"))
        return {"threshold": threshold, "normal": network.mode.normal_classes} | told
    if isinstance(network, Autoencoder) or (isinstance(network, Gan) and not network.is_conditional):
        return told
    return output_metadata(trained_model.schema) | told


def _encoder_metadata(trained_model: TrainedModel) -> dict[str, Any]:
    """Return what another model may use of this one: layers that lead to a code."""
    network = trained_model.network_config
    if not isinstance(network, Autoencoder) or network.architecture == "recurrent":
        return {}
    return {"encoder": autoencoder_head.describe_encoder(cast(AutoencoderNetwork, trained_model.model.network))}


def load_model(folder: Path) -> TrainedModel:
    """Rebuild what `save_model` wrote.

    Raises:
        ArtifactError: a file is missing, was altered, or does not hold a model of this version.
    """
    verify_manifest(folder)
    facts = json.loads((folder / "model.json").read_text())
    try:
        schema = Schema.from_json(json.dumps(facts["schema"]), folder / "model.json")
        network = NETWORK_ADAPTER.validate_json(json.dumps(facts["network"]))
        loss = LOSS_ADAPTER.validate_json(json.dumps(facts["loss"]))
        weights = load_file(folder / "weights.safetensors")
        chain = _restore_pipeline(facts["preprocess"], weights)
        built = build_network(network, build_input_spec(schema, chain, loss))
        model = build_inference_model(network, schema, chain, built, build_head(network, schema, chain, loss))
        model.load_state_dict(weights)
    except (KeyError, ValidationError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(
            f"{folder} must hold a model of this version, but: {reason}; run `dvc repro` again"
        ) from None
    return TrainedModel(model.eval(), schema, network, loss, facts)


def build_input_spec(schema: Schema, pipeline: Pipeline, loss_config: LossConfig) -> InputSpec:
    """Return the shape that a network behind `chain` sees, and must give to be judged by `loss`."""
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
    """Return the whole model of a network that was built."""
    noise = infer_signature(network_config, schema).input_name == "z"
    return InferenceModel(Preprocess(pipeline), network, head, is_generator=noise)


def build_head(network_config: NetworkConfig, schema: Schema, pipeline: Pipeline, loss_config: LossConfig) -> nn.Module:
    """Return the last part of a model, its numbers yet to be learnt or loaded."""
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
    """Return the last part of a model: probabilities for classes, the targets' units for values.

    shift, scale: mean and deviation of each value as it was learnt; of a target of classes one number stands there.
    """
    if not schema.extra_targets:
        return _build_target_head(schema, loss_config, shift, scale)
    parts, start, every = [], 0, target_specs(schema)
    for goal in every:
        end = start + max(len(goal.schema.values), 1)
        pair = (None if array is None else array[start:end] for array in (shift, scale))
        parts.append(_build_target_head(goal.schema, loss_config, *pair))
        start = end
    return MultiTargetHead(parts, [goal.columns for goal in every])


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
