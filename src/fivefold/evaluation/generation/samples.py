"""Generate samples, and extract the features in which generated and real samples are compared.

Shapes: n rows, l latent dimensions, k classes (0 without conditioning), d features.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ...config.networks.gan import Gan
from ...data.dataset import Array
from ...data.decoding import round_to_schema
from ...data.schema import Schema
from ...models.feature_extractor import Features, ReferenceClassifier, build_feature_extractor
from ...models.gan.network import GanNetwork
from ...models.serialization import TrainedModel

BATCH_SIZE = 512
"""Samples per batch."""


@dataclass(frozen=True)
class ExtractedFeatures:
    """Features (n, d), and classes predicted by the reference classifier, (n,); empty without one."""

    values: Array
    predicted_classes: Array


class FeatureExtractor:
    """Extracts features of the reference classifier; without one, the preprocessed features of the model itself."""

    def __init__(self, trained_model: TrainedModel, reference: ReferenceClassifier | None) -> None:
        self.trained_model = trained_model
        self.extract: Callable[[Tensor], Features] | None = (
            None if reference is None else build_feature_extractor(reference.trained_model)
        )
        # rows of a generated table end with the target, which the classifier does not have as an input
        self.n_inputs = 0 if reference is None else reference.trained_model.schema.shape[0]

    @torch.no_grad()
    def __call__(self, x: Array) -> ExtractedFeatures:
        """Return the features of raw samples x (n, ...)."""
        features, classes = [], []
        for rows in iterate_batches(x):
            if self.extract is None:
                features.append(self.trained_model.model.preprocess(rows).flatten(1))
                continue
            extracted = self.extract(rows[:, : self.n_inputs])
            features.append(extracted.values)
            classes.append(extracted.probabilities.argmax(1))
        return ExtractedFeatures(torch.cat(features).numpy(), torch.cat(classes).numpy() if classes else np.arange(0))


def is_conditional(trained_model: TrainedModel) -> bool:
    """Return whether the class of generated samples can be chosen."""
    return isinstance(trained_model.network_config, Gan) and trained_model.network_config.is_conditional


def sample_noise(trained_model: TrainedModel, n: int, seed: int, labels: Array) -> Array:
    """Return noise for n samples, (n, l + k) float32; labels: classes (n,), used by conditional models only."""
    latent_dim = cast(GanNetwork, trained_model.model.network).latent_dim
    k = len(trained_model.schema.classes) * is_conditional(trained_model)
    noise = np.random.default_rng(seed).standard_normal((n, latent_dim))
    return np.concatenate([noise, np.eye(k)[labels] if k else np.zeros((n, 0))], axis=1).astype(np.float32)


def generate(trained_model: TrainedModel, z: Array) -> Array:
    """Return raw samples (n, ...) generated from noise z (n, l + k); values of a table are rounded to its schema."""
    samples = np.concatenate([*generate_batches(trained_model, z)])
    return round_to_schema(samples, trained_model.schema) if trained_model.schema.kind == "table" else samples


@torch.inference_mode()
def generate_batches(trained_model: TrainedModel, z: Array) -> Iterator[Array]:
    """Yield raw samples generated from noise z (n, l + k), batch by batch."""
    for batch in iterate_batches(z):
        yield trained_model.model(batch).numpy()


def concatenate_features(batches: Iterable[ExtractedFeatures]) -> ExtractedFeatures:
    """Return the features of several batches as one."""
    features, classes = zip(*((each.values, each.predicted_classes) for each in batches), strict=True)
    return ExtractedFeatures(np.concatenate(features), np.concatenate(classes))


def target_of_samples(records: Array, schema: Schema) -> Array:
    """Return the primary target (n,) of generated rows (n, f), class or value; empty if they have none."""
    index = _target_index(schema)
    if index is None:
        return np.arange(0)
    return records[:, index].astype(np.int64) if schema.classes else records[:, index]


@torch.no_grad()
def preprocess_samples(trained_model: TrainedModel, x: Array, *, hide_target: bool = False) -> Array:
    """Return the features (n, d) of raw samples x (n, ...); hide_target: replace the targets, if any, by zeros."""
    index = _target_index(trained_model.schema)
    if hide_target and index is not None:
        x = np.concatenate([x[:, :index], np.zeros_like(x[:, index:])], axis=1)
    return torch.cat([trained_model.model.preprocess(rows).flatten(1) for rows in iterate_batches(x)]).numpy()


def _target_index(schema: Schema) -> int | None:
    """Return the index of the primary target among a table's encoded columns; extra targets follow it."""
    return schema.features.index(schema.target) if schema.target in schema.features else None


def iterate_batches(x: Array) -> Iterator[Tensor]:
    """Yield batches of samples x (n, ...)."""
    for start in range(0, len(x), BATCH_SIZE):
        yield torch.from_numpy(np.array(x[start : start + BATCH_SIZE]))
