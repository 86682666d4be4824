"""What cannot be where a network tells its own records: an autoencoder."""

from collections.abc import Iterator

from ..datasets import Dataset
from ..models import Model
from ..networks.autoencoder import (
    Autoencoder,
    Contractive,
    Denoising,
    Detect,
    Generate,
    Rebuild,
    Reduce,
    Sparse,
    Variational,
)
from ..training import OF_RECORDS

LEFT_OUT = {"imbalance": "none", "base": "none", "start": None}
"""Of training, what is of networks alone that learn targets."""


def conflicts_of_autoencoder(network: Autoencoder, model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield each key of a model, and why it cannot be with the rest of the model or with its dataset."""
    for key, problem in (*_of_network(network), *_of_records(network, model, dataset)):
        yield f"network.{key}", problem
    training = model.training
    if training.loss.name not in OF_RECORDS:
        yield (
            "training.loss.name",
            f"records can have {', '.join(OF_RECORDS)}, but not {training.loss.name}; choose one",
        )
    if training.loss.name == "bce" and network.output != "sigmoid":
        yield "training.loss.name", "bce is of numbers between 0 and 1; set network.output to sigmoid"
    if isinstance(network.variant, Variational) and training.loss.name not in ("auto", "mse", "bce"):
        yield "training.loss.name", f"a likelihood is mse or bce, but not {training.loss.name}; choose one of them"
    for key, nothing in LEFT_OUT.items():
        if getattr(training, key) != nothing:
            yield f"training.{key}", "is of networks that learn targets, but an autoencoder tells records; leave it out"
    if training.augment.active:
        yield "training.augment", "an autoencoder would tell altered records; leave it out, or choose variant denoising"


def _of_network(network: Autoencoder) -> Iterator[tuple[str, str]]:
    """Yield what excludes each other in the network's own block."""
    variant, purpose = network.variant, network.purpose
    if network.design == "recurrent" and not network.hidden:
        yield "hidden", "a recurrent design needs a layer; name one"
    if network.design == "recurrent" and network.norm != "none":
        yield "norm", "recurrent layers have no batch norm here; leave it out"
    if isinstance(variant, Contractive) and network.design == "recurrent":
        yield "variant.name", "contractive needs second derivatives, which recurrent layers lack; choose another"
    if isinstance(variant, Sparse) and variant.penalty == "kl" and network.code != "sigmoid":
        yield "variant.penalty", f"kl is of codes between 0 and 1, but code is {network.code}; set it to sigmoid"
    if isinstance(variant, Variational) and network.code != "linear":
        yield "code", f"a variational code is a normal distribution's, so linear, but is {network.code}; leave it out"
    if isinstance(variant, Denoising) and variant.noise != "gaussian" and variant.amount > 1:
        yield (
            "variant.amount",
            f"{variant.noise} spoils a share of the features, so it must be at most 1, but is {variant.amount:g};"
            " lower it",
        )
    if isinstance(purpose, Generate) and not isinstance(variant, Variational):
        yield "purpose.name", f"generation draws codes, which variant {variant.name} cannot; choose variational"
    if isinstance(purpose, Rebuild) and purpose.name == "denoising" and not isinstance(variant, Denoising):
        yield "purpose.name", f"denoising is learnt from noise, but variant is {variant.name}; choose variant denoising"


def _of_records(network: Autoencoder, model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield what does not suit the records."""
    if dataset.kind == "text":
        yield "family", f"autoencoder tells numbers, but {model.dataset} is text; choose family rnn"
        return
    if model.select.method != "none":
        yield "family", "an autoencoder finds its own features; set select {method: none}"
    suits = {"dense": True, "conv": dataset.kind == "images", "recurrent": dataset.kind in ("sequences", "series")}
    if not suits[network.design]:
        fitting = [design for design, suited in suits.items() if suited]
        fitting += {"images": ["conv"], "sequences": ["recurrent"], "series": ["recurrent"]}.get(dataset.kind, [])
        yield (
            "design",
            f"{network.design} does not suit {model.dataset}, which is of kind {dataset.kind}; choose"
            f" {' or '.join(fitting)}",
        )
    if network.output == "sigmoid" and dataset.normalize != "minmax":
        yield "output", f"sigmoid tells numbers between 0 and 1, but normalize is {dataset.normalize}; choose minmax"
    if not isinstance(network.purpose, Reduce | Detect) and dataset.normalize == "l2":
        yield "purpose.name", "l2 loses the size of a row, which cannot be told again; choose another normalize"
    if isinstance(network.purpose, Detect) and network.purpose.normal and dataset.task != "classification":
        yield "purpose.normal", f"names classes, but the task is {dataset.task}; leave it out"
