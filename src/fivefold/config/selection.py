"""The block `select` of a model: which features, or which projection of them, the network sees."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Strict

Score = Annotated[
    Literal["chi2", "f", "mutual_info"],
    Field(description="chi2: classes and non-negative features only; f: linear; mutual_info: any relation, slower"),
]
Stability = Annotated[
    int | None,
    Field(
        ge=0,
        description="resamples, each of half of the training rows and at most 2,000, to see how often a feature is"
        " kept; left out: 20, or 0 for mutual_info, l1 and rfe, which can take seconds each; 0 does not look",
    ),
]


class KeepAll(Strict):
    """Every feature, as it is."""

    method: Literal["none"]


class KBest(Strict):
    """The k features that score best against the target, one at a time."""

    method: Literal["k_best"]
    score: Score
    k: int = Field(gt=0, description="features to keep")
    stability: Stability = None


class Percentile(Strict):
    """The share of features that scores best against the target, one at a time."""

    method: Literal["percentile"]
    score: Score
    percent: float = Field(gt=0, le=100, description="of the features to keep")
    stability: Stability = None


class Variance(Strict):
    """The features that vary enough over the training rows; the target is not looked at."""

    method: Literal["variance"]
    threshold: float = Field(
        ge=0,
        description="a feature is kept if its variance, as normalized, is larger; 0 leaves out constant features only;"
        " after `normalize: standard` every variance is 1",
    )
    stability: Stability = None


class L1(Strict):
    """The features to which a linear model under an L1 penalty gives a weight: logistic for classes, else Lasso."""

    method: Literal["l1"]
    strength: float = Field(
        gt=0,
        description="penalty on the sum of absolute weights, beside the mean loss; more keeps fewer features."
        " LogisticRegression's C is 1 / (strength x rows), Lasso's alpha is strength for a target of deviation 1",
    )
    k: int = Field(
        default=0, ge=0, description="features to keep at most, those of largest weight; 0 keeps all with one"
    )
    stability: Stability = None


class Rfe(Strict):
    """Recursive elimination: a ridge model is fitted, the features of smallest weight are left out, and so on."""

    method: Literal["rfe"]
    k: int = Field(gt=0, description="features to keep")
    step: float = Field(default=0.1, gt=0, lt=1, description="share of all features that is left out a round")
    stability: Stability = None


class Pca(Strict):
    """The leading principal components, fitted on the normalized training rows."""

    method: Literal["pca"]
    components: int = Field(gt=0, description="components to keep")
    whiten: bool = Field(default=False, description="scale each component to deviation 1")


class Encoded(Strict):
    """The codes of the autoencoder that the model `uses`, each brought to mean 0 and deviation 1 over training rows."""

    method: Literal["autoencoder"]


Selection = Annotated[KeepAll | KBest | Percentile | Variance | L1 | Rfe | Pca | Encoded, Field(discriminator="method")]
