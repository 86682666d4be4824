"""Names of metrics and params that MLflow accepts."""

import pytest
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from fivefold.tracking.reporter import sanitize_name


@pytest.mark.parametrize(
    "name", ["val/loss", "test/body_mass_g.rmse", "weight/größe", "training.loss_weights.weights.a b"]
)
def test_a_valid_name_is_unchanged(name: str) -> None:
    assert sanitize_name(name) == name


@pytest.mark.parametrize("column", ["mass (g)", "100%", "a//b", "/", "a/", "kg/m²", "x?", "50€\n"])
def test_any_name_of_a_target_column_becomes_valid(column: str) -> None:
    for name in (f"test/{column}.rmse", f"weight/{column}"):
        _validate_metric_name(sanitize_name(name))
    _validate_param_name(sanitize_name(f"training.loss_weights.weights.{column}"))
