"""Validation rules of autoencoders."""

from collections.abc import Iterator

from ..datasets import DatasetConfig
from ..models import Model
from ..networks.autoencoder import (
    AnomalyMode,
    Autoencoder,
    ContractiveVariant,
    DenoisingVariant,
    GenerationMode,
    ReconstructionMode,
    ReductionMode,
    SparseVariant,
    VariationalVariant,
)
from ..training import RECONSTRUCTION_LOSSES

UNSUPPORTED_DEFAULTS = {"class_balance": "none", "difference": "none", "pretrained": None}
"""Defaults of training options that only supervised models support."""


def check_autoencoder(network: Autoencoder, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for every option that is incompatible with the model or its dataset."""
    for key, problem in (*_check_network(network), *_check_data(network, model, dataset)):
        yield f"network.{key}", problem
    training = model.training
    if training.loss.name not in RECONSTRUCTION_LOSSES:
        yield (
            "training.loss.name",
            f"must be one of {', '.join(RECONSTRUCTION_LOSSES)} for an autoencoder, but is {training.loss.name};"
            " choose one",
        )
    if training.loss.name == "bce" and network.output_activation != "sigmoid":
        yield "training.loss.name", "bce needs outputs between 0 and 1; set network.output_activation to sigmoid"
    if isinstance(network.variant, VariationalVariant) and training.loss.name not in ("auto", "mse", "bce"):
        yield (
            "training.loss.name",
            f"the variational variant needs a likelihood, mse or bce, but it is {training.loss.name}; choose one",
        )
    for key, default in UNSUPPORTED_DEFAULTS.items():
        if getattr(training, key) != default:
            yield f"training.{key}", "applies to supervised models only, not to an autoencoder; remove it"
    if training.augment.is_active:
        yield (
            "training.augment",
            "an autoencoder would reconstruct augmented samples; remove it, or choose variant denoising",
        )


def _check_network(network: Autoencoder) -> Iterator[tuple[str, str]]:
    """Yield incompatible options within the `network` block."""
    variant, mode = network.variant, network.mode
    if network.architecture == "recurrent" and not network.hidden:
        yield "hidden", "a recurrent architecture needs at least one layer; add one"
    if network.architecture == "recurrent" and network.norm != "none":
        yield "norm", "recurrent layers do not support batch norm; remove it"
    if isinstance(variant, ContractiveVariant) and network.architecture == "recurrent":
        yield (
            "variant.name",
            "contractive needs second derivatives, which recurrent layers do not support; choose another",
        )
    if isinstance(variant, SparseVariant) and variant.penalty == "kl" and network.latent_activation != "sigmoid":
        yield (
            "variant.penalty",
            f"kl needs activations between 0 and 1, but latent_activation is {network.latent_activation}; set it to"
            " sigmoid",
        )
    if isinstance(variant, VariationalVariant) and network.latent_activation != "linear":
        yield (
            "latent_activation",
            f"must be linear for the variational variant, but is {network.latent_activation}; remove it",
        )
    if isinstance(variant, DenoisingVariant) and variant.noise != "gaussian" and variant.amount > 1:
        yield (
            "variant.amount",
            f"must be at most 1 for {variant.noise}, a fraction of the features, but is {variant.amount:g}; lower it",
        )
    if isinstance(mode, GenerationMode) and not isinstance(variant, VariationalVariant):
        yield "mode.name", f"generation needs variant variational, but variant is {variant.name}; choose it"
    if isinstance(mode, ReconstructionMode) and mode.name == "denoising" and not isinstance(variant, DenoisingVariant):
        yield "mode.name", f"denoising needs variant denoising, but variant is {variant.name}; choose it"


def _check_data(network: Autoencoder, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield options that are incompatible with the data."""
    if dataset.kind == "text":
        yield "family", f"autoencoder needs numeric data, but {model.dataset} is of kind text; choose family rnn"
        return
    if model.select.method != "none":
        yield "family", "an autoencoder learns its own features; set select {method: none}"
    supported = {"dense": True, "conv": dataset.kind == "images", "recurrent": dataset.kind in ("sequences", "series")}
    if not supported[network.architecture]:
        choices = " or ".join(architecture for architecture, is_supported in supported.items() if is_supported)
        yield (
            "architecture",
            f"{network.architecture} does not support {model.dataset}, which is of kind {dataset.kind}; choose"
            f" {choices}",
        )
    if network.output_activation == "sigmoid" and dataset.normalize != "minmax":
        yield (
            "output_activation",
            f"sigmoid outputs values between 0 and 1, but normalize is {dataset.normalize}; choose minmax",
        )
    if not isinstance(network.mode, ReductionMode | AnomalyMode) and dataset.normalize == "l2":
        yield "mode.name", "`normalize: l2` discards row norms, so inputs cannot be reconstructed; choose another"
    if isinstance(network.mode, AnomalyMode) and network.mode.normal_classes and dataset.task != "classification":
        yield "mode.normal_classes", f"needs classes, but the task is {dataset.task}; remove it"
