"""Validation metrics of an image translator between epochs.

Shapes: n images, c channels, y x x pixels, d embedding dimensions.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..feature_extractor import kid, mean_pairwise_distance

MAX_ROWS = 1000
"""Maximum number of validation rows of each class."""

BATCH_SIZE = 500
"""Images per forward pass."""

ImageFn = Callable[[Tensor], Tensor]


class GeneratorValidation:
    """Translates validation images of each class and compares them with those of the other class.

    Args:
        feature_fn: features (b, c, y, x) -> embeddings (b, d) in which images are compared.
        inverse: features -> raw images with pixels from 0 to 255.
        validation_features: features of the validation rows of both classes, each (n, c, y, x).
    """

    metric_names = ("val/translation_score", "val/kid", "val/cycle_l1", "val/diversity")

    def __init__(self, feature_fn: ImageFn, inverse: ImageFn, validation_features: tuple[Tensor, Tensor]) -> None:
        self.feature_fn, self.inverse = feature_fn, inverse
        self.validation_rows = [rows[:MAX_ROWS] for rows in validation_features]
        self.real_embeddings = [self._extract_features(rows) for rows in self.validation_rows]
        self.class_distance = kid(*self.real_embeddings)

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Return the means over both directions, and their sum `val/translation_score`, which selects the best epoch.

        kid: KID between translated and real images, relative to that between the two classes; 0 if they are alike.
        cycle_l1: mean absolute difference between an image and its translation back, relative to the range of pixels.
        diversity: mean distance between translated images, relative to that between real ones; minimum of both
            directions.
        translation_score: kid + cycle_l1; lower is better.
        """
        by_direction = [self._evaluate_direction(i, generator.get_submodule("by_target")) for i in range(2)]
        kids, cycle_l1, diversity = zip(*by_direction, strict=True)
        mean_kid, mean_cycle = sum(kids) / 2, sum(cycle_l1) / 2
        return dict(zip(self.metric_names, (mean_kid + mean_cycle, mean_kid, mean_cycle, min(diversity)), strict=True))

    def _evaluate_direction(self, target_index: int, generators: nn.Module) -> tuple[float, float, float]:
        """Return KID, cycle L1 and diversity of translations into class `target_index`."""
        forward, backward = (generators.get_submodule(str(i)) for i in (target_index, 1 - target_index))
        rows, real = self.validation_rows[1 - target_index], self.real_embeddings[target_index]
        translated = _map_batches(forward, rows)
        embeddings, real_distance = self._extract_features(translated), mean_pairwise_distance(real)
        error = _map_batches(lambda x: self.inverse(backward(x)), translated) - _map_batches(self.inverse, rows)
        return (
            kid(real, embeddings) / (self.class_distance if self.class_distance > 0 else 1.0),
            float(error.abs().mean()) / 255,
            mean_pairwise_distance(embeddings) / real_distance if real_distance else 1.0,
        )

    def _extract_features(self, images: Tensor) -> Tensor:
        """Return the embeddings (n, d), on the CPU, because some devices lack float64."""
        return _map_batches(self.feature_fn, images).flatten(1).cpu()


@torch.no_grad()
def _map_batches(fn: ImageFn, rows: Tensor) -> Tensor:
    """Return fn(rows), computed in batches."""
    return torch.cat([fn(batch) for batch in torch.split(rows, BATCH_SIZE)])
