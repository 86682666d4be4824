"""The `network` block of convolutional networks, one class per architecture."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..base import Activation, Initialization, StrictModel

LayerSize = Annotated[int, Field(gt=0)]
DropoutRate = Annotated[float, Field(ge=0, lt=1)]
EmbeddingDim = Annotated[int | None, Field(gt=0, description="embedding dimension of tokens; text only; default: 64")]


class TutorialCnn(StrictModel):
    """The network of common tutorials: `plain` with default options."""

    family: Literal["cnn"]
    architecture: Literal["tutorial"]

    norm: ClassVar[Literal["none"]] = "none"


class PlainCnn(StrictModel):
    """Convolutions, each followed by 2x2 pooling, then dense layers."""

    family: Literal["cnn"]
    architecture: Literal["plain"]
    channels: tuple[LayerSize, ...] = Field(default=(16, 32), min_length=1, description="filters of each convolution")
    kernel_size: Literal[1, 3, 5, 7] = Field(default=3, description="kernel size, pixels")
    padding: Literal["same", "valid"] = Field(
        default="same", description="same: zero padding keeps the image size; valid: no padding"
    )
    norm: Literal["none", "batch"] = Field(
        default="none", description="normalization between convolution and activation"
    )
    pool: Literal["max", "average"] = "max"
    head: Literal["flatten", "global_average"] = Field(
        default="flatten",
        description="input of the dense layers: flattened feature maps, or global average pooling (Lin et al. 2014)",
    )
    dense: tuple[LayerSize, ...] = Field(default=(128,), description="units of each hidden dense layer")
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.0, description="dropout rate of the dense layers")
    init: Initialization = "kaiming"

    @property
    def convolutions(self) -> tuple[int, ...]:
        """Number of convolutions before each pooling layer."""
        return (1,) * len(self.channels)


class Vgg(StrictModel):
    """Stages of 3x3 convolutions with batch norm, each followed by 2x2 max pooling, then dense layers."""

    family: Literal["cnn"]
    architecture: Literal["vgg"]
    channels: tuple[LayerSize, ...] = Field(
        default=(64, 128, 256, 512), min_length=1, description="filters of the convolutions in each stage"
    )
    convolutions: tuple[LayerSize, ...] = Field(
        default=(1, 1, 2, 2), description="number of convolutions in each stage"
    )
    dense: tuple[LayerSize, ...] = Field(default=(512,), description="units of each hidden dense layer")
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.5, description="dropout rate of the dense layers")
    init: Initialization = "kaiming"

    kernel_size: ClassVar[int] = 3
    padding: ClassVar[Literal["same"]] = "same"
    norm: ClassVar[Literal["batch"]] = "batch"
    pool: ClassVar[Literal["max"]] = "max"
    head: ClassVar[Literal["flatten"]] = "flatten"


class ResNet(StrictModel):
    """ResNet for CIFAR: three stages of 16, 32 and 64 channels, each at half the resolution of the previous one."""

    family: Literal["cnn"]
    architecture: Literal["resnet"]
    depth: Literal[8, 14, 20] = Field(default=20, description="layers with weights: 6 n + 2 for n blocks per stage")
    widen_factor: int = Field(
        default=1, gt=0, description="multiplier of the number of channels (Zagoruyko & Komodakis 2016)"
    )
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.0, description="dropout rate within a block")
    init: Initialization = "kaiming"

    norm: ClassVar[Literal["batch"]] = "batch"


class Fcn(StrictModel):
    """1-d convolutions with batch norm, then global average pooling over steps."""

    family: Literal["cnn"]
    architecture: Literal["fcn"]
    channels: tuple[LayerSize, ...] = Field(default=(128, 256, 128), min_length=1, description="filters of each layer")
    kernel_sizes: tuple[LayerSize, ...] = Field(default=(8, 5, 3), description="kernel size of each layer, steps")
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.0, description="dropout rate after pooling")
    init: Initialization = "kaiming"
    embedding_dim: EmbeddingDim = None

    norm: ClassVar[Literal["batch"]] = "batch"


class ResNet1d(StrictModel):
    """Residual blocks with one 1-d convolution per kernel size, then global average pooling over steps."""

    family: Literal["cnn"]
    architecture: Literal["resnet1d"]
    channels: tuple[LayerSize, ...] = Field(default=(64, 128, 128), min_length=1, description="filters of each block")
    kernel_sizes: tuple[LayerSize, ...] = Field(
        default=(8, 5, 3), min_length=1, description="kernel sizes of the convolutions in a block, steps"
    )
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.0, description="dropout rate after pooling")
    init: Initialization = "kaiming"
    embedding_dim: EmbeddingDim = None

    norm: ClassVar[Literal["batch"]] = "batch"


class Tcn(StrictModel):
    """Residual blocks of causal convolutions with dilation 2^i; the output is that of the last step.

    The receptive field of n blocks is 1 + 2 (kernel_size - 1) (2^n - 1) steps: 125 with the defaults.
    """

    family: Literal["cnn"]
    architecture: Literal["tcn"]
    channels: tuple[LayerSize, ...] = Field(default=(64,) * 5, min_length=1, description="filters of each block")
    kernel_size: int = Field(default=3, gt=1, description="kernel size, steps")
    norm: Literal["none", "weight"] = Field(
        default="weight", description="weight: weight normalization (Salimans & Kingma 2016)"
    )
    activation: Activation = "relu"
    dropout: DropoutRate = Field(default=0.0, description="dropout rate within a block")
    init: Initialization = "kaiming"
    embedding_dim: EmbeddingDim = None


Cnn = Annotated[TutorialCnn | PlainCnn | Vgg | ResNet | Fcn | ResNet1d | Tcn, Field(discriminator="architecture")]

IMAGE_ARCHITECTURES = ("tutorial", "plain", "vgg", "resnet")
SEQUENCE_ARCHITECTURES = ("fcn", "resnet1d", "tcn")
