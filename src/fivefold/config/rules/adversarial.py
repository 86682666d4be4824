"""What cannot be where two networks learn from each other: an adversarial one.

What cannot be where images are translated between two domains.
"""

from collections.abc import Iterator

from ..datasets import DatasetConfig
from ..models import Model
from ..networks.cyclegan import Cyclegan
from ..networks.gan import WGANGP, Gan, WGANClip
from ..optimizers import PlateauSchedule
from ..training import Training

UNSUPPORTED_DEFAULTS = {"difference": "none", "compile": False, "pretrained": None}
"""Of training, what is of other families alone."""


def check_gan(network: Gan, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield each key of a model, and why it cannot be with the rest of the model or with its dataset."""
    for key, problem in (*_check_data(network, model, dataset), *_check_network(network)):
        yield f"network.{key}", problem
    yield from check_training(network, model)
    yield from _check_batches(network, model.training)


def _check_data(network: Gan, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
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
    if network.architecture != "dense" and dataset.kind != "images":
        yield (
            "architecture",
            f"{network.architecture} makes images, but {model.dataset} is of kind {dataset.kind}; choose dense",
        )
    if network.output_activation == "sigmoid" and dataset.kind == "table":
        yield "output", "sigmoid makes pixels, but a table has numbers of any size; choose linear"
    elif network.output_activation == "sigmoid" and dataset.normalize != "minmax":
        yield "output", f"sigmoid makes numbers between 0 and 1, but normalize is {dataset.normalize}; choose minmax"
    if dataset.normalize == "l2":
        yield "family", "l2 loses the size of a row, which cannot be made again; choose another normalize"
    if network.is_conditional and dataset.task != "classification":
        yield "condition", f"{network.conditioning} needs classes, but the task is {dataset.task}; choose none"
    if network.numeric_transform != "quantile" and dataset.kind != "table":
        yield "numbers", f"it is of tables, but {model.dataset} is of kind {dataset.kind}; leave it out"
    if network.augment is not None and dataset.kind != "images":
        yield "augment", f"it alters images, but {model.dataset} is of kind {dataset.kind}; leave it out"


def _check_network(network: Gan) -> Iterator[tuple[str, str]]:
    """Yield what excludes each other in the network's own block."""
    if isinstance(network.loss, WGANGP) and network.norm == "batch":
        yield "norm", "the penalty is of each record alone, but batch norm mixes them; choose none or spectral"
    if isinstance(network.loss, WGANClip) and network.norm == "spectral":
        yield "norm", "spectral holds the critic as clipping does; choose none, or another loss"


def _check_batches(network: Gan, training: Training) -> Iterator[tuple[str, str]]:
    """Yield what of batches does not suit a generator of noise."""
    if training.class_balance != "none" and not (
        training.class_balance == "weighted_sampler" and network.is_conditional
    ):
        yield (
            "training.class_balance",
            f"a gan can be shown classes alike, by sampling where condition asks for them, but it is"
            f" {training.class_balance} and condition {network.conditioning}; leave it out",
        )
    parts = network.pac * training.accumulate_grad_batches * training.devices
    if training.batch_size % parts:
        yield (
            "training.batch_size",
            f"it must be a multiple of pac times accumulate times devices, {parts}, but is {training.batch_size};"
            " change it",
        )


def check_training(network: Gan | Cyclegan, model: Model) -> Iterator[tuple[str, str]]:
    """Yield what of training is not of networks that learn from each other."""
    training, family = model.training, network.family
    if training.loss.name != "auto":
        yield (
            "training.loss.name",
            f"a {family}'s loss is network.loss, so it must be auto, but is {training.loss.name}",
        )
    for key, nothing in UNSUPPORTED_DEFAULTS.items():
        if getattr(training, key) != nothing:
            yield f"training.{key}", "is not of two networks that learn from each other; leave it out"
    if training.augment.is_active:
        remedy = ", or choose network.augment" if isinstance(network, Gan) else ""
        yield "training.augment", f"a {family} would make altered records; leave it out{remedy}"
    if isinstance(training.schedule, PlateauSchedule):
        yield (
            "training.schedule.name",
            f"plateau follows a loss, but a {family} has two; choose constant or cosine",
        )
    if 0 < training.patience < network.validate_every:
        default = "" if "patience" in training.model_fields_set else ", the default"
        yield (
            "training.patience",
            f"records are looked at every {network.validate_every} epochs, so it must be as much or 0, but is"
            f" {training.patience}{default}; set it so, or lower network.validate_every",
        )
    slopes = isinstance(network.loss, WGANGP) or (isinstance(network, Gan) and network.r1)
    if training.precision != "32" and slopes:
        yield "training.precision", f"slopes need 32 bits, but it is {training.precision}; leave it out"


def check_cyclegan(network: Cyclegan, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
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
    if network.output_activation == "sigmoid" and dataset.normalize != "minmax":
        yield (
            "network.output_activation",
            f"sigmoid makes numbers between 0 and 1, but normalize is {dataset.normalize}; choose minmax",
        )
    yield from check_training(network, model)
    if model.training.class_balance != "none":
        yield "training.class_balance", "an epoch shows as many images of either class anyway; leave it out"
