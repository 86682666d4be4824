"""The block `select` of a model: which features, or which projection of them, the network sees."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Strict


class KeepAll(Strict):
    """Every feature, as it is."""

    method: Literal["none"]


class KBest(Strict):
    """The k features that score best against the target, one at a time."""

    method: Literal["k_best"]
    score: Literal["chi2", "f", "mutual_info"] = Field(
        description="chi2: classes and non-negative features only; f: linear; mutual_info: any relation, slower"
    )
    k: int = Field(gt=0, description="features to keep")


class Pca(Strict):
    """The leading principal components, fitted on the normalized training rows."""

    method: Literal["pca"]
    components: int = Field(gt=0, description="components to keep")
    whiten: bool = Field(default=False, description="scale each component to deviation 1")


Selection = Annotated[KeepAll | KBest | Pca, Field(discriminator="method")]
