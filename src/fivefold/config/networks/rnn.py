"""The `network` block of recurrent networks."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import Activation, Initialization, RecurrentCell, StrictModel

Pooling = Literal["last", "mean", "max", "attention"]
LayerSize = Annotated[int, Field(gt=0)]


class Rnn(StrictModel):
    """Recurrent layers, pooling over steps, then dense layers."""

    family: Literal["rnn"]
    cell: RecurrentCell = "lstm"
    hidden: tuple[LayerSize, ...] = Field(default=(64,), min_length=1, description="units of each recurrent layer")
    bidirectional: bool = Field(default=False, description="add a backward direction with as many units")
    pool: Pooling = Field(default="last", description="pooling of the hidden states over steps")
    dense: tuple[LayerSize, ...] = Field(default=(), description="units of each hidden dense layer")
    activation: Activation = Field(default="relu", description="activation of the dense layers")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout rate between layers")
    init: Initialization = Field(
        default="xavier",
        description="initialization of the dense layers; recurrent layers use orthogonal recurrent weights, xavier"
        " input weights and forget gate bias 1, unless default",
    )
    embedding_dim: int = Field(default=64, gt=0, description="embedding dimension of tokens; text only")
