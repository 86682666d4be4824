"""Metrics of supervised models, computed by hand and by scikit-learn and torchmetrics; batched predictions."""

from math import log, sqrt

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from torchmetrics.functional.classification import multiclass_calibration_error

from fivefold.config.networks.mlp import Mlp
from fivefold.data.baselines import naive_indices
from fivefold.data.dataset import Array, Split
from fivefold.errors import TrainingError
from fivefold.evaluation import metrics
from fivefold.evaluation.predict import BATCH_SIZE, predict
from fivefold.models.factory import InputSpec, build_network
from fivefold.models.inference import InferenceModel, Preprocess, SoftmaxHead
from fivefold.preprocessing.pipeline import Pipeline

from ..conftest import schema_of

Y = np.array([0, 1, 1, 2])
P = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]], np.float32)


def random_predictions(n: int, k: int) -> tuple[Array, Array]:
    """Return targets and probabilities that are correlated with them."""
    random = np.random.default_rng(k)
    y = random.integers(0, k, n)
    logits = random.normal(size=(n, k)) + 2 * np.eye(k)[y]
    return y, torch.softmax(torch.from_numpy(logits), 1).float().numpy()


class TestByHand:
    """Four rows, three classes; the third prediction is wrong."""

    def test_accuracy(self) -> None:
        assert metrics.accuracy(Y, P) == 3 / 4

    def test_macro_f1(self) -> None:
        # predicted 0, 1, 0, 2. Class 0: precision 1/2, recall 1. Class 1: precision 1, recall 1/2. Class 2: both 1.
        assert metrics.macro_f1(Y, P) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)

    def test_balanced_accuracy(self) -> None:
        # class 0: 1 of 1; class 1: 1 of 2; class 2: 1 of 1
        assert metrics.balanced_accuracy(Y, P) == pytest.approx((1 + 1 / 2 + 1) / 3)

    def test_balanced_accuracy_ignores_a_class_without_rows(self) -> None:
        y, p = np.array([0, 0, 1]), np.array([[0.9, 0.05, 0.05], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])
        assert metrics.balanced_accuracy(y, p) == pytest.approx((1 / 2 + 1) / 2)

    def test_roc_auc(self) -> None:
        # class 0: 0.7 > 0.1, 0.5, 0.2; class 1: 0.8 and 0.4 > 0.2, 0.2; class 2: 0.6 > 0.1
        assert metrics.roc_auc(Y, P) == 1
        # class 0: of 0.5, 0.1 and 0.7, 0.2 exceeds only 0.1; class 1: 0.4 and 0.8 > 0.2; class 2: 0.1 < 0.6, and equals
        # two of 0.1
        assert metrics.roc_auc(Y, P[::-1]) == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)

    def test_roc_auc_ignores_a_class_without_rows(self) -> None:
        y, p = np.array([0, 0, 1]), np.array([[0.9, 0.05, 0.05], [0.1, 0.1, 0.8], [0.3, 0.7, 0.0]])
        # class 0: 0.9 > 0.3, but 0.1 < 0.3; class 1: 0.7 exceeds both
        assert metrics.roc_auc(y, p) == pytest.approx((1 / 2 + 1) / 2)

    def test_roc_auc_of_rows_of_one_class_is_at_chance_level(self) -> None:
        assert metrics.roc_auc(np.array([1, 1]), np.array([[0.1, 0.9], [0.2, 0.8]])) == 0.5

    def test_language_metrics(self) -> None:
        p = np.array([[0.5, 0], [0.25, 1], [0.125, 2], [1, 0]])
        assert metrics.bits_per_token(Y, p) == pytest.approx((1 + 2 + 3 + 0) / 4)
        assert metrics.perplexity(Y, p) == pytest.approx(2**1.5)
        assert metrics.token_accuracy(Y, p) == 0.5

    def test_macro_f1_ignores_a_class_that_is_neither_true_nor_predicted(self) -> None:
        y, p = np.array([0, 1]), np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1]])
        assert metrics.macro_f1(y, p) == 1

    def test_macro_f1_includes_a_class_that_is_only_predicted(self) -> None:
        y, p = np.array([0, 0]), np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1]])
        assert metrics.macro_f1(y, p) == pytest.approx((2 / 3 + 0) / 2)

    def test_log_loss(self) -> None:
        expected = -(log(0.7) + log(0.8) + log(0.4) + log(0.6)) / 4
        assert metrics.log_loss(Y, P) == pytest.approx(expected, rel=1e-6)

    def test_log_loss_of_a_wrong_prediction_of_probability_one_is_large_and_finite(self) -> None:
        assert 30 < metrics.log_loss(np.array([0, 1]), np.array([[0, 1], [0, 1]], np.float32)) * 2 < 40

    def test_brier(self) -> None:
        rows = [0.3**2 + 0.2**2 + 0.1**2, 0.1**2 + 0.2**2 + 0.1**2, 0.5**2 + 0.6**2 + 0.1**2, 0.2**2 + 0.2**2 + 0.4**2]
        assert metrics.brier(Y, P) == pytest.approx(sum(rows) / 4, rel=1e-6)

    def test_the_largest_brier_score_is_two(self) -> None:
        assert metrics.brier(np.array([0, 0]), np.array([[0.0, 1], [0, 1]])) == 2

    def test_ece(self) -> None:
        # bins of 1/15: 0.7, 0.8, 0.5 and 0.6 are in different bins
        assert metrics.ece(Y, P) == pytest.approx((0.3 + 0.2 + 0.5 + 0.4) / 4, rel=1e-6)

    def test_ece_depends_on_the_means_of_a_bin_only(self) -> None:
        # both rows between 10/15 and 11/15: one correct, one wrong, mean confidence 0.7
        y, p = np.array([0, 1]), np.array([[0.69, 0.31], [0.71, 0.29]])
        assert metrics.ece(y, p) == pytest.approx(0.7 - 0.5)

    def test_the_calibration_curve_has_only_bins_with_rows(self) -> None:
        y, p = np.array([0, 1, 1]), np.array([[0.69, 0.31], [0.71, 0.29], [0.0, 1.0]])
        table = metrics.calibration_curve(y, p)
        np.testing.assert_allclose(table["confidence"], [0.7, 1.0])
        np.testing.assert_allclose(table["accuracy"], [0.5, 1.0])
        assert table["rows"].tolist() == [2, 1]

    def test_regression(self) -> None:
        y, p = np.array([1.0, 2, 3, 6]), np.array([[1.0], [3], [3], [4]])
        # errors 0, 1, 0, -2; the mean is 3, and squared distances from it sum to 4 + 1 + 0 + 9
        assert metrics.r2(y, p) == pytest.approx(1 - 5 / 14)
        assert metrics.rmse(y, p) == pytest.approx(sqrt(5 / 4))
        assert metrics.mae(y, p) == pytest.approx(3 / 4)

    def test_several_values(self) -> None:
        y, p = np.array([[1.0, 0], [3, 2]]), np.array([[1.0, 1], [3, 3]])
        # the first is exact; of the second squared errors sum to 2 and squared distances from the mean 1 to 2
        assert metrics.r2(y, p) == pytest.approx((1 + 0) / 2)
        assert metrics.rmse(y, p) == pytest.approx(sqrt(2 / 4))
        assert metrics.mae(y, p) == pytest.approx(2 / 4)


@pytest.mark.parametrize(("n", "k"), [(200, 2), (500, 3), (2000, 10)])
class TestReferenceImplementations:
    def test_metrics_agree_with_scikit_learn(self, n: int, k: int) -> None:
        y, p = random_predictions(n, k)
        predicted = p.argmax(axis=1)
        assert metrics.accuracy(y, p) == pytest.approx(reference.accuracy_score(y, predicted))
        assert metrics.macro_f1(y, p) == pytest.approx(reference.f1_score(y, predicted, average="macro"))
        p64 = p.astype(float) / p.astype(float).sum(axis=1, keepdims=True)
        assert metrics.balanced_accuracy(y, p) == pytest.approx(reference.balanced_accuracy_score(y, predicted))
        expected = reference.roc_auc_score(y, p64[:, 1] if k == 2 else p64, multi_class="ovr", average="macro")
        assert metrics.roc_auc(y, p) == pytest.approx(expected, rel=1e-6)
        assert metrics.brier(y, p) == pytest.approx(reference.brier_score_loss(y, p64, scale_by_half=False), rel=1e-6)
        assert metrics.log_loss(y, p) == pytest.approx(-np.log(p[np.arange(n), y].astype(float)).mean(), rel=1e-6)

    def test_ece_agrees_with_torchmetrics(self, n: int, k: int) -> None:
        y, p = random_predictions(n, k)
        expected = multiclass_calibration_error(
            torch.from_numpy(p), torch.from_numpy(y), num_classes=k, n_bins=15, norm="l1"
        )
        assert metrics.ece(y, p) == pytest.approx(float(expected), abs=1e-6)


class TestScore:
    def test_each_task_has_its_metrics_the_main_one_first(self) -> None:
        classes = [metric.name for metric in metrics.metrics_for_task(schema_of((2,), 3))]
        values = [metric.name for metric in metrics.metrics_for_task(schema_of((2,)))]
        assert classes == ["accuracy", "macro_f1", "balanced_accuracy", "roc_auc", "log_loss", "brier", "ece"]
        assert values == ["r2", "rmse", "mae"]
        schema = schema_of((2,), 3).model_copy(update={"kind": "text", "task": "language_modeling"})
        language = [metric.name for metric in metrics.metrics_for_task(schema)]
        assert language == ["bits_per_token", "perplexity", "accuracy"]

    def test_quantiles_have_metrics_of_the_median_pinball_loss_and_coverage(self) -> None:
        schema = schema_of((2,)).model_copy(update={"quantiles": (0.1, 0.4, 0.9)})
        y, p = np.array([1.0, 5.0]), np.array([[0.0, 2, 3], [6, 7, 8]])
        scores = metrics.score_target(schema, y, p)
        assert scores["mae"] == 1.5  # predictions 2 and 7
        assert scores["coverage"] == 0.5
        # 0.1: 0.1 x 1, 0.9 x 1; 0.4: 0.6 x 1, 0.6 x 2; 0.9: 0.1 x 2, 0.1 x 3
        assert scores["pinball"] == pytest.approx((0.1 + 0.9 + 0.6 + 1.2 + 0.2 + 0.3) / 6)

    @pytest.mark.parametrize("schema", [schema_of((2,), 3), schema_of((2,))], ids=["classes", "values"])
    def test_better_predictions_change_metrics_in_their_direction(self, schema: metrics.Schema) -> None:
        y = Y if schema.classes else Y.astype(float)
        perfect = np.eye(3)[Y] if schema.classes else y[:, None]
        poor = P[::-1] if schema.classes else y[:, None] + np.array([[0.5], [-1], [0], [1]])
        best, worse = metrics.score_target(schema, y, perfect), metrics.score_target(schema, y, poor)
        directions = {name: "higher" if best[name] > worse[name] else "lower" for name in best}
        assert directions == {metric.name: metric.direction for metric in metrics.metrics_for_task(schema)}

    def test_scores_are_python_floats(self) -> None:
        assert {type(value) for value in metrics.score_target(schema_of((2,), 3), Y, P).values()} == {float}


class TestNaive:
    """Two targets and a helper column, a window of five steps, three steps ahead, a season of two."""

    SCHEMA = schema_of((5, 3)).model_copy(
        update={
            "kind": "series",
            "values": ("a+1", "b+1", "a+2", "b+2", "a+3", "b+3"),
            "horizon": 3,
            "season_length": 2,
        }
    )
    X = (10 * np.arange(5)[:, None] + np.arange(3))[None]  # step t of column c is 10 t + c

    def split(self) -> Split:
        return Split(self.X, np.zeros((1, 6)), np.arange(1), seasonal_naive=np.array([[30.0, 31, 40, 41, 30, 31]]))

    def test_the_naive_forecast_is_the_last_step(self) -> None:
        forecasts = metrics.naive_forecasts(self.SCHEMA, self.split())
        assert forecasts["naive"].tolist() == [[40, 41, 40, 41, 40, 41]]

    def test_the_seasonal_naive_forecast_equals_the_base_of_differenced_targets(self) -> None:
        forecast = metrics.naive_forecasts(self.SCHEMA, self.split())["seasonal_naive"]
        np.testing.assert_array_equal(forecast, self.X.reshape(1, -1)[:, naive_indices(self.SCHEMA, "seasonal")])

    def test_rows_without_a_previous_season_are_ignored(self) -> None:
        seasonal, y = np.array([[np.nan] * 6, [np.nan, *range(5)], [3.0] * 6]), np.ones((3, 6))
        split = Split(np.repeat(self.X, 3, axis=0), y, np.arange(3), seasonal_naive=seasonal)
        assert metrics.naive_scores(self.SCHEMA, split)["seasonal_naive_rmse"] == 2
        assert set(metrics.naive_scores(self.SCHEMA, split.take(np.arange(2)))) == {"naive_rmse"}

    def test_errors_of_naive_forecasts(self) -> None:
        expected = np.sqrt((3 * 40**2 + 3 * 41**2) / 6)
        assert metrics.naive_scores(self.SCHEMA, self.split())["naive_rmse"] == pytest.approx(expected)
        assert metrics.naive_scores(schema_of((2,), 3), self.split()) == {}


class TestPredict:
    @pytest.fixture
    def model(self) -> InferenceModel:
        torch.manual_seed(0)
        network = build_network(Mlp(family="mlp", hidden=(3,)), InputSpec((2,), 4))
        return InferenceModel(Preprocess(Pipeline("float64", ())), network, SoftmaxHead()).eval()

    def test_batches_are_concatenated_in_order(self, model: InferenceModel) -> None:
        x = np.random.default_rng(0).normal(size=(2 * BATCH_SIZE + 3, 2))
        p = predict(model, x)
        assert p.dtype == np.float32
        with torch.no_grad():
            np.testing.assert_allclose(p, model(torch.from_numpy(x)).numpy(), atol=1e-6)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)

    def test_read_only_rows_are_accepted(self, model: InferenceModel) -> None:
        x = np.ones((3, 2))
        x.setflags(write=False)  # memory-mapped arrays are read-only
        assert predict(model, x).shape == (3, 4)

    def test_a_prediction_that_is_not_finite_raises(self, model: InferenceModel) -> None:
        x = np.ones((9, 2))
        x[3] = x[7] = np.nan
        message = (
            r"\Apredictions must be finite, but that of row 4 is \[nan nan nan nan\] \(2 of 9 rows\);"
            r" lower training\.optimizer\.lr or check the values of that row\Z"
        )
        with pytest.raises(TrainingError, match=message):
            predict(model, x)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_scores_are_within_their_bounds(classes: int) -> None:
    """For random, perfect and worst predictions."""
    schema = schema_of((2,), classes)
    if classes:
        y, p = random_predictions(200, classes)
        predictions = [p, np.eye(classes)[y], np.roll(np.eye(classes)[y], 1, axis=1)]
    else:
        y = np.random.default_rng(0).normal(size=(200, 1))
        predictions = [y + 1, y, -100 * y]
    bounds = metrics.metric_bounds(schema)
    for p in predictions:
        scores = metrics.score_target(schema, y, p)
        assert scores.keys() <= bounds.keys()
        assert all(bounds[name][0] <= value <= bounds[name][1] for name, value in scores.items())
