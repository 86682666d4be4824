"""The scikit-learn estimators follow scikit-learn's conventions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fivefold import TabularClassifier, TabularRegressor

SMALL: dict[str, Any] = {
    "network": {"family": "mlp", "hidden": [16]},
    "training": {"max_epochs": 40, "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.01}},
    "random_state": 0,
}


@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks warn about what they try
@parametrize_with_checks([TabularClassifier(**SMALL), TabularRegressor(**SMALL)])
def test_scikit_learn_s_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_a_classifier_is_as_good_as_others_on_iris() -> None:
    x, y = load_iris(return_X_y=True)
    assert cross_val_score(TabularClassifier(**SMALL), x, y, cv=3).mean() > 0.9


def test_a_regressor_in_a_pipeline() -> None:
    x, y = load_diabetes(return_X_y=True)
    model = make_pipeline(StandardScaler(), TabularRegressor(**SMALL)).fit(x[:300], y[:300])
    assert model.score(x[300:], y[300:]) > 0.35


def test_missing_values_are_imputed() -> None:
    x, y = load_iris(return_X_y=True)
    x[::7, 0] = np.nan
    model = TabularClassifier(**SMALL).fit(x, y)
    assert model.score(x, y) > 0.9
    assert len(model.history_) == 40
    assert list(model.classes_) == [0, 1, 2]


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="y must have two classes or more, but has one class"):
        TabularClassifier().fit(np.zeros((30, 2)), np.zeros(30, int))
