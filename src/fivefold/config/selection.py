"""The block `select` of a model: feature selection or projection."""

from typing import Annotated, Literal

from pydantic import Field

from .base import StrictModel

ScoreFunction = Annotated[
    Literal["chi2", "f", "mutual_info"],
    Field(
        description="chi2: classes and non-negative features only; f: linear dependence; mutual_info: any dependence,"
        " slower"
    ),
]
StabilityResamples = Annotated[
    int | None,
    Field(
        ge=0,
        description="resamples of half of the training rows (at most 2,000), used to estimate how often a feature is"
        " selected; default: 20, or 0 for mutual_info, l1 and rfe, which can take seconds each; 0: skip",
    ),
]


class NoSelection(StrictModel):
    """Use all features."""

    method: Literal["none"]


class KBestSelection(StrictModel):
    """Select the k features with the highest univariate score."""

    method: Literal["k_best"]
    score_func: ScoreFunction
    k: int = Field(gt=0, description="number of features to select")
    stability_resamples: StabilityResamples = None


class PercentileSelection(StrictModel):
    """Select a percentage of the features, those with the highest univariate score."""

    method: Literal["percentile"]
    score_func: ScoreFunction
    percentile: float = Field(gt=0, le=100, description="percentage of features to select")
    stability_resamples: StabilityResamples = None


class VarianceSelection(StrictModel):
    """Select features by their variance over the training rows; the target is not used."""

    method: Literal["variance"]
    threshold: float = Field(
        ge=0,
        description="a feature is selected if its variance after normalization is larger; 0 drops constant features"
        " only; after `normalize: standard` every variance is 1",
    )
    stability_resamples: StabilityResamples = None


class L1Selection(StrictModel):
    """Select the features with a nonzero coefficient in a linear model with L1 penalty.

    The model is LogisticRegression for classes, Lasso otherwise.
    """

    method: Literal["l1"]
    alpha: float = Field(
        gt=0,
        description="weight of the L1 penalty relative to the mean loss; larger values select fewer features."
        " LogisticRegression: C = 1 / (alpha x rows); Lasso: alpha, for a target of standard deviation 1",
    )
    max_features: int = Field(
        default=0, ge=0, description="maximum number of features, those with the largest coefficients; 0: no limit"
    )
    stability_resamples: StabilityResamples = None


class RFESelection(StrictModel):
    """Recursive feature elimination: fit a ridge model, drop the features with the smallest weights, repeat."""

    method: Literal["rfe"]
    n_features_to_select: int = Field(gt=0, description="number of features to select")
    step: float = Field(default=0.1, gt=0, lt=1, description="fraction of all features dropped per iteration")
    stability_resamples: StabilityResamples = None


class PCASelection(StrictModel):
    """Project on the leading principal components of the normalized training rows."""

    method: Literal["pca"]
    n_components: int = Field(gt=0, description="number of components")
    whiten: bool = Field(default=False, description="scale each component to standard deviation 1")


class EncoderSelection(StrictModel):
    """Use the latent codes of the autoencoder named by `depends_on`.

    Each dimension is standardized over the training rows.
    """

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
