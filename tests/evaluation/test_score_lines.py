"""What evaluate says of scores: the names of metrics.json, each with what is better."""

import numpy as np

from fivefold.data.dataset import Split
from fivefold.evaluation.evaluate import format_scores
from fivefold.evaluation.metrics import compute_scores

from ..conftest import schema_of


def test_each_score_has_its_unit_and_direction() -> None:
    schema, y = schema_of((2,)), np.array([1.0, 2, 3])
    said = list(format_scores(schema, compute_scores(schema, Split(np.zeros((3, 2)), y, np.arange(3)), y[:, None] + 1)))
    assert said == [
        "r2 -0.5000 (share of variance, higher is better)",
        "rmse 1.0000 (unit of the target, lower is better)",
        "mae 1.0000 (unit of the target, lower is better)",
    ]


def test_quantiles_and_naive_forecasts_are_said() -> None:
    update = {"task": "forecasting", "kind": "series", "horizon": 1, "levels": (0.1, 0.5, 0.9)}
    schema = schema_of((2, 1)).model_copy(update=update)
    y = np.array([[1.0], [2.0]])
    records = Split(np.zeros((2, 2, 1)), y, np.arange(2), seasonal_naive=y - 1)
    scores = compute_scores(schema, records, np.array([[0.0, 1, 3], [2.5, 3, 4]]))
    said = list(format_scores(schema, scores))
    assert said[3:] == [
        f"pinball {scores['pinball']:.4f} (unit of the target, lower is better)",
        "coverage 0.5000 (share of values, 0.8 is right)",
        "persistence_rmse 1.5811, which needs no network",
        "seasonal_rmse 1.0000, which needs no network",
    ]
    assert {line.split()[0] for line in said} == set(scores)
