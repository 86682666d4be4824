"""Looks at what a generator makes, between epochs.

Shapes: n rows, l numbers of noise, k classes (0: none are asked for), r what a record is, d numbers seen in it.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..feature_extractor import kid, mean_cross_distance, mean_pairwise_distance

MAX_ROWS = 1000
"""Real rows that are looked at, at most, and records that are made."""

BATCH_SIZE = 500
"""Records at a time."""


class GeneratorValidation:
    """Compares what a generator makes of the same noise each time with held-out rows.

    Args:
        see: features (b, *r) -> what records are compared by, (b, d).
        real: features of held-out rows, (n, *r).
        z: noise, and classes as often as the held-out rows have them, (n, l + k).
    """

    metric_names = ("val/energy", "val/kid", "val/diversity")

    def __init__(self, feature_fn: Callable[[Tensor], Tensor], real_features: Tensor, z: Tensor) -> None:
        self.feature_fn, self.z = feature_fn, z
        self.real_embeddings = self._extract_features(real_features[:MAX_ROWS])
        self.real_distance = mean_pairwise_distance(self.real_embeddings)

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Return how far made records are from real ones, and how far from each other, in what real ones are.

        `val/energy`, `val/kid` and `val/diversity`.
        """
        made = self._extract_features(self.z, generator)
        own, theirs = self.real_distance, mean_pairwise_distance(made)
        return {
            "val/energy": (2 * mean_cross_distance(self.real_embeddings, made) - own - theirs) / own if own else 0.0,
            "val/kid": kid(self.real_embeddings, made),
            "val/diversity": theirs / own if own else 1.0,
        }

    @torch.no_grad()
    def _extract_features(self, inputs: Tensor, generator: nn.Module | None = None) -> Tensor:
        """Return what is seen, on the CPU: not every device has numbers of 64 bits."""
        parts = torch.split(inputs, BATCH_SIZE)
        return torch.cat(
            [self.feature_fn(part if generator is None else generator(part)).flatten(1).cpu() for part in parts]
        )


def sample_noise(n_samples: int, latent_dim: int, one_hot_classes: Tensor, generator: torch.Generator) -> Tensor:
    """Return noise for n records (n, l + k), their classes those of rows (m, k), over and over if they are few."""
    drawn = torch.randn(n_samples, latent_dim, generator=generator)
    return torch.cat([drawn, one_hot_classes.cpu()[torch.arange(n_samples) % max(1, len(one_hot_classes))]], dim=1)
