"""A trained model on disk: `weights.safetensors` and a `model.json` that rebuilds it without params.yaml."""

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from ..config.models import Network
from ..config.networks.autoencoder import Autoencoder, Detect
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..config.training import Bce, Loss
from ..data.baselines import places
from ..data.dataset import Array
from ..data.schema import Schema
from ..data.storage import verify
from ..data.targets import gives, goals
from ..errors import ArtifactError
from ..preprocessing.pipeline import Chain, Step
from .deployed import Classify, Deployed, Output, Preprocess, Rescale, SideBySide, Sigmoid
from .find import build_network
from .interface import interface_of
from .objective import outputs_of
from .shape import Shape

NETWORK: TypeAdapter[Network] = TypeAdapter(Network)
LOSS: TypeAdapter[Loss] = TypeAdapter(Loss)


@dataclass(frozen=True)
class Saved:
    """A trained model and what is known of it.

    model: ready to predict, on the CPU, in evaluation mode.
    facts: name, fingerprint, best epoch and the like; plain JSON values.
    """

    model: Deployed
    schema: Schema
    network: Network
    loss: Loss
    facts: dict[str, Any]


def save_model(saved: Saved, folder: Path) -> None:
    """Write the model into `folder`, moved to the CPU."""
    model, interface = saved.model.cpu(), interface_of(saved.network, saved.schema)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "weights.safetensors",
    )
    preprocess = model.preprocess
    facts = {
        **saved.facts,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "network": NETWORK.dump_python(saved.network, mode="json"),
        "loss": LOSS.dump_python(saved.loss, mode="json"),
        "preprocess": {
            "dtype": str(preprocess.dtype).removeprefix("torch."),
            "steps": list(preprocess.kinds),
        },
        "schema": saved.schema.model_dump(mode="json"),
        "gives": gives_of(saved),
        "interface": interface._asdict(),
        **_lent(saved),
    }
    (folder / "model.json").write_text(json.dumps(facts, indent=2) + "\n")


def gives_of(saved: Saved) -> dict[str, Any]:
    """Return what is said of a model's output to those who have only its file, as plain values.

    A target where one is learnt or asked for; of a detector its threshold and the classes that it learnt.
    """
    network, told = saved.network, interface_of(saved.network, saved.schema).told
    if isinstance(network, Autoencoder) and isinstance(network.purpose, Detect):
        threshold = float(saved.model.output.get_buffer("threshold"))
        return {"threshold": threshold, "normal": network.purpose.normal} | told
    if isinstance(network, Autoencoder) or (isinstance(network, Gan) and not network.conditional):
        return told
    return gives(saved.schema) | told


def _lent(saved: Saved) -> dict[str, Any]:
    """Return what another model may use of this one: layers that lead to a code."""
    network = saved.network
    if not isinstance(network, Autoencoder) or network.design == "recurrent":
        return {}
    module = import_module(f"fivefold.families.{network.family}.unrolled")
    return {"encoder": module.unrolled(saved.model.network)}


def load_model(folder: Path) -> Saved:
    """Rebuild what `save_model` wrote.

    Raises:
        ArtifactError: a file is missing, was altered, or does not hold a model of this version.
    """
    verify(folder)
    facts = json.loads((folder / "model.json").read_text())
    try:
        schema = Schema.from_json(json.dumps(facts["schema"]), folder / "model.json")
        network = NETWORK.validate_json(json.dumps(facts["network"]))
        loss = LOSS.validate_json(json.dumps(facts["loss"]))
        weights = load_file(folder / "weights.safetensors")
        chain = _chain(facts["preprocess"], weights)
        built = build_network(network, network_shape(schema, chain, loss))
        model = deployed(network, schema, chain, built, last_part(network, schema, chain, loss))
        model.load_state_dict(weights)
    except (KeyError, ValidationError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(
            f"{folder} must hold a model of this version, but: {reason}; run `dvc repro` again"
        ) from None
    return Saved(model.eval(), schema, network, loss, facts)


def network_shape(schema: Schema, chain: Chain, loss: Loss) -> Shape:
    """Return the shape that a network behind `chain` sees, and must give to be judged by `loss`."""
    return Shape(
        chain.shape(schema.shape),
        outputs_of(schema, loss),
        len(schema.vocabulary),
        masked=any(step.kind == "mask" for step in chain.steps),
        categories=chain.categories(),
        classes=len(schema.classes),
    )


def deployed(network: Network, schema: Schema, chain: Chain, built: nn.Module, output: nn.Module) -> Deployed:
    """Return the whole model of a network that was built."""
    noise = interface_of(network, schema).input == "z"
    return Deployed(Preprocess(chain), built, output, from_noise=noise)


def last_part(network: Network, schema: Schema, chain: Chain, loss: Loss) -> nn.Module:
    """Return the last part of a model, its numbers yet to be learnt or loaded."""
    if isinstance(network, Autoencoder | Cyclegan | Gan):
        part: nn.Module = import_module(f"fivefold.families.{network.family}.deployed").last_part(
            network, schema, chain
        )
        return part
    return output_of(schema, loss)


def output_of(schema: Schema, loss: Loss, shift: Array | None = None, scale: Array | None = None) -> Output:
    """Return the last part of a model: probabilities for classes, the targets' units for values.

    shift, scale: mean and deviation of each value as it was learnt; of a target of classes one number stands there.
    """
    if not schema.also:
        return _output(schema, loss, shift, scale)
    parts, start, every = [], 0, goals(schema)
    for goal in every:
        end = start + max(len(goal.schema.values), 1)
        pair = (None if array is None else array[start:end] for array in (shift, scale))
        parts.append(_output(goal.schema, loss, *pair))
        start = end
    return SideBySide(parts, [goal.columns for goal in every])


def _output(schema: Schema, loss: Loss, shift: Array | None, scale: Array | None) -> Classify | Sigmoid | Rescale:
    if schema.classes:
        return Sigmoid() if isinstance(loss, Bce) else Classify()
    k = len(schema.values)
    return Rescale(
        np.zeros(k) if shift is None else shift,
        np.ones(k) if scale is None else scale,
        levels=max(len(schema.levels), 1),
        base=places(schema, schema.base),
        log=schema.log,
    )


def _chain(facts: dict[str, Any], weights: dict[str, torch.Tensor]) -> Chain:
    arrays = {
        key.removeprefix("preprocess."): tensor.numpy()
        for key, tensor in weights.items()
        if key.startswith("preprocess.")
    }
    steps = (
        Step(kind, {key.rpartition("_")[0]: a for key, a in arrays.items() if key.rpartition("_")[2] == str(i)})
        for i, kind in enumerate(facts["steps"])
    )
    return Chain(facts["dtype"], tuple(steps))
