"""Score lines of the console: the names of metrics.json with unit and direction."""

import numpy as np

from fivefold.data.dataset import Split
from fivefold.evaluation.evaluate import format_scores
from fivefold.evaluation.metrics import compute_scores

from ..conftest import schema_of


def test_each_score_has_its_unit_and_direction() -> None:
    schema, y = schema_of((2,)), np.array([1.0, 2, 3])
    scores = compute_scores(schema, Split(np.zeros((3, 2)), y, np.arange(3)), y[:, None] + 1)
    assert list(format_scores(schema, scores)) == [
        "r2 -0.5000 (1 at most, higher is better)",
        "rmse 1.0000 (unit of the target, lower is better)",
        "mae 1.0000 (unit of the target, lower is better)",
    ]


def test_quantiles_and_naive_forecasts_have_lines() -> None:
    update = {"task": "forecasting", "kind": "series", "horizon": 1, "quantiles": (0.1, 0.5, 0.9)}
    schema = schema_of((2, 1)).model_copy(update=update)
    y = np.array([[1.0], [2.0]])
    split = Split(np.zeros((2, 2, 1)), y, np.arange(2), seasonal_naive=y - 1)
    scores = compute_scores(schema, split, np.array([[0.0, 1, 3], [2.5, 3, 4]]))
    lines = list(format_scores(schema, scores))
    assert lines[3:] == [
        f"pinball {scores['pinball']:.4f} (unit of the target, lower is better)",
        "coverage 0.5000 (fraction of values, nominal 0.8)",
        "naive_rmse 1.5811 (naive baseline)",
        "seasonal_naive_rmse 1.0000 (naive baseline)",
    ]
    assert {line.split()[0] for line in lines} == set(scores)
