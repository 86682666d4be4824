"""What a whole model takes and gives: the signature of its exported file and of its registered versions."""

from typing import Any, NamedTuple, Self

import numpy as np

from ..config.models import Network
from ..config.networks.autoencoder import Autoencoder, Detect, Generate, Reduce
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..data.dataset import Array
from ..data.schema import Schema

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
