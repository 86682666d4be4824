"""What can be chosen of a feed-forward network."""

from typing import Annotated, Literal

from pydantic import Field

from ...params.base import Strict
from ...params.choices import Activation, Init


class Mlp(Strict):
    """Dense layers, each followed by an activation and dropout; then one dense layer without."""

    family: Literal["mlp"]
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = Field(default=(64, 32), description="units of each hidden layer")
    activation: Activation = "relu"
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of hidden units switched off in training")
    init: Init = "xavier"
    embedding: int = Field(default=64, gt=0, description="numbers that stand for a token; of text only")
    pool: Literal["mean", "flatten"] = Field(
        default="mean", description="of text only; mean: bag of words (Joulin et al. 2017); flatten: in order"
    )
