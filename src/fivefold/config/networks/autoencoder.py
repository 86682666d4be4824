"""The `network` block of autoencoders: architecture, variant (regularization) and mode (exported output)."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import Activation, Initialization, RecurrentCell, StrictModel

LayerSize = Annotated[int, Field(gt=0)]


class PlainVariant(StrictModel):
    """Undercomplete autoencoder without further regularization (Rumelhart, Hinton & Williams 1986)."""

    name: Literal["plain"]


class DenoisingVariant(StrictModel):
    """Reconstruct the sample from a corrupted one (Vincent et al. 2008)."""

    name: Literal["denoising"]
    noise: Literal["gaussian", "masking", "salt_and_pepper"] = Field(
        default="gaussian",
        description="gaussian: additive noise; masking: features are set to 0; salt_and_pepper: features are set to the"
        " minimum or maximum of the training rows",
    )
    amount: float = Field(
        default=0.3,
        gt=0,
        description="standard deviation of gaussian noise after normalization; otherwise the fraction of corrupted"
        " features",
    )


class SparseVariant(StrictModel):
    """Sparsity penalty on the latent code."""

    name: Literal["sparse"]
    penalty: Literal["l1", "kl"] = Field(
        default="l1",
        description="l1: mean absolute latent activation; kl: divergence of each unit's mean activation from"
        " `target_activation`, for activations between 0 and 1 (Ng 2011)",
    )
    weight: float = Field(default=0.001, gt=0, description="weight of the penalty relative to the reconstruction loss")
    target_activation: float = Field(
        default=0.05, gt=0, lt=1, description="target mean activation of each unit, for penalty: kl"
    )


class ContractiveVariant(StrictModel):
    """Penalty on the squared Frobenius norm of the encoder's Jacobian (Rifai et al. 2011)."""

    name: Literal["contractive"]
    weight: float = Field(default=0.001, gt=0, description="weight of the penalty relative to the reconstruction loss")


class VariationalVariant(StrictModel):
    """Variational autoencoder with a standard normal prior (Kingma & Welling 2014)."""

    name: Literal["variational"]
    beta: float = Field(
        default=1.0, gt=0, description="weight of the KL divergence, in nats per sample (Higgins et al. 2017)"
    )
    warmup_epochs: int = Field(
        default=0,
        ge=0,
        description="epochs over which beta increases from 0 (Bowman et al. 2016); validation uses the final beta",
    )
    free_bits: float = Field(
        default=0.0, ge=0, description="free nats of KL divergence per latent dimension (Kingma et al. 2016)"
    )


VariantConfig = Annotated[
    PlainVariant | DenoisingVariant | SparseVariant | ContractiveVariant | VariationalVariant,
    Field(discriminator="name"),
]


class ReconstructionMode(StrictModel):
    """Output the reconstruction; for the denoising variant, of the uncorrupted sample."""

    name: Literal["reconstruction", "denoising"]


class ReductionMode(StrictModel):
    """Output the latent code of each sample (dimensionality reduction)."""

    name: Literal["reduction"]


class GenerationMode(StrictModel):
    """Generate new samples from noise; needs the variational variant."""

    name: Literal["generation"]


class AnomalyMode(StrictModel):
    """Output an anomaly score and whether it exceeds the threshold."""

    name: Literal["anomaly"]
    normal_classes: tuple[str, ...] = Field(
        default=(), description="classes used for training; the others are anomalies. Default: all training rows"
    )
    quantile: float = Field(
        default=0.95, gt=0, lt=1, description="threshold: quantile of the scores of normal validation rows"
    )


ModeConfig = Annotated[ReconstructionMode | ReductionMode | GenerationMode | AnomalyMode, Field(discriminator="name")]


class Autoencoder(StrictModel):
    """Autoencoder with a decoder that mirrors the encoder."""

    family: Literal["autoencoder"]
    architecture: Literal["dense", "conv", "recurrent"] = Field(
        default="dense",
        description="dense: any data, flattened; conv: images; recurrent: sequences and windows of a series",
    )
    hidden: tuple[LayerSize, ...] = Field(
        default=(128,),
        description="size of each encoder layer: units (dense, recurrent) or filters (conv; each layer halves the"
        " image)",
    )
    latent_dim: int = Field(default=16, gt=0, description="number of latent dimensions")
    activation: Activation = "relu"
    latent_activation: Literal["linear", "relu", "sigmoid", "tanh"] = Field(
        default="linear", description="activation of the latent layer"
    )
    output_activation: Literal["linear", "sigmoid"] = Field(
        default="linear", description="activation of the output; sigmoid: for features between 0 and 1"
    )
    norm: Literal["none", "batch"] = Field(
        default="none", description="normalization before each activation; not for recurrent"
    )
    cell: RecurrentCell = Field(default="gru", description="recurrent cell, for architecture: recurrent")
    init: Initialization = "xavier"
    variant: VariantConfig = Field(default={"name": "plain"}, validate_default=True)
    mode: ModeConfig = Field(
        default={"name": "reconstruction"},
        validate_default=True,
        description="output of the exported model and main metric; reports include the other applicable metrics",
    )
