"""The `network` block of multilayer perceptrons."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import Activation, Initialization, StrictModel


class Mlp(StrictModel):
    """Dense layers, each followed by normalization, activation and dropout, and a linear output layer."""

    family: Literal["mlp"]
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = Field(default=(64, 32), description="units of each hidden layer")
    activation: Activation = "relu"
    norm: Literal["none", "batch", "layer"] = Field(
        default="none",
        description="normalization before each activation; batch: Ioffe & Szegedy 2015; layer: Ba, Kiros & Hinton 2016",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout rate of the hidden layers")
    residual: bool = Field(
        default=False,
        description="residual connections from the second hidden layer on (He et al. 2016), with a linear projection"
        " without bias where widths differ",
    )
    init: Initialization = "xavier"
    embedding_dim: int | None = Field(
        default=None,
        gt=0,
        description="embedding dimension of tokens of a text or categories of a table; default: 64 for text, one-hot"
        " encoding for categories",
    )
    pool: Literal["mean", "flatten"] = Field(
        default="mean", description="text only; mean: bag of words (Joulin et al. 2017); flatten: tokens in order"
    )
    ngrams: int = Field(
        default=1,
        ge=1,
        le=5,
        description="text with pool: mean only; maximum length of n-grams with their own embeddings",
    )
    buckets: int = Field(
        default=2**17,
        gt=0,
        le=2**24,
        description="number of hash buckets for n-grams of two or more tokens (Joulin et al. 2017)",
    )
