"""Records that a generator makes, and what is seen in them and in real ones.

Shapes: n rows, l numbers of noise, k classes (0: none are asked for), d numbers that are seen in a record.
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
"""Records at a time."""


@dataclass(frozen=True)
class ExtractedFeatures:
    """What is seen in records: (n, d), and the class that the judge takes each for, (n,); empty without a judge."""

    values: Array
    predicted_classes: Array


class FeatureExtractor:
    """Looks at records with the judge's eyes; without a judge, at their features."""

    def __init__(self, trained_model: TrainedModel, reference: ReferenceClassifier | None) -> None:
        self.trained_model = trained_model
        self.extract: Callable[[Tensor], Features] | None = (
            None if reference is None else build_feature_extractor(reference.trained_model)
        )
        self.n_inputs = (
            0 if reference is None else reference.trained_model.schema.shape[0]
        )  # a table's rows have targets behind

    @torch.no_grad()
    def __call__(self, x: Array) -> ExtractedFeatures:
        """Return what is seen in raw records x (n, ...)."""
        features, classes = [], []
        for rows in iterate_batches(x):
            if self.extract is None:
                features.append(self.trained_model.model.preprocess(rows).flatten(1))
                continue
            seen = self.extract(rows[:, : self.n_inputs])
            features.append(seen.values)
            classes.append(seen.probabilities.argmax(1))
        return ExtractedFeatures(torch.cat(features).numpy(), torch.cat(classes).numpy() if classes else np.arange(0))


def is_conditional(trained_model: TrainedModel) -> bool:
    """Return whether records of a class can be asked for."""
    return isinstance(trained_model.network_config, Gan) and trained_model.network_config.is_conditional


def sample_noise(trained_model: TrainedModel, n: int, seed: int, labels: Array) -> Array:
    """Return noise for n records, (n, l + k) float32; asked: their classes, (n,), where they can be asked for."""
    latent_dim = cast(GanNetwork, trained_model.model.network).latent_dim
    k = len(trained_model.schema.classes) * is_conditional(trained_model)
    drawn = np.random.default_rng(seed).standard_normal((n, latent_dim))
    return np.concatenate([drawn, np.eye(k)[labels] if k else np.zeros((n, 0))], axis=1).astype(np.float32)


def generate(trained_model: TrainedModel, z: Array) -> Array:
    """Return the raw records (n, ...) that a model makes of noise z (n, l + k); a table's rows as they are written."""
    made = np.concatenate([*generate_batches(trained_model, z)])
    return round_to_schema(made, trained_model.schema) if trained_model.schema.kind == "table" else made


@torch.inference_mode()
def generate_batches(trained_model: TrainedModel, z: Array) -> Iterator[Array]:
    """Yield the raw records that a model makes of noise z (n, l + k), batch by batch."""
    for part in iterate_batches(z):
        yield trained_model.model(part).numpy()


def concatenate_features(batches: Iterable[ExtractedFeatures]) -> ExtractedFeatures:
    """Return views of batches as one."""
    features, classes = zip(*((each.values, each.predicted_classes) for each in batches), strict=True)
    return ExtractedFeatures(np.concatenate(features), np.concatenate(classes))


def target_of_samples(records: Array, schema: Schema) -> Array:
    """Return the leading target of made rows (n, f), (n,): a class or a value; empty where they have none."""
    place = _target_index(schema)
    if place is None:
        return np.arange(0)
    return records[:, place].astype(np.int64) if schema.classes else records[:, place]


@torch.no_grad()
def preprocess_samples(trained_model: TrainedModel, x: Array, *, hide_target: bool = False) -> Array:
    """Return the features (n, d) of raw records x (n, ...); hidden: the same target in all rows, if they have one."""
    place = _target_index(trained_model.schema)
    if hide_target and place is not None:
        x = np.concatenate([x[:, :place], np.zeros_like(x[:, place:])], axis=1)
    return torch.cat([trained_model.model.preprocess(rows).flatten(1) for rows in iterate_batches(x)]).numpy()


def _target_index(schema: Schema) -> int | None:
    """Return which of a table's columns (as they are encoded) is the leading target; further ones stand behind."""
    return schema.features.index(schema.target) if schema.target in schema.features else None


def iterate_batches(x: Array) -> Iterator[Tensor]:
    """Yield records (n, ...), so many at a time."""
    for start in range(0, len(x), BATCH_SIZE):
        yield torch.from_numpy(np.array(x[start : start + BATCH_SIZE]))
