"""Names of ours as MLflow takes them."""

import pytest
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from fivefold.tracking.reporter import key


@pytest.mark.parametrize("name", ["val/loss", "test/body_mass_g.rmse", "weight/größe", "training.tasks.weights.a b"])
def test_a_name_that_mlflow_takes_stays(name: str) -> None:
    assert key(name) == name


@pytest.mark.parametrize("column", ["mass (g)", "100%", "a//b", "/", "a/", "kg/m²", "x?", "50€\n"])
def test_a_target_s_column_may_be_called_anything(column: str) -> None:
    for name in (f"test/{column}.rmse", f"weight/{column}"):
        _validate_metric_name(key(name))
    _validate_param_name(key(f"training.tasks.weights.{column}"))
