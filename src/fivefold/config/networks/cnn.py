"""What can be chosen of a convolutional network: a design, and what that design leaves open."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..base import Activation, Initialization, StrictModel

LayerSize = Annotated[int, Field(gt=0)]
DropoutRate = Annotated[float, Field(ge=0, lt=1)]
EmbeddingDim = Annotated[
    int | None, Field(gt=0, description="numbers that stand for a token; of text only; left out: 64")
]


class TutorialCnn(StrictModel):
    """The tutorials' network, as it is: `stack` with nothing but its defaults."""

    family: Literal["cnn"]
    architecture: Literal["tutorial"]

    norm: ClassVar[Literal["none"]] = "none"


class PlainCnn(StrictModel):
    """Convolutions, each with 2x2 pooling, then dense layers."""

    family: Literal["cnn"]
    architecture: Literal["plain"]
    channels: tuple[LayerSize, ...] = Field(default=(16, 32), min_length=1, description="filters of each convolution")
    kernel_size: Literal[1, 3, 5, 7] = Field(default=3, description="side of a filter, pixels")
    padding: Literal["same", "valid"] = Field(
        default="same", description="same: a convolution keeps the size; valid: filters stay within the image"
    )
    norm: Literal["none", "batch"] = Field(default="none", description="between convolution and activation")
    pool: Literal["max", "average"] = "max"
    head: Literal["flatten", "global_average"] = Field(
        default="flatten", description="what the dense layers see: every place, or the mean over all (Lin et al. 2014)"
    )
    dense: tuple[LayerSize, ...] = Field(default=(128,), description="units of each dense layer before the last")
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.0, description="share of dense units switched off in training")
    init: Initialization = "kaiming"

    @property
    def convolutions(self) -> tuple[int, ...]:
        """How many convolutions precede each pooling."""
        return (1,) * len(self.channels)


class Vgg(StrictModel):
    """Stages of 3x3 convolutions with batch norm, a 2x2 max-pooling after each stage, then dense layers."""

    family: Literal["cnn"]
    architecture: Literal["vgg"]
    channels: tuple[LayerSize, ...] = Field(
        default=(64, 128, 256, 512), min_length=1, description="filters of each convolution, stage by stage"
    )
    convolutions: tuple[LayerSize, ...] = Field(default=(1, 1, 2, 2), description="how many, stage by stage")
    dense: tuple[LayerSize, ...] = Field(default=(512,), description="units of each dense layer before the last")
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.5, description="share of dense units switched off in training")
    init: Initialization = "kaiming"

    kernel_size: ClassVar[int] = 3
    padding: ClassVar[Literal["same"]] = "same"
    norm: ClassVar[Literal["batch"]] = "batch"
    pool: ClassVar[Literal["max"]] = "max"
    head: ClassVar[Literal["flatten"]] = "flatten"


class ResNet(StrictModel):
    """Residual blocks as for CIFAR: three stages of 16, 32 and 64 channels, each half the size of the one before."""

    family: Literal["cnn"]
    architecture: Literal["resnet"]
    depth: Literal[8, 14, 20] = Field(default=20, description="layers with weights, 6 n + 2 with n blocks a stage")
    widen_factor: int = Field(default=1, gt=0, description="times as many channels (Zagoruyko & Komodakis 2016)")
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.0, description="share of values switched off within a block, in training")
    init: Initialization = "kaiming"

    norm: ClassVar[Literal["batch"]] = "batch"


class Fcn(StrictModel):
    """Convolutions over time with batch norm, then the mean over all steps."""

    family: Literal["cnn"]
    architecture: Literal["fcn"]
    channels: tuple[LayerSize, ...] = Field(
        default=(128, 256, 128), min_length=1, description="filters, layer by layer"
    )
    kernel_sizes: tuple[LayerSize, ...] = Field(
        default=(8, 5, 3), description="steps that a filter spans, layer by layer"
    )
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.0, description="share of the means switched off in training")
    init: Initialization = "kaiming"
    embedding_dim: EmbeddingDim = None

    norm: ClassVar[Literal["batch"]] = "batch"


class ResNet1d(StrictModel):
    """Residual blocks over time, a convolution of each kernel in every block, then the mean over all steps."""

    family: Literal["cnn"]
    architecture: Literal["resnet1d"]
    channels: tuple[LayerSize, ...] = Field(default=(64, 128, 128), min_length=1, description="filters, block by block")
    kernel_sizes: tuple[LayerSize, ...] = Field(
        default=(8, 5, 3), min_length=1, description="steps that the filters span"
    )
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.0, description="share of the means switched off in training")
    init: Initialization = "kaiming"
    embedding_dim: EmbeddingDim = None

    norm: ClassVar[Literal["batch"]] = "batch"


class Tcn(StrictModel):
    """Residual blocks of causal convolutions, the i-th over steps 2^i apart; what is told is of the last step.

    The last step sees 1 + 2 (kernel - 1) (2^n - 1) steps of n blocks: 125 with the defaults.
    """

    family: Literal["cnn"]
    architecture: Literal["tcn"]
    channels: tuple[LayerSize, ...] = Field(default=(64,) * 5, min_length=1, description="filters, block by block")
    kernel_size: int = Field(default=3, gt=1, description="steps that a filter spans")
    norm: Literal["none", "weight"] = Field(
        default="weight", description="weight: length and direction of a filter apart (Salimans & Kingma 2016)"
    )
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.0, description="share of values switched off within a block, in training")
    init: Initialization = "kaiming"
    embedding_dim: EmbeddingDim = None


Cnn = Annotated[TutorialCnn | PlainCnn | Vgg | ResNet | Fcn | ResNet1d | Tcn, Field(discriminator="architecture")]

IMAGE_ARCHITECTURES = ("tutorial", "plain", "vgg", "resnet")
SEQUENCE_ARCHITECTURES = ("fcn", "resnet1d", "tcn")
