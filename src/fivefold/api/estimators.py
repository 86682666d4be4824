"""scikit-learn estimators for numeric tables: a network with its preprocessing as one classifier or regressor.

Source of the conventions: https://scikit-learn.org/stable/developers/develop.html.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..data.dataset import Array, Split
from ..data.schema import Column, Schema
from .fitting import fit
from .model import Model
from .preparation import DATASET_ADAPTER, PreparedDataset

MAX_SEED = 2**31 - 1
VALIDATION_FRACTION = 0.1
"""Share of the rows passed to `fit` that choose the epoch."""

MIN_ROWS_TO_SPLIT = 20
"""With fewer rows all of them are training and validation rows."""


class _TabularEstimator(BaseEstimator):  # type: ignore[misc]
    """Fits a network to numeric features; missing values are imputed by the median, features are standardized."""

    def __init__(
        self,
        network: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.network = network
        self.training = training
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.non_deterministic = False
        return tags

    def _fit(self, x: Array, y: Array, classes: tuple[str, ...]) -> None:
        task: Literal["classification", "regression"] = "classification" if classes else "regression"
        names = tuple(map(str, getattr(self, "feature_names_in_", [f"x{i}" for i in range(x.shape[1])])))
        schema = Schema(
            kind="table",
            task=task,
            target="target",
            features=names,
            shape=(x.shape[1],),
            classes=classes,
            values=() if classes else ("target",),
            columns=tuple(Column(name=name, type="numeric") for name in names),
        )
        seed = int(check_random_state(self.random_state).randint(MAX_SEED))
        train, validation = _split_rows(y, seed, stratify=bool(classes))
        train_split, validation_split, no_rows = (
            Split(x[rows], y[rows], rows) for rows in (train, validation, train[:0])
        )
        block = {
            "kind": "table",
            "source": "array",
            "target": "target",
            "task": task,
            "split": {"by": "random", "validation": VALIDATION_FRACTION, "test": VALIDATION_FRACTION},
            "normalize": "standard",
        }
        config = DATASET_ADAPTER.validate_python(block, strict=False)
        dataset = PreparedDataset(schema, train_split, validation_split, no_rows, config, ())
        model = {} if self.network is None else {"network": dict(self.network)}
        self.model_: Model = fit(model | {"training": dict(self.training or {})}, dataset, seed=seed, verbose=False)
        self.history_ = self.model_.history_

    def _validate(self, X: Any) -> Array:  # noqa: N803
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False))


class TabularClassifier(ClassifierMixin, _TabularEstimator):  # type: ignore[misc]
    """Neural network classifier for numeric tables.

    Args:
        network: network block, for example `{"family": "mlp", "hidden": [64, 32]}`; None: proposed for the data.
        training: training options that differ from the defaults, for example `{"max_epochs": 100}`.
        random_state: seed of the validation split, the weights and the batches.

    Attributes:
        classes_: class labels, (n_classes,).
        model_: the fitted `fivefold.Model`.
        history_: metrics of each epoch, a DataFrame.
        n_features_in_: number of features.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> TabularClassifier(random_state=0).fit(X, y).score(X, y)  # doctest: +SKIP
        0.97
    """

    classes_: Array

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Fit to features X (n, n_features), missing values as NaN, and labels y (n,).

        Raises:
            ValueError: the arrays are not valid, or y has a single class.
        """
        x, labels = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_classification_targets(labels)
        self.classes_, indices = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have two classes or more, but has one class, {self.classes_[0]!r}")
        self._fit(x, indices.astype(np.int64), tuple(map(str, self.classes_)))
        return self

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Return class probabilities (n, n_classes), in the order of `classes_`."""
        x = self._validate(X)
        return self.model_.predict_proba(x)

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Return class labels (n,)."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])


class TabularRegressor(RegressorMixin, _TabularEstimator):  # type: ignore[misc]
    """Neural network regressor for numeric tables with a single target.

    Args:
        network: network block, for example `{"family": "mlp", "hidden": [64, 32]}`; None: proposed for the data.
        training: training options that differ from the defaults, for example `{"max_epochs": 100}`.
        random_state: seed of the validation split, the weights and the batches.

    Attributes:
        model_: the fitted `fivefold.Model`.
        history_: metrics of each epoch, a DataFrame.
        n_features_in_: number of features.
    """

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Fit to features X (n, n_features), missing values as NaN, and values y (n,).

        Raises:
            ValueError: the arrays are not valid.
        """
        x, values = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", y_numeric=True)
        self._fit(x, np.asarray(values, np.float64), ())
        return self

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Return values (n,)."""
        x = self._validate(X)
        return self.model_.predict(x)


def _split_rows(y: Array, seed: int, *, stratify: bool) -> tuple[Array, Array]:
    """Return the indices of training and validation rows."""
    rows = np.arange(len(y))
    if len(rows) < MIN_ROWS_TO_SPLIT:
        return rows, rows
    counts = np.bincount(y) if stratify else np.array([])
    size = max(round(len(rows) * VALIDATION_FRACTION), 1)
    possible = stratify and counts.min() >= 2 and size >= len(counts)
    train, validation = train_test_split(rows, test_size=size, random_state=seed, stratify=y if possible else None)
    return np.sort(train), np.sort(validation)
