"""Looks at translated images, between epochs.

Shapes: n images, c channels, y x x pixels, d numbers seen in an image.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..feature_extractor import kid, mean_pairwise_distance

MAX_ROWS = 1000
"""Held-out rows of each class that are looked at, at most."""

BATCH_SIZE = 500
"""Images at a time."""

ImageFn = Callable[[Tensor], Tensor]


class GeneratorValidation:
    """Translates held-out rows of each class and compares them with those of the other.

    Args:
        see: features (b, c, y, x) -> what images are compared by, (b, d).
        raw: features -> raw images, pixels being from 0 to 255.
        held_out: features of held-out rows of the first class and of the second, (n, c, y, x).
    """

    metric_names = ("val/translation", "val/kid", "val/cycle_l1", "val/diversity")

    def __init__(self, feature_fn: ImageFn, inverse: ImageFn, validation_features: tuple[Tensor, Tensor]) -> None:
        self.feature_fn, self.inverse = feature_fn, inverse
        self.validation_rows = [rows[:MAX_ROWS] for rows in validation_features]
        self.real_embeddings = [self._extract_features(rows) for rows in self.validation_rows]
        self.class_distance = kid(*self.real_embeddings)

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Return means of both directions, and of them `val/translation`, by which an epoch is kept.

        kid: distance from the other class, in that of the two classes; 0 if translated images are like real ones.
        cycle_l1: of an image from its translation's translation back, the range of pixels being 1.
        diversity: mean distance of translated images in that of real ones, the lower of both directions.
        translation: kid and cycle_l1, added up.
        """
        found = [self._evaluate_direction(i, generator.get_submodule("by_target")) for i in range(2)]
        distance, cycle, diversity = zip(*found, strict=True)
        mean_kid, mean_cycle = sum(distance) / 2, sum(cycle) / 2
        return dict(zip(self.metric_names, (mean_kid + mean_cycle, mean_kid, mean_cycle, min(diversity)), strict=True))

    def _evaluate_direction(self, target_index: int, generators: nn.Module) -> tuple[float, float, float]:
        into, back = (generators.get_submodule(str(which)) for which in (target_index, 1 - target_index))
        rows, real = self.validation_rows[1 - target_index], self.real_embeddings[target_index]
        made = _map_batches(into, rows)
        seen, apart = self._extract_features(made), mean_pairwise_distance(real)
        lost = _map_batches(lambda x: self.inverse(back(x)), made) - _map_batches(self.inverse, rows)
        return (
            kid(real, seen) / (self.class_distance if self.class_distance > 0 else 1.0),
            float(lost.abs().mean()) / 255,
            mean_pairwise_distance(seen) / apart if apart else 1.0,
        )

    def _extract_features(self, images: Tensor) -> Tensor:
        """Return what is seen, (n, d), on the CPU: not every device has numbers of 64 bits."""
        return _map_batches(self.feature_fn, images).flatten(1).cpu()


@torch.no_grad()
def _map_batches(fn: ImageFn, rows: Tensor) -> Tensor:
    """Return what is made of rows, so many at a time."""
    return torch.cat([fn(part) for part in torch.split(rows, BATCH_SIZE)])
