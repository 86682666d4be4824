"""Validation rules of adversarial models: GAN and CycleGAN."""

from collections.abc import Iterator

from ..datasets import DatasetConfig
from ..models import Model
from ..networks.cyclegan import Cyclegan
from ..networks.gan import WGANGP, Gan, WGANClip
from ..optimizers import PlateauSchedule
from ..training import Training

UNSUPPORTED_DEFAULTS = {"difference": "none", "compile": False, "pretrained": None}
"""Defaults of training options that only other families support."""


def check_gan(network: Gan, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for every option that is incompatible with the model or its dataset."""
    for key, problem in (*_check_data(network, model, dataset), *_check_network(network)):
        yield f"network.{key}", problem
    yield from check_training(network, model)
    yield from _check_batches(network, model.training)


def _check_data(network: Gan, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield options that are incompatible with the data."""
    if dataset.kind not in ("images", "table"):
        yield (
            "family",
            f"gan generates images and table rows, but {model.dataset} is of kind {dataset.kind}; choose another"
            " family",
        )
        return
    if model.select.method != "none":
        yield "family", "a gan generates complete samples; set select {method: none}"
    if network.architecture != "dense" and dataset.kind != "images":
        yield (
            "architecture",
            f"{network.architecture} generates images, but {model.dataset} is of kind {dataset.kind}; choose dense",
        )
    if network.output_activation == "sigmoid" and dataset.kind == "table":
        yield "output_activation", "sigmoid is for pixels, but table columns are unbounded; choose linear"
    elif network.output_activation == "sigmoid" and dataset.normalize != "minmax":
        yield (
            "output_activation",
            f"sigmoid outputs values between 0 and 1, but normalize is {dataset.normalize}; choose minmax",
        )
    if dataset.normalize == "l2":
        yield (
            "family",
            "`normalize: l2` discards row norms, so samples in original units cannot be generated; choose another",
        )
    if network.is_conditional and dataset.task != "classification":
        yield "conditioning", f"{network.conditioning} needs classes, but the task is {dataset.task}; choose none"
    if network.numeric_transform != "quantile" and dataset.kind != "table":
        yield "numeric_transform", f"applies to tables, but {model.dataset} is of kind {dataset.kind}; remove it"
    if network.augment is not None and dataset.kind != "images":
        yield "augment", f"applies to images, but {model.dataset} is of kind {dataset.kind}; remove it"


def _check_network(network: Gan) -> Iterator[tuple[str, str]]:
    """Yield incompatible options within the `network` block."""
    if isinstance(network.loss, WGANGP) and network.norm == "batch":
        yield "norm", "the gradient penalty is per sample, but batch norm mixes samples; choose none or spectral"
    if isinstance(network.loss, WGANClip) and network.norm == "spectral":
        yield "norm", "spectral and wasserstein_clip both constrain the critic; choose none, or another loss"


def _check_batches(network: Gan, training: Training) -> Iterator[tuple[str, str]]:
    """Yield incompatible options that concern batches."""
    if training.class_balance != "none" and not (
        training.class_balance == "weighted_sampler" and network.is_conditional
    ):
        yield (
            "training.class_balance",
            "a gan supports weighted_sampler with conditioning only, but class_balance is"
            f" {training.class_balance} and network.conditioning {network.conditioning}; remove it",
        )
    divisor = network.pac * training.accumulate_grad_batches * training.devices
    if training.batch_size % divisor:
        yield (
            "training.batch_size",
            f"must be a multiple of network.pac x accumulate_grad_batches x devices, {divisor}, but is"
            f" {training.batch_size}; change it",
        )


def check_training(network: Gan | Cyclegan, model: Model) -> Iterator[tuple[str, str]]:
    """Yield training options that adversarial models do not support."""
    training, family = model.training, network.family
    if training.loss.name != "auto":
        yield (
            "training.loss.name",
            f"the loss of a {family} is network.loss, so this must be auto, but is {training.loss.name}; remove it",
        )
    for key, default in UNSUPPORTED_DEFAULTS.items():
        if getattr(training, key) != default:
            yield f"training.{key}", f"is not supported by a {family}; remove it"
    if training.augment.is_active:
        remedy = ", or use network.augment" if isinstance(network, Gan) else ""
        yield "training.augment", f"a {family} would generate augmented samples; remove it{remedy}"
    if isinstance(training.schedule, PlateauSchedule):
        yield (
            "training.schedule.name",
            f"plateau monitors a single loss, but a {family} has two; choose constant or cosine",
        )
    if 0 < training.patience < network.validate_every:
        origin = "" if "patience" in training.model_fields_set else ", the default"
        yield (
            "training.patience",
            f"must be 0 or at least network.validate_every, {network.validate_every}, but is"
            f" {training.patience}{origin}; raise it, or lower network.validate_every",
        )
    has_gradient_penalty = isinstance(network.loss, WGANGP) or (isinstance(network, Gan) and network.r1)
    if training.precision != "32" and has_gradient_penalty:
        yield "training.precision", f"gradient penalties need precision 32, but it is {training.precision}; remove it"


def check_cyclegan(network: Cyclegan, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield each key of a model, and why it cannot be with the rest of the model or with its dataset.

    The numbers of classes and pixels are only known from the data and are checked when the network is built.
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
        yield "network.family", "a cyclegan translates complete images; set select {method: none}"
    if network.output_activation == "sigmoid" and dataset.normalize != "minmax":
        yield (
            "network.output_activation",
            f"sigmoid outputs values between 0 and 1, but normalize is {dataset.normalize}; choose minmax",
        )
    yield from check_training(network, model)
    if model.training.class_balance != "none":
        yield "training.class_balance", "an epoch uses equally many images of both classes anyway; remove it"
