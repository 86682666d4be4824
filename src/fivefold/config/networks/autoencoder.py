"""What can be chosen of an autoencoder: its design, what keeps it from copying, and what it is for."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import Activation, Initialization, RecurrentCell, StrictModel

LayerSize = Annotated[int, Field(gt=0)]


class PlainVariant(StrictModel):
    """Nothing but a code of fewer numbers than the record has (Rumelhart, Hinton & Williams 1986)."""

    name: Literal["plain"]


class DenoisingVariant(StrictModel):
    """The record is told from one that was spoilt (Vincent et al. 2008)."""

    name: Literal["denoising"]
    noise: Literal["gaussian", "masking", "salt_and_pepper"] = Field(
        default="gaussian",
        description="gaussian: added; masking: a feature becomes 0; salt_and_pepper: it becomes the smallest or the"
        " largest value of the training rows",
    )
    amount: float = Field(
        default=0.3, gt=0, description="deviation of gaussian noise, after normalization; else the share of features"
    )


class SparseVariant(StrictModel):
    """Few units of the code are active for a record."""

    name: Literal["sparse"]
    penalty: Literal["l1", "kl"] = Field(
        default="l1",
        description="l1: on the mean absolute code; kl: of each unit's mean activity from `target`, for a code between"
        " 0 and 1 (Ng 2011)",
    )
    weight: float = Field(default=0.001, gt=0, description="of the penalty, beside the reconstruction")
    target_activation: float = Field(default=0.05, gt=0, lt=1, description="mean activity that kl asks of each unit")


class ContractiveVariant(StrictModel):
    """The code hardly moves with the record: the squared norm of its Jacobian is a penalty (Rifai et al. 2011)."""

    name: Literal["contractive"]
    weight: float = Field(default=0.001, gt=0, description="of the penalty, beside the reconstruction")


class VariationalVariant(StrictModel):
    """The code is a normal distribution near the standard one, from which can be drawn (Kingma & Welling 2014)."""

    name: Literal["variational"]
    beta: float = Field(
        default=1.0, gt=0, description="weight of the divergence, in nats a record (Higgins et al. 2017)"
    )
    warmup_epochs: int = Field(
        default=0,
        ge=0,
        description="epochs over which beta rises from 0 (Bowman et al. 2016); validation has it in full",
    )
    free_bits: float = Field(
        default=0.0, ge=0, description="nats of each number of the code that cost nothing (Kingma et al. 2016)"
    )


VariantConfig = Annotated[
    PlainVariant | DenoisingVariant | SparseVariant | ContractiveVariant | VariationalVariant,
    Field(discriminator="name"),
]


class ReconstructionMode(StrictModel):
    """Tells the record: how much is lost in so few numbers, and where. Of a denoising variant, the record as it was."""

    name: Literal["reconstruction", "denoising"]


class ReductionMode(StrictModel):
    """Tells the code: coordinates of each record."""

    name: Literal["reduction"]


class GenerationMode(StrictModel):
    """Tells records that were never there, from noise; of a variational variant."""

    name: Literal["generation"]


class AnomalyMode(StrictModel):
    """Tells how unlike the normal training rows a record is, and whether too much so."""

    name: Literal["anomaly"]
    normal_classes: tuple[str, ...] = Field(
        default=(), description="classes that are learnt, the others being anomalies; left out: every training row"
    )
    quantile: float = Field(
        default=0.95, gt=0, lt=1, description="share of normal validation rows that are to be taken for normal"
    )


ModeConfig = Annotated[ReconstructionMode | ReductionMode | GenerationMode | AnomalyMode, Field(discriminator="name")]


class Autoencoder(StrictModel):
    """An encoder from records to codes, and its mirror image back."""

    family: Literal["autoencoder"]
    architecture: Literal["dense", "conv", "recurrent"] = Field(
        default="dense",
        description="dense: anything, flattened; conv: images; recurrent: sequences and windows of a series",
    )
    hidden: tuple[LayerSize, ...] = Field(
        default=(128,),
        description="encoder, layer by layer: units; of conv filters, each layer halving the image; of recurrent cells",
    )
    latent_dim: int = Field(default=16, gt=0, description="numbers of a code")
    activation: Activation = "relu"
    latent_activation: Literal["linear", "relu", "sigmoid", "tanh"] = Field(
        default="linear", description="activation of the code"
    )
    output_activation: Literal["linear", "sigmoid"] = Field(
        default="linear", description="activation of what is told; sigmoid: for features between 0 and 1"
    )
    norm: Literal["none", "batch"] = Field(default="none", description="before each activation; not of recurrent")
    cell: RecurrentCell = Field(default="gru", description="of recurrent")
    init: Initialization = "xavier"
    variant: VariantConfig = Field(default={"name": "plain"}, validate_default=True)
    mode: ModeConfig = Field(
        default={"name": "reconstruction"},
        validate_default=True,
        description="what the exported file tells, and what is scored first; reports have what else applies",
    )
