"""The block `select` of a model: which features, or which projection of them, the network sees."""

from typing import Annotated, Literal

from pydantic import Field

from .base import StrictModel

ScoreFunction = Annotated[
    Literal["chi2", "f", "mutual_info"],
    Field(description="chi2: classes and non-negative features only; f: linear; mutual_info: any relation, slower"),
]
StabilityResamples = Annotated[
    int | None,
    Field(
        ge=0,
        description="resamples, each of half of the training rows and at most 2,000, to see how often a feature is"
        " kept; left out: 20, or 0 for mutual_info, l1 and rfe, which can take seconds each; 0 does not look",
    ),
]


class NoSelection(StrictModel):
    """Every feature, as it is."""

    method: Literal["none"]


class KBestSelection(StrictModel):
    """The k features that score best against the target, one at a time."""

    method: Literal["k_best"]
    score_func: ScoreFunction
    k: int = Field(gt=0, description="features to keep")
    stability_resamples: StabilityResamples = None


class PercentileSelection(StrictModel):
    """The share of features that scores best against the target, one at a time."""

    method: Literal["percentile"]
    score_func: ScoreFunction
    percentile: float = Field(gt=0, le=100, description="of the features to keep")
    stability_resamples: StabilityResamples = None


class VarianceSelection(StrictModel):
    """The features that vary enough over the training rows; the target is not looked at."""

    method: Literal["variance"]
    threshold: float = Field(
        ge=0,
        description="a feature is kept if its variance, as normalized, is larger; 0 leaves out constant features only;"
        " after `normalize: standard` every variance is 1",
    )
    stability_resamples: StabilityResamples = None


class L1Selection(StrictModel):
    """The features to which a linear model under an L1 penalty gives a weight: logistic for classes, else Lasso."""

    method: Literal["l1"]
    alpha: float = Field(
        gt=0,
        description="penalty on the sum of absolute weights, beside the mean loss; more keeps fewer features."
        " LogisticRegression's C is 1 / (strength x rows), Lasso's alpha is strength for a target of deviation 1",
    )
    max_features: int = Field(
        default=0, ge=0, description="features to keep at most, those of largest weight; 0 keeps all with one"
    )
    stability_resamples: StabilityResamples = None


class RFESelection(StrictModel):
    """Recursive elimination: a ridge model is fitted, the features of smallest weight are left out, and so on."""

    method: Literal["rfe"]
    n_features_to_select: int = Field(gt=0, description="features to keep")
    step: float = Field(default=0.1, gt=0, lt=1, description="share of all features that is left out a round")
    stability_resamples: StabilityResamples = None


class PCASelection(StrictModel):
    """The leading principal components, fitted on the normalized training rows."""

    method: Literal["pca"]
    n_components: int = Field(gt=0, description="components to keep")
    whiten: bool = Field(default=False, description="scale each component to deviation 1")


class EncoderSelection(StrictModel):
    """The codes of the autoencoder that the model `uses`, each brought to mean 0 and deviation 1 over training rows."""

    method: Literal["autoencoder"]


SelectionConfig = Annotated[
    NoSelection
    | KBestSelection
    | PercentileSelection
    | VarianceSelection
    | L1Selection
    | RFESelection
    | PCASelection
    | EncoderSelection,
    Field(discriminator="method"),
]
