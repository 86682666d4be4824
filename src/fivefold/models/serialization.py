"""A trained model on disk: `weights.safetensors` and a `model.json` that rebuilds it without params.yaml.

What a whole model takes and gives: the signature of its exported file and of its registered versions.
"""

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from ..config.models import Network
from ..config.networks.autoencoder import Autoencoder, Detect, Generate, Reduce
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
from .factory import Shape, build_network
from .inference import Classify, Deployed, Output, Preprocess, Rescale, SideBySide, Sigmoid
from .losses import outputs_of

RAW = {"images": "uint8", "text": "int32"}
"""Type of raw records by kind; else float64."""


class Interface(NamedTuple):
    """Names, shapes without rows, and NumPy types of input and output."""

    input: str
    takes: tuple[int, ...]
    takes_dtype: str
    output: str
    gives: tuple[int, ...]
    gives_dtype: str
    classes: int = 0
    """Of noise: how many of its last numbers ask for a class, one 1 and the rest 0."""
    into: str = ""
    """Of translations: the class that images are translated into."""

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Self:
        """Return what stands in `model.json`."""
        return cls(**facts | {name: tuple(facts[name]) for name in ("takes", "gives")})

    @property
    def told(self) -> dict[str, Any]:
        """What is said of the output to those who have only the file, as plain values."""
        return {"name": self.output, "shape": self.gives, **({"into": self.into} if self.into else {})}


def interface_of(network: Network, schema: Schema) -> Interface:
    """Return what a model takes, raw records or noise, and gives: predictions, records, codes, errors, translations."""
    records = (schema.shape, RAW.get(schema.kind, "float64"))
    told = (schema.shape, "float32" if schema.kind == "images" else "float64")
    if isinstance(network, Gan):
        classes = len(schema.classes) if network.conditional else 0
        return Interface("z", (network.latent + classes,), "float32", "samples", *told, classes)
    if isinstance(network, Cyclegan):
        return Interface("x", *records, "translations", *told, into=network.into or schema.classes[1])
    if not isinstance(network, Autoencoder):
        return Interface("x", *records, schema.output, (schema.n_outputs,), schema.output_dtype)
    match network.purpose:
        case Generate():
            return Interface("z", (network.latent,), "float32", "samples", *told)
        case Reduce():
            return Interface("x", *records, "codes", (network.latent,), "float32")
        case Detect():
            return Interface("x", *records, "anomaly", (2,), "float32")
    return Interface("x", *records, "reconstruction", *told)


def inputs_of(interface: Interface, x: Array, n: int) -> Array:
    """Return n rows of what a model takes, (n, ...): raw records x, from the first again if they are few, or noise."""
    if interface.input == "z":
        z = np.random.default_rng(0).standard_normal((n, *interface.takes)).astype(interface.takes_dtype)
        if interface.classes:
            z[:, -interface.classes :] = np.eye(interface.classes)[np.arange(n) % interface.classes]
        return z
    return np.ascontiguousarray(x[np.resize(np.arange(len(x)), n)])


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
    module = import_module(f"fivefold.models.{network.family}.head")
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
        part: nn.Module = import_module(f"fivefold.models.{network.family}.head").last_part(network, schema, chain)
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
