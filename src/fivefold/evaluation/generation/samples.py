"""Records that a generator makes, and what is seen in them and in real ones.

Shapes: n rows, l numbers of noise, k classes (0: none are asked for), d numbers that are seen in a record.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...config.networks.gan import Gan
from ...data.dataset import Array
from ...data.decoding import settled
from ...data.schema import Schema
from ...models.feature_extractor import Expert, Seen, expert_of
from ...models.serialization import Saved

BATCH = 512
"""Records at a time."""


@dataclass(frozen=True)
class Views:
    """What is seen in records: (n, d), and the class that the judge takes each for, (n,); empty without a judge."""

    features: Array
    classes: Array


class Viewer:
    """Looks at records with the judge's eyes; without a judge, at their features."""

    def __init__(self, saved: Saved, judge: Expert | None) -> None:
        self.saved = saved
        self.look: Callable[[Tensor], Seen] | None = None if judge is None else expert_of(judge.saved)
        self.width = 0 if judge is None else judge.saved.schema.shape[0]  # a table's rows have targets behind

    @torch.no_grad()
    def __call__(self, x: Array) -> Views:
        """Return what is seen in raw records x (n, ...)."""
        features, classes = [], []
        for rows in in_batches(x):
            if self.look is None:
                features.append(self.saved.model.preprocess(rows).flatten(1))
                continue
            seen = self.look(rows[:, : self.width])
            features.append(seen.features)
            classes.append(seen.probabilities.argmax(1))
        return Views(torch.cat(features).numpy(), torch.cat(classes).numpy() if classes else np.arange(0))


def conditional(saved: Saved) -> bool:
    """Return whether records of a class can be asked for."""
    return isinstance(saved.network, Gan) and saved.network.conditional


def noise_of(saved: Saved, n: int, seed: int, asked: Array) -> Array:
    """Return noise for n records, (n, l + k) float32; asked: their classes, (n,), where they can be asked for."""
    latent, k = int(saved.model.network.latent), len(saved.schema.classes) * conditional(saved)  # type: ignore[arg-type]
    drawn = np.random.default_rng(seed).standard_normal((n, latent))
    return np.concatenate([drawn, np.eye(k)[asked] if k else np.zeros((n, 0))], axis=1).astype(np.float32)


def make(saved: Saved, z: Array) -> Array:
    """Return the raw records (n, ...) that a model makes of noise z (n, l + k); a table's rows as they are written."""
    made = np.concatenate([*made_of(saved, z)])
    return settled(made, saved.schema) if saved.schema.kind == "table" else made


@torch.inference_mode()
def made_of(saved: Saved, z: Array) -> Iterator[Array]:
    """Yield the raw records that a model makes of noise z (n, l + k), batch by batch."""
    for part in in_batches(z):
        yield saved.model(part).numpy()


def joined(views: Iterable[Views]) -> Views:
    """Return views of batches as one."""
    features, classes = zip(*((each.features, each.classes) for each in views), strict=True)
    return Views(np.concatenate(features), np.concatenate(classes))


def told(records: Array, schema: Schema) -> Array:
    """Return the leading target of made rows (n, f), (n,): a class or a value; empty where they have none."""
    place = _target(schema)
    if place is None:
        return np.arange(0)
    return records[:, place].astype(np.int64) if schema.classes else records[:, place]


@torch.no_grad()
def features_of(saved: Saved, x: Array, *, hidden: bool = False) -> Array:
    """Return the features (n, d) of raw records x (n, ...); hidden: the same target in all rows, if they have one."""
    place = _target(saved.schema)
    if hidden and place is not None:
        x = np.concatenate([x[:, :place], np.zeros_like(x[:, place:])], axis=1)
    return torch.cat([saved.model.preprocess(rows).flatten(1) for rows in in_batches(x)]).numpy()


def _target(schema: Schema) -> int | None:
    """Return which of a table's columns (as they are encoded) is the leading target; further ones stand behind."""
    return schema.features.index(schema.target) if schema.target in schema.features else None


def in_batches(x: Array) -> Iterator[Tensor]:
    """Yield records (n, ...), so many at a time."""
    for start in range(0, len(x), BATCH):
        yield torch.from_numpy(np.array(x[start : start + BATCH]))
