"""Validation metrics of a generator between epochs.

Shapes: n samples, l latent dimensions, k classes (0: unconditional), r shape of a sample, d embedding dimensions.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..feature_extractor import kid, mean_cross_distance, mean_pairwise_distance

MAX_ROWS = 1000
"""Maximum number of validation rows, and number of generated samples."""

BATCH_SIZE = 500
"""Samples per forward pass."""


class GeneratorValidation:
    """Compares samples generated from fixed noise with validation rows.

    Args:
        feature_fn: features (b, *r) -> embeddings (b, d) in which samples are compared.
        real_features: features of validation rows, (n, *r).
        z: noise, followed by one-hot classes as frequent as in the validation rows, (n, l + k).
    """

    metric_names = ("val/energy_distance", "val/kid", "val/diversity")

    def __init__(self, feature_fn: Callable[[Tensor], Tensor], real_features: Tensor, z: Tensor) -> None:
        self.feature_fn, self.z = feature_fn, z
        self.real_embeddings = self._extract_features(real_features[:MAX_ROWS])
        self.real_distance = mean_pairwise_distance(self.real_embeddings)

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Return the distances between generated and real samples, and the diversity of the generated ones.

        `val/energy_distance` and `val/diversity` are relative to the mean distance between two real samples.
        """
        generated = self._extract_features(self.z, generator)
        real_distance, distance = self.real_distance, mean_pairwise_distance(generated)
        cross = 2 * mean_cross_distance(self.real_embeddings, generated)
        return {
            "val/energy_distance": (cross - real_distance - distance) / real_distance if real_distance else 0.0,
            "val/kid": kid(self.real_embeddings, generated),
            "val/diversity": distance / real_distance if real_distance else 1.0,
        }

    @torch.no_grad()
    def _extract_features(self, inputs: Tensor, generator: nn.Module | None = None) -> Tensor:
        """Return embeddings of inputs, or of samples generated from them; on the CPU, as some devices lack float64."""
        batches = torch.split(inputs, BATCH_SIZE)
        return torch.cat(
            [self.feature_fn(batch if generator is None else generator(batch)).flatten(1).cpu() for batch in batches]
        )


def sample_noise(n_samples: int, latent_dim: int, one_hot_classes: Tensor, generator: torch.Generator) -> Tensor:
    """Return noise for n samples (n, l + k); their classes are those of rows (m, k), repeated if there are fewer."""
    noise = torch.randn(n_samples, latent_dim, generator=generator)
    return torch.cat([noise, one_hot_classes.cpu()[torch.arange(n_samples) % max(1, len(one_hot_classes))]], dim=1)
