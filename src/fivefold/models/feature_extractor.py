"""A trained classifier as a judge of records: what it sees in them, and which class it takes them for.

Shapes: b rows, d numbers that it sees in a record, k classes.

How like real records made ones are, by what is seen in both.

Source: Szekely & Rizzo 2013 (energy distance); Binkowski et al. 2018 (kernel distance).
Shapes: n, m rows, d numbers that are seen in a record.
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
    """A classifier of ours that judges.

    model: its name in params.yaml.
    digest: SHA-256 that stands for all that its training wrote.
    """

    model_name: str
    digest: str
    trained_model: TrainedModel

    @property
    def metadata(self) -> dict[str, str]:
        """What a model that it judges must know of it; plain JSON values."""
        return {"model": self.model_name, "digest": self.digest}


def load_reference(model: Model) -> ReferenceClassifier | None:
    """Return the classifier that judges what a model makes, as it was trained last; None if it names none.

    Raises:
        ArtifactError: it was not trained, or was altered.
    """
    if model.source_model is None or isinstance(model.select, EncoderSelection):
        return None
    return _load_classifier(model.source_model)


def load_reference_from_metadata(metadata: dict[str, Any]) -> ReferenceClassifier | None:
    """Return the judge by which a trained model, of which `facts` are known, was chosen; None if there was none.

    Raises:
        ArtifactError: it was trained again since, or was altered.
    """
    if "reference" not in metadata:
        return None
    judge = _load_classifier(metadata["reference"]["model"])
    if judge.metadata != metadata["reference"]:
        raise ArtifactError(
            f"{metadata['name']} must have the judge it was chosen by, {metadata['reference']['digest']:.12},"
            f" but there is {judge.digest:.12} now; run `dvc repro`"
        )
    return judge


def _load_classifier(model_name: str) -> ReferenceClassifier:
    folder = paths.model_dir(model_name)
    return ReferenceClassifier(model_name, manifest_sha256(folder), load_model(folder))


class Features(NamedTuple):
    """What a classifier sees in records, (b, d), and how likely it takes each class for, (b, k)."""

    values: Tensor
    probabilities: Tensor


def build_feature_extractor(trained_model: TrainedModel) -> Callable[[Tensor], Features]:
    """Return what gives, of raw records (b, ...), the input of a classifier's last dense layer, and its probabilities.

    Raises:
        ParamsError: the network has no dense layer.
    """
    dense = [module for module in trained_model.model.network.modules() if isinstance(module, nn.Linear)]
    if not dense:
        raise ParamsError(
            f"a judge must have a dense layer, but {trained_model.metadata['name']} of family {trained_model.network_config.family} has none;"
            " name another for `uses`"
        )
    caught: list[Tensor] = []

    def catch(_: nn.Module, given: tuple[Any, ...]) -> None:
        caught[:] = [given[0]]

    dense[-1].register_forward_pre_hook(catch)

    @torch.no_grad()
    def look(x: Tensor) -> Features:
        told = trained_model.model(x)
        return Features(caught[0].flatten(1), told)

    return look


def build_embedding_fn(trained_model: TrainedModel) -> Callable[[Tensor], Tensor]:
    """Return what gives, of raw records (b, ...), what a classifier sees in them, (b, d).

    Raises:
        ParamsError: the network has no dense layer.
    """
    look = build_feature_extractor(trained_model)
    return lambda x: look(x).values


BLOCK_ROWS = 1000
"""Rows whose pairs with as many others are in memory at a time."""

PairwiseFn = Callable[[Tensor, Tensor], Tensor]
"""Rows (n, d) and (m, d) -> a number for each pair, (n, m)."""


def energy_distance(real: Tensor, generated: Tensor) -> float:
    """Return the energy distance of rows (n, d) and (m, d), in the mean distance of two real ones; without bias.

    It is 0 for rows of one distribution and above for any other; about 1 where all made rows are one real one.
    """
    own = mean_pairwise_distance(real)
    return (2 * mean_cross_distance(real, generated) - own - mean_pairwise_distance(generated)) / own if own else 0.0


def kid(real: Tensor, generated: Tensor) -> float:
    """Return the squared maximum mean discrepancy of rows (n, d) and (m, d), without bias; about 0 if they are alike.

    Its kernel is (x y / d + 1)^3. All rows are taken at once, in place of means over subsets.
    """
    n, m = len(real), len(generated)
    own = (_pairwise_sum(real, real, _polynomial_kernel) - _kernel_diagonal_sum(real)) / (n * (n - 1))
    theirs = (_pairwise_sum(generated, generated, _polynomial_kernel) - _kernel_diagonal_sum(generated)) / (m * (m - 1))
    return own + theirs - 2 * _pairwise_sum(real, generated, _polynomial_kernel) / (n * m)


def mean_pairwise_distance(rows: Tensor) -> float:
    """Return the mean distance of two rows out of (n, d)."""
    n = len(rows)
    return _pairwise_sum(rows, rows, torch.cdist) / (n * (n - 1))


def mean_cross_distance(x: Tensor, y: Tensor) -> float:
    """Return the mean distance of a row out of (n, d) from one out of (m, d)."""
    return _pairwise_sum(x, y, torch.cdist) / (len(x) * len(y))


def _pairwise_sum(x: Tensor, y: Tensor, pairwise_fn: PairwiseFn) -> float:
    """Return the sum over all pairs of rows, in blocks; of x and itself what is above the diagonal twice."""
    total = 0.0
    for i in range(0, len(x), BLOCK_ROWS):
        part = x[i : i + BLOCK_ROWS].double()
        for j in range(i if x is y else 0, len(y), BLOCK_ROWS):
            times = 2 if x is y and j > i else 1
            total += times * float(pairwise_fn(part, y[j : j + BLOCK_ROWS].double()).sum())
    return total


def _polynomial_kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1).pow(3)


def _kernel_diagonal_sum(x: Tensor) -> float:
    return sum(
        float(((part * part).mean(1) + 1).pow(3).sum()) for part in (p.double() for p in torch.split(x, BLOCK_ROWS))
    )
