"""What cannot be where two networks learn from each other: an adversarial one.

What cannot be where images are translated between two domains.
"""

from collections.abc import Iterator

from ..datasets import Dataset
from ..models import Model
from ..networks.cyclegan import Cyclegan
from ..networks.gan import Clipped, Gan, Penalised
from ..optimizers import Plateau
from ..training import Training

LEFT_OUT = {"base": "none", "compile": False, "start": None}
"""Of training, what is of other families alone."""


def conflicts_of_gan(network: Gan, model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield each key of a model, and why it cannot be with the rest of the model or with its dataset."""
    for key, problem in (*_of_records(network, model, dataset), *_of_network(network)):
        yield f"network.{key}", problem
    yield from of_training(network, model)
    yield from _of_batches(network, model.training)


def _of_records(network: Gan, model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield what does not suit the records."""
    if dataset.kind not in ("images", "table"):
        yield (
            "family",
            f"gan makes images and rows of tables, but {model.dataset} is of kind {dataset.kind}; choose another"
            " family",
        )
        return
    if model.select.method != "none":
        yield "family", "a gan makes whole records; set select {method: none}"
    if network.design != "dense" and dataset.kind != "images":
        yield "design", f"{network.design} makes images, but {model.dataset} is of kind {dataset.kind}; choose dense"
    if network.output == "sigmoid" and dataset.kind == "table":
        yield "output", "sigmoid makes pixels, but a table has numbers of any size; choose linear"
    elif network.output == "sigmoid" and dataset.normalize != "minmax":
        yield "output", f"sigmoid makes numbers between 0 and 1, but normalize is {dataset.normalize}; choose minmax"
    if dataset.normalize == "l2":
        yield "family", "l2 loses the size of a row, which cannot be made again; choose another normalize"
    if network.conditional and dataset.task != "classification":
        yield "condition", f"{network.condition} needs classes, but the task is {dataset.task}; choose none"
    if network.numbers != "ranks" and dataset.kind != "table":
        yield "numbers", f"it is of tables, but {model.dataset} is of kind {dataset.kind}; leave it out"
    if network.augment is not None and dataset.kind != "images":
        yield "augment", f"it alters images, but {model.dataset} is of kind {dataset.kind}; leave it out"


def _of_network(network: Gan) -> Iterator[tuple[str, str]]:
    """Yield what excludes each other in the network's own block."""
    if isinstance(network.loss, Penalised) and network.norm == "batch":
        yield "norm", "the penalty is of each record alone, but batch norm mixes them; choose none or spectral"
    if isinstance(network.loss, Clipped) and network.norm == "spectral":
        yield "norm", "spectral holds the critic as clipping does; choose none, or another loss"


def _of_batches(network: Gan, training: Training) -> Iterator[tuple[str, str]]:
    """Yield what of batches does not suit a generator of noise."""
    if training.imbalance != "none" and not (training.imbalance == "sampling" and network.conditional):
        yield (
            "training.imbalance",
            f"a gan can be shown classes alike, by sampling where condition asks for them, but it is"
            f" {training.imbalance} and condition {network.condition}; leave it out",
        )
    parts = network.pac * training.accumulate * training.devices
    if training.batch_size % parts:
        yield (
            "training.batch_size",
            f"it must be a multiple of pac times accumulate times devices, {parts}, but is {training.batch_size};"
            " change it",
        )


def of_training(network: Gan | Cyclegan, model: Model) -> Iterator[tuple[str, str]]:
    """Yield what of training is not of networks that learn from each other."""
    training, family = model.training, network.family
    if training.loss.name != "auto":
        yield (
            "training.loss.name",
            f"a {family}'s loss is network.loss, so it must be auto, but is {training.loss.name}",
        )
    for key, nothing in LEFT_OUT.items():
        if getattr(training, key) != nothing:
            yield f"training.{key}", "is not of two networks that learn from each other; leave it out"
    if training.augment.active:
        remedy = ", or choose network.augment" if isinstance(network, Gan) else ""
        yield "training.augment", f"a {family} would make altered records; leave it out{remedy}"
    if isinstance(training.schedule, Plateau):
        yield (
            "training.schedule.name",
            f"plateau follows a loss, but a {family} has two; choose constant or cosine",
        )
    if 0 < training.patience < network.evaluate_every:
        default = "" if "patience" in training.model_fields_set else ", the default"
        yield (
            "training.patience",
            f"records are looked at every {network.evaluate_every} epochs, so it must be as much or 0, but is"
            f" {training.patience}{default}; set it so, or lower network.evaluate_every",
        )
    slopes = isinstance(network.loss, Penalised) or (isinstance(network, Gan) and network.r1)
    if training.precision != "32" and slopes:
        yield "training.precision", f"slopes need 32 bits, but it is {training.precision}; leave it out"


def conflicts_of_cyclegan(network: Cyclegan, model: Model, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield each key of a model, and why it cannot be with the rest of the model or with its dataset.

    How many classes and pixels there are, the data say: see `build` of the family.
    """
    if dataset.kind != "images":
        yield (
            "network.family",
            f"cyclegan translates images, but {model.dataset} is of kind {dataset.kind}; choose another family",
        )
        return
    if dataset.task != "classification":
        yield (
            "network.family",
            f"cyclegan translates between two classes, but the task is {dataset.task}; choose another family",
        )
    if model.select.method != "none":
        yield "network.family", "a cyclegan makes whole images; set select {method: none}"
    if network.output == "sigmoid" and dataset.normalize != "minmax":
        yield (
            "network.output",
            f"sigmoid makes numbers between 0 and 1, but normalize is {dataset.normalize}; choose minmax",
        )
    yield from of_training(network, model)
    if model.training.imbalance != "none":
        yield "training.imbalance", "an epoch shows as many images of either class anyway; leave it out"
