"""What is said of a model's scores."""

from collections.abc import Iterator, Mapping

from ..data.schema import Schema
from ..data.targets import goals
from .metrics import metrics_of


def lines(schema: Schema, scores: Mapping[str, float]) -> Iterator[str]:
    """Yield each score of `scores_of` with its unit and direction; of quantiles how much they hold, and should."""
    for goal in goals(schema):
        for metric in metrics_of(goal.schema):
            name = goal.prefix + metric.name
            yield f"{name} {scores[name]:.4f} ({metric.unit}, {metric.better} is better)"
    if schema.levels:
        held = schema.levels[-1] - schema.levels[0]
        yield f"pinball {scores['pinball']:.4f} (unit of the target, lower is better)"
        yield f"coverage {scores['coverage']:.4f} (share of values, {held:.4g} is right)"
    for name in ("persistence_rmse", "seasonal_rmse"):
        if name in scores:
            yield f"{name} {scores[name]:.4f}, which needs no network"
