"""Class balancing by a weighted loss or a weighted sampler."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from fivefold.config.models import Model
from fivefold.config.training import CrossEntropyLoss
from fivefold.data.dataset import Dataset, Split
from fivefold.evaluation.metrics import balanced_accuracy
from fivefold.evaluation.predict import predict
from fivefold.models.losses import SupervisedLoss
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.training.batches import weighted_order
from fivefold.training.fit import fit
from fivefold.training.objectives import class_weights

from ..conftest import schema_of


def imbalanced(seed: int, n: int = 1200) -> Split:
    """Return overlapping classes of which one row in 30 has class 1."""
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 30 == 0).astype(np.int64)
    x = rng.normal(size=(n, 2)) + 1.2 * y[:, None]
    return Split(x, y, np.arange(n))


def test_class_weights_balance_the_classes_with_mean_1() -> None:
    y = np.array([0] * 90 + [1] * 9 + [3] * 1)
    weights = class_weights(schema_of((2,), 4), y).numpy()
    # 100 rows of 3 classes
    np.testing.assert_allclose(weights[[0, 1, 3]], [100 / 270, 100 / 27, 100 / 3], rtol=1e-6)
    np.testing.assert_allclose(weights[y].mean(), 1, rtol=1e-6)


def test_weighted_loss_equals_that_of_torch() -> None:
    weights = torch.tensor([0.5, 3.0])
    criterion = SupervisedLoss(schema_of((2,), 2), CrossEntropyLoss(name="cross_entropy"), weights)
    out, y = torch.randn(8, 2), torch.tensor([0, 1] * 4)
    # torch divides by the sum of the weights, 14, instead of the number of rows, 8
    torch.testing.assert_close(criterion(out, y), functional.cross_entropy(out, y, weights) * 1.75)


def test_weighted_order_has_frequencies_by_weight_and_depends_on_the_epoch() -> None:
    y = torch.tensor([0] * 990 + [1] * 10)
    weights = torch.where(y == 1, 99.0, 1.0)
    epochs = iter([0, 0, 1])
    order = weighted_order(weights, 3, lambda: next(epochs))
    one, two, other = (y[order()] for _ in range(3))
    assert len(one) == 1000
    assert 0.4 < one.float().mean() < 0.6  # 0.5 is expected, standard deviation 0.016
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("class_balance", ["weighted_loss", "weighted_sampler"])
def test_rare_class_is_predicted(tmp_path: Path, class_balance: str) -> None:
    dataset = Dataset(schema_of((2,), 2), imbalanced(0), imbalanced(1), imbalanced(2))
    scores = {}
    for method in ("none", class_balance):
        tree = {
            "dataset": "d",
            "depends_on": "none",
            "select": {"method": "none"},
            "network": {"family": "mlp", "hidden": [8]},
            "training": {"max_epochs": 15, "optimizer": {"name": "adam", "lr": 0.01}, "class_balance": method},
        }
        model = Model.model_validate_json(json.dumps(tree))
        fitted = fit(
            "m",
            model,
            dataset,
            Pipeline("float64", ()),
            seed=1,
            checkpoint_folder=tmp_path / method,
            on_epoch=lambda *_: None,
        )
        scores[method] = balanced_accuracy(dataset.test.y, predict(fitted.trained_model.model, dataset.test.x))
    assert scores["none"] < 0.65
    assert scores[class_balance] > 0.75
