"""What can be chosen of a recurrent network."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import Activation, Initialization, RecurrentCell, StrictModel

Pooling = Literal["last", "mean", "max", "attention"]
LayerSize = Annotated[int, Field(gt=0)]


class Rnn(StrictModel):
    """Recurrent layers over steps, pooled into one vector, then dense layers."""

    family: Literal["rnn"]
    cell: RecurrentCell = "lstm"
    hidden: tuple[LayerSize, ...] = Field(default=(64,), min_length=1, description="units of each recurrent layer")
    bidirectional: bool = Field(default=False, description="read backwards too, with as many units again")
    pool: Pooling = Field(default="last", description="how the steps of a record become one vector")
    dense: tuple[LayerSize, ...] = Field(default=(), description="units of each dense layer before the last")
    activation: Activation = Field(default="relu", description="of the dense layers")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of units switched off in training, between layers"
    )
    init: Initialization = Field(
        default="xavier",
        description="of the dense layers; in recurrent ones the state's weights are orthogonal, the input's xavier and"
        " the forget gate's bias 1, unless default",
    )
    embedding_dim: int = Field(default=64, gt=0, description="numbers that stand for a token; of text only")
