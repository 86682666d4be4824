"""Records that a generator makes, and what is seen in them and in real ones.

Shapes: n rows, l numbers of noise, k classes (0: none are asked for), d numbers that are seen in a record.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.records import Array
from ..families.expert import Expert, Seen, expert_of
from ..families.saved import Saved

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

    @torch.no_grad()
    def __call__(self, x: Array) -> Views:
        """Return what is seen in raw records x (n, ...)."""
        features, classes = [], []
        for rows in in_batches(x):
            if self.look is None:
                features.append(self.saved.model.preprocess(rows).flatten(1))
                continue
            seen = self.look(rows)
            features.append(seen.features)
            classes.append(seen.probabilities.argmax(1))
        return Views(torch.cat(features).numpy(), torch.cat(classes).numpy() if classes else np.arange(0))


def conditional(saved: Saved) -> bool:
    """Return whether records of a class can be asked for."""
    return bool(saved.model.network.classes)


def noise_of(saved: Saved, n: int, seed: int, asked: Array) -> Array:
    """Return noise for n records, (n, l + k) float32; asked: their classes, (n,), where they can be asked for."""
    network = saved.model.network
    latent, k = int(network.latent), int(network.classes)  # type: ignore[arg-type]
    drawn = np.random.default_rng(seed).standard_normal((n, latent))
    return np.concatenate([drawn, np.eye(k)[asked] if k else np.zeros((n, 0))], axis=1).astype(np.float32)


@torch.inference_mode()
def make(saved: Saved, z: Array) -> Array:
    """Return the raw records (n, ...) that a model makes of noise z (n, l + k)."""
    return torch.cat([saved.model(part) for part in in_batches(z)]).numpy()


def in_batches(x: Array) -> Iterator[Tensor]:
    """Yield records (n, ...), so many at a time."""
    for start in range(0, len(x), BATCH):
        yield torch.from_numpy(np.array(x[start : start + BATCH]))
