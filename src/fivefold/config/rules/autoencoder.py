"""What cannot be where a network tells its own records: an autoencoder."""

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
"""Of training, what is of networks alone that learn targets."""


def check_autoencoder(network: Autoencoder, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield each key of a model, and why it cannot be with the rest of the model or with its dataset."""
    for key, problem in (*_check_network(network), *_check_data(network, model, dataset)):
        yield f"network.{key}", problem
    training = model.training
    if training.loss.name not in RECONSTRUCTION_LOSSES:
        yield (
            "training.loss.name",
            f"records can have {', '.join(RECONSTRUCTION_LOSSES)}, but not {training.loss.name}; choose one",
        )
    if training.loss.name == "bce" and network.output_activation != "sigmoid":
        yield "training.loss.name", "bce is of numbers between 0 and 1; set network.output_activation to sigmoid"
    if isinstance(network.variant, VariationalVariant) and training.loss.name not in ("auto", "mse", "bce"):
        yield "training.loss.name", f"a likelihood is mse or bce, but not {training.loss.name}; choose one of them"
    for key, nothing in UNSUPPORTED_DEFAULTS.items():
        if getattr(training, key) != nothing:
            yield f"training.{key}", "is of networks that learn targets, but an autoencoder tells records; leave it out"
    if training.augment.is_active:
        yield "training.augment", "an autoencoder would tell altered records; leave it out, or choose variant denoising"


def _check_network(network: Autoencoder) -> Iterator[tuple[str, str]]:
    """Yield what excludes each other in the network's own block."""
    variant, purpose = network.variant, network.mode
    if network.architecture == "recurrent" and not network.hidden:
        yield "hidden", "a recurrent design needs a layer; name one"
    if network.architecture == "recurrent" and network.norm != "none":
        yield "norm", "recurrent layers have no batch norm here; leave it out"
    if isinstance(variant, ContractiveVariant) and network.architecture == "recurrent":
        yield "variant.name", "contractive needs second derivatives, which recurrent layers lack; choose another"
    if isinstance(variant, SparseVariant) and variant.penalty == "kl" and network.latent_activation != "sigmoid":
        yield (
            "variant.penalty",
            f"kl is of codes between 0 and 1, but code is {network.latent_activation}; set it to sigmoid",
        )
    if isinstance(variant, VariationalVariant) and network.latent_activation != "linear":
        yield (
            "code",
            f"a variational code is a normal distribution's, so linear, but is {network.latent_activation}; leave it out",
        )
    if isinstance(variant, DenoisingVariant) and variant.noise != "gaussian" and variant.amount > 1:
        yield (
            "variant.amount",
            f"{variant.noise} spoils a share of the features, so it must be at most 1, but is {variant.amount:g};"
            " lower it",
        )
    if isinstance(purpose, GenerationMode) and not isinstance(variant, VariationalVariant):
        yield "mode.name", f"generation draws codes, which variant {variant.name} cannot; choose variational"
    if (
        isinstance(purpose, ReconstructionMode)
        and purpose.name == "denoising"
        and not isinstance(variant, DenoisingVariant)
    ):
        yield "mode.name", f"denoising is learnt from noise, but variant is {variant.name}; choose variant denoising"


def _check_data(network: Autoencoder, model: Model, dataset: DatasetConfig) -> Iterator[tuple[str, str]]:
    """Yield what does not suit the records."""
    if dataset.kind == "text":
        yield "family", f"autoencoder tells numbers, but {model.dataset} is text; choose family rnn"
        return
    if model.select.method != "none":
        yield "family", "an autoencoder finds its own features; set select {method: none}"
    suits = {"dense": True, "conv": dataset.kind == "images", "recurrent": dataset.kind in ("sequences", "series")}
    if not suits[network.architecture]:
        fitting = [design for design, suited in suits.items() if suited]
        fitting += {"images": ["conv"], "sequences": ["recurrent"], "series": ["recurrent"]}.get(dataset.kind, [])
        yield (
            "architecture",
            f"{network.architecture} does not suit {model.dataset}, which is of kind {dataset.kind}; choose"
            f" {' or '.join(fitting)}",
        )
    if network.output_activation == "sigmoid" and dataset.normalize != "minmax":
        yield "output", f"sigmoid tells numbers between 0 and 1, but normalize is {dataset.normalize}; choose minmax"
    if not isinstance(network.mode, ReductionMode | AnomalyMode) and dataset.normalize == "l2":
        yield "mode.name", "l2 loses the size of a row, which cannot be told again; choose another normalize"
    if isinstance(network.mode, AnomalyMode) and network.mode.normal_classes and dataset.task != "classification":
        yield "mode.normal_classes", f"names classes, but the task is {dataset.task}; leave it out"
