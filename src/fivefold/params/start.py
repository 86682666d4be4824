"""The block `training.start`: a trained model whose weights a training begins with."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Name, Strict


class Start(Strict):
    """Begin with the weights of a registered model of ours, instead of random ones."""

    model: Name = Field(description="a model of params.yaml, of this project or another on the same MLflow store")
    alias: Annotated[str, Field(pattern=r"^\w[\w-]*$")] = Field(
        default="champion",
        description="which version: the one that has this alias when training begins; DVC does not see an alias move,"
        " and `version` pins it",
    )
    version: int | None = Field(default=None, gt=0, description="which version, by its number; then no alias is asked")
    layers: Literal["all", "body"] = Field(
        default="all", description="all: those that fit, from the input on; body: never the last one"
    )
    freeze: int = Field(
        default=0, ge=0, description="epochs for which the layers that were taken stay as they are; the last one learns"
    )
    gradual: int = Field(
        default=0,
        ge=0,
        description="epochs between a layer that is set free and the next one towards the input (Howard & Ruder 2018);"
        " 0: all at once",
    )
    decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="learning rate of a layer, as a share of that of the next one towards the output (Howard & Ruder"
        " 2018); 1: the same for all",
    )
