"""What can be chosen of a feed-forward network."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import Activation, Initialization, StrictModel


class Mlp(StrictModel):
    """Dense layers, each followed by norm, activation and dropout; then one dense layer without."""

    family: Literal["mlp"]
    hidden: tuple[Annotated[int, Field(gt=0)], ...] = Field(default=(64, 32), description="units of each hidden layer")
    activation: Activation = "relu"
    norm: Literal["none", "batch", "layer"] = Field(
        default="none",
        description="before each activation; batch: Ioffe & Szegedy 2015; layer: Ba, Kiros & Hinton 2016",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of hidden units switched off in training")
    residual: bool = Field(
        default=False,
        description="from the second hidden layer on, add a layer's input to its output (He et al. 2016), through a"
        " dense layer without bias where their widths differ",
    )
    init: Initialization = "xavier"
    embedding_dim: int | None = Field(
        default=None,
        gt=0,
        description="numbers that stand for a token of text or a category of a table; left out: 64 for text, and"
        " categories as one 1 among zeros",
    )
    pool: Literal["mean", "flatten"] = Field(
        default="mean", description="of text only; mean: bag of words (Joulin et al. 2017); flatten: in order"
    )
    ngrams: int = Field(
        default=1,
        ge=1,
        le=5,
        description="of text and pool mean only; so many tokens in a row at most have an embedding of their own",
    )
    buckets: int = Field(
        default=2**17,
        gt=0,
        le=2**24,
        description="embeddings that all rows of two tokens and more share, by a hash (Joulin et al. 2017)",
    )
