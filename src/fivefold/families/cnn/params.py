"""What can be chosen of a convolutional network."""

from typing import Annotated, Literal

from pydantic import Field

from ...params.base import Strict
from ...params.choices import Activation, Init

Size = Annotated[int, Field(gt=0)]


class Cnn(Strict):
    """Convolutions with 2x2 max-pooling, then dense layers; the defaults are the tutorial's network."""

    family: Literal["cnn"]
    channels: tuple[Size, ...] = Field(default=(16, 32), min_length=1, description="filters of each convolution")
    kernel: Literal[1, 3, 5, 7] = Field(default=3, description="side of a filter, pixels")
    dense: tuple[Size, ...] = Field(default=(128,), description="units of each dense layer before the last")
    activation: Activation = "relu"
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of dense units switched off in training")
    init: Init = "kaiming"
