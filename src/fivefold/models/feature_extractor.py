"""A trained classifier as feature extractor for generated samples, and distances between sets of features.

Source: Szekely & Rizzo 2013 (energy distance); Binkowski et al. 2018 (kernel inception distance, KID).
Shapes: b, n, m samples, d features, k classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .. import paths
from ..config.models import Model
from ..config.selection import EncoderSelection
from ..data.storage import manifest_sha256
from ..errors import ArtifactError, ParamsError
from .serialization import TrainedModel, load_model


@dataclass(frozen=True)
class ReferenceClassifier:
    """A trained classifier of this project, used as reference model of a generator.

    Attributes:
        model_name: its name in params.yaml.
        digest: SHA-256 of the manifest of its training outputs.
        trained_model: the loaded model.
    """

    model_name: str
    digest: str
    trained_model: TrainedModel

    @property
    def metadata(self) -> dict[str, str]:
        """Name and digest as JSON values, stored with every model that is evaluated with this classifier."""
        return {"model": self.model_name, "digest": self.digest}


def load_reference(model: Model) -> ReferenceClassifier | None:
    """Return the reference classifier of a generator, in its last trained state; None if it has none.

    Raises:
        ArtifactError: the classifier has not been trained, or its files were altered.
    """
    if model.source_model is None or isinstance(model.select, EncoderSelection):
        return None
    return _load_classifier(model.source_model)


def load_reference_from_metadata(metadata: dict[str, Any]) -> ReferenceClassifier | None:
    """Return the reference classifier that selected the best epoch of a trained model; None if it had none.

    Args:
        metadata: those of the trained model.

    Raises:
        ArtifactError: the classifier was trained again since, or its files were altered.
    """
    if "reference" not in metadata:
        return None
    reference = _load_classifier(metadata["reference"]["model"])
    if reference.metadata != metadata["reference"]:
        raise ArtifactError(
            f"the reference model of {metadata['name']} must be the one that selected its best epoch,"
            f" {metadata['reference']['digest']:.12}, but is {reference.digest:.12} now; run `dvc repro`"
        )
    return reference


def _load_classifier(model_name: str) -> ReferenceClassifier:
    folder = paths.model_dir(model_name)
    return ReferenceClassifier(model_name, manifest_sha256(folder), load_model(folder))


class Features(NamedTuple):
    """Features (b, d) and class probabilities (b, k) that a classifier computes from samples."""

    values: Tensor
    probabilities: Tensor


def build_feature_extractor(trained_model: TrainedModel) -> Callable[[Tensor], Features]:
    """Return a function from raw samples (b, ...) to a classifier's `Features`: inputs of its last dense layer.

    Raises:
        ParamsError: the network has no dense layer.
    """
    dense = [module for module in trained_model.model.network.modules() if isinstance(module, nn.Linear)]
    if not dense:
        raise ParamsError(
            f"a reference model must have a dense layer, but {trained_model.metadata['name']} of family"
            f" {trained_model.network_config.family} has none; choose another for `depends_on`"
        )
    captured: list[Tensor] = []

    def capture_input(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        captured[:] = [inputs[0]]

    dense[-1].register_forward_pre_hook(capture_input)

    @torch.no_grad()
    def extract_features(x: Tensor) -> Features:
        probabilities = trained_model.model(x)
        return Features(captured[0].flatten(1), probabilities)

    return extract_features


def build_embedding_fn(trained_model: TrainedModel) -> Callable[[Tensor], Tensor]:
    """Return a function from raw samples (b, ...) to the features (b, d) of a classifier.

    Raises:
        ParamsError: the network has no dense layer.
    """
    extract_features = build_feature_extractor(trained_model)
    return lambda x: extract_features(x).values


BLOCK_ROWS = 1000
"""Rows of each side in a block of pairs: bounds the memory of a distance matrix."""

PairwiseFn = Callable[[Tensor, Tensor], Tensor]
"""Rows (n, d) and (m, d) -> a value for each pair, (n, m)."""


def energy_distance(real: Tensor, generated: Tensor) -> float:
    """Return the unbiased energy distance between rows (n, d) and (m, d).

    It is divided by the mean distance between two real rows: 0 for equal distributions, positive otherwise, and about 1
    if all generated rows equal a single real one.
    """
    own = mean_pairwise_distance(real)
    return (2 * mean_cross_distance(real, generated) - own - mean_pairwise_distance(generated)) / own if own else 0.0


def kid(real: Tensor, generated: Tensor) -> float:
    """Return the unbiased squared maximum mean discrepancy of rows (n, d) and (m, d); about 0 for equal distributions.

    The kernel is (x y / d + 1)^3. All rows are used at once instead of averaging over subsets.
    """
    n, m = len(real), len(generated)
    own = (_pairwise_sum(real, real, _polynomial_kernel) - _kernel_diagonal_sum(real)) / (n * (n - 1))
    other = (_pairwise_sum(generated, generated, _polynomial_kernel) - _kernel_diagonal_sum(generated)) / (m * (m - 1))
    return own + other - 2 * _pairwise_sum(real, generated, _polynomial_kernel) / (n * m)


def mean_pairwise_distance(rows: Tensor) -> float:
    """Return the mean distance between two different rows of (n, d)."""
    n = len(rows)
    return _pairwise_sum(rows, rows, torch.cdist) / (n * (n - 1))


def mean_cross_distance(x: Tensor, y: Tensor) -> float:
    """Return the mean distance between a row of (n, d) and a row of (m, d)."""
    return _pairwise_sum(x, y, torch.cdist) / (len(x) * len(y))


def _pairwise_sum(x: Tensor, y: Tensor, pairwise_fn: PairwiseFn) -> float:
    """Return the sum over all pairs of rows, block by block; if x is y, blocks above the diagonal count twice."""
    total = 0.0
    for i in range(0, len(x), BLOCK_ROWS):
        block = x[i : i + BLOCK_ROWS].double()
        for j in range(i if x is y else 0, len(y), BLOCK_ROWS):
            weight = 2 if x is y and j > i else 1
            total += weight * float(pairwise_fn(block, y[j : j + BLOCK_ROWS].double()).sum())
    return total


def _polynomial_kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1).pow(3)


def _kernel_diagonal_sum(x: Tensor) -> float:
    return sum(
        float(((part * part).mean(1) + 1).pow(3).sum()) for part in (p.double() for p in torch.split(x, BLOCK_ROWS))
    )
