"""Tables and plots of supervised models, and the table of predictions."""

from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, roc_auc_score

from fivefold.data.dataset import Array, Split
from fivefold.data.schema import Schema
from fivefold.evaluation.plots import PLOT_FUNCTIONS, plot_confusion_matrix, plot_forecast, save_plots
from fivefold.evaluation.tables import build_tables, gradient_table, prediction_table, save_tables
from fivefold.plotting import STYLE

from ..conftest import schema_of

HISTORY = pd.DataFrame({"epoch": [1, 2], "train/loss": [1.0, 0.5], "val/loss": [1.1, 0.7], "lr": [0.1, 0.1]})


def random_predictions(n: int, k: int) -> tuple[Array, Array]:
    """Return targets and probabilities that are correlated with them."""
    random = np.random.default_rng(k)
    y = random.integers(0, k, n)
    p = random.random((n, k)) + 0.3 * np.eye(k)[y]
    return y, (p / p.sum(axis=1, keepdims=True)).astype(np.float32)


def tables_of(schema: Schema, y: Array, p: Array) -> dict[str, pd.DataFrame]:
    return build_tables(schema, Split(np.zeros((len(y), 1)), y, np.arange(len(y))), p, HISTORY)


def areas(roc: pd.DataFrame) -> dict[str, float]:
    return {name: auc(curve.false_positive_rate, curve.true_positive_rate) for name, curve in roc.groupby("class")}


class TestRoc:
    @pytest.mark.parametrize("n", [20, 300, 3000])
    def test_two_classes_have_one_curve_with_the_area_of_scikit_learn(self, n: int) -> None:
        y, p = random_predictions(n, 2)
        roc = tables_of(schema_of((3,), 2), y, p)["roc_curve"]
        assert areas(roc) == {"class1": pytest.approx(roc_auc_score(y, p[:, 1]), abs=5e-3)}

    @pytest.mark.parametrize("n", [60, 3000])
    def test_ten_classes_have_a_curve_each_with_the_area_of_scikit_learn(self, n: int) -> None:
        y, p = random_predictions(n, 10)
        roc = tables_of(schema_of((3,), 10), y, p)["roc_curve"]
        expected = {f"class{i}": pytest.approx(roc_auc_score(y == i, p[:, i]), abs=5e-3) for i in range(10)}
        assert areas(roc) == expected

    def test_the_area_in_the_table_is_exact(self) -> None:
        y, p = random_predictions(300, 10)
        roc = tables_of(schema_of((3,), 10), y, p)["roc_curve"]
        expected = {f"class{i}": pytest.approx(roc_auc_score(y == i, p[:, i])) for i in range(10)}
        assert roc.groupby("class").auc.unique().explode().to_dict() == expected

    def test_every_curve_is_monotonic_from_corner_to_corner(self) -> None:
        y, p = random_predictions(300, 10)
        for _, curve in tables_of(schema_of((3,), 10), y, p)["roc_curve"].groupby("class"):
            rates = curve[["false_positive_rate", "true_positive_rate"]].to_numpy()
            assert rates[0].tolist() == [0, 0]
            assert rates[-1].tolist() == [1, 1]
            assert (np.diff(rates, axis=0) >= 0).all()

    def test_a_class_without_test_rows_has_no_curve(self) -> None:
        y, p = random_predictions(300, 3)
        y = np.where(y == 1, 2, y)
        assert set(areas(tables_of(schema_of((3,), 3), y, p)["roc_curve"])) == {"class0", "class2"}

    def test_the_table_is_empty_if_test_rows_have_one_class(self) -> None:
        _, p = random_predictions(10, 2)
        roc = tables_of(schema_of((3,), 2), np.ones(10, int), p)["roc_curve"]
        assert roc.columns.tolist() == ["class", "auc", "false_positive_rate", "true_positive_rate"]
        assert roc.empty


class TestOtherTables:
    def test_the_confusion_matrix_has_a_row_for_each_test_row(self) -> None:
        y = np.array([0, 2, 1, 2])
        p = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
        confusion = tables_of(schema_of((3,), 3), y, p)["confusion_matrix"]
        assert confusion.actual.tolist() == ["class0", "class2", "class1", "class2"]
        assert confusion.predicted.tolist() == ["class0", "class2", "class0", "class2"]

    def test_the_confusion_matrix_plot_has_classes_in_the_order_of_the_schema(self) -> None:
        order = ("1", "2", "9", "10", "11", "never")
        schema = schema_of((3,), 6).model_copy(update={"classes": order})
        y, p = np.array([3, 0, 2, 4, 4]), np.eye(6)[[3, 1, 2, 4, 0]]
        axes = plot_confusion_matrix(tables_of(schema, y, p)["confusion_matrix"], "m").axes[0]
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            assert [label.get_text() for label in labels] == ["1", "2", "9", "10", "11"]
        counts = np.zeros((5, 5))
        counts[[3, 0, 2, 4, 4], [3, 1, 2, 4, 0]] = 1
        assert {text.get_position()[::-1] for text in axes.texts} == {*zip(*np.nonzero(counts), strict=True)}

    def test_calibration_counts_every_row_once(self) -> None:
        y, p = random_predictions(300, 3)
        table = tables_of(schema_of((3,), 3), y, p)["calibration_curve"]
        assert table.rows.sum() == 300
        assert table.confidence.is_monotonic_increasing
        assert (table.accuracy * table.rows).sum() == pytest.approx((p.argmax(axis=1) == y).sum())

    def test_the_learning_curve_counts_epochs_from_one(self) -> None:
        y, p = random_predictions(30, 3)
        curve = tables_of(schema_of((3,), 3), y, p)["learning_curve"]
        assert curve.to_dict("list") == {"epoch": [1, 2], "train": [1.0, 0.5], "val": [1.1, 0.7]}

    def test_values_have_predicted_and_actual(self) -> None:
        tables = tables_of(schema_of((3,)), np.array([1.0, 2]), np.array([[1.5], [2.5]]))
        assert set(tables) == {"learning_curve", "predicted_vs_actual"}
        assert tables["predicted_vs_actual"].to_dict("list") == {"actual": [1, 2], "predicted": [1.5, 2.5]}

    def test_gradients_have_a_row_for_each_layer_and_epoch(self) -> None:
        table = gradient_table(
            {"gradient_norm": {"first": [1.0, None], "last": [2.0, 0.5]}, "dead": {"relu": [0.1, 0.2]}}
        )
        assert table.epoch.tolist() == [1, 2, 1, 2]
        assert table.layer.tolist() == ["first", "first", "last", "last"]
        np.testing.assert_array_equal(table.norm, [1.0, np.nan, 2.0, 0.5])

    @pytest.mark.parametrize("norms", [[0.5], [1e-9, 3.0, 0.0], [None, None], [0.0], [0.1] * 300])
    def test_gradients_of_any_size_are_plotted(self, tmp_path: Path, norms: list[float | None]) -> None:
        layers = {f"layers.{i}": norms for i in range(10)}
        draw = partial(PLOT_FUNCTIONS["gradients"], gradient_table({"gradient_norm": layers}), "m")
        save_plots({"gradients": draw}, tmp_path / "plots")
        assert (tmp_path / "plots/gradients.png").stat().st_size > 5000

    def test_tables_are_saved_by_name(self, tmp_path: Path) -> None:
        tables = tables_of(schema_of((3,)), np.array([1.0, 2]), np.array([[1.5], [2.5]]))
        save_tables(tables, tmp_path / "tables")
        names = {path.name for path in (tmp_path / "tables").iterdir()}
        assert names == {"learning_curve.csv", "predicted_vs_actual.csv"}
        saved = pd.read_csv(tmp_path / "tables/predicted_vs_actual.csv")
        pd.testing.assert_frame_equal(saved, tables["predicted_vs_actual"])


class TestPredictions:
    @pytest.mark.parametrize("k", [2, 10])
    def test_probabilities_are_in_the_order_of_the_classes(self, k: int) -> None:
        y, p = random_predictions(12, k)
        rows = np.arange(12) * 7 + 3
        frame = prediction_table(schema_of((3,), k), Split(np.zeros((12, 3)), y, rows), p)
        assert frame.columns.tolist() == ["row", "target", "prediction", *(f"p_class{i}" for i in range(k))]
        np.testing.assert_array_equal(frame.filter(like="p_").to_numpy(), p)
        assert frame.row.tolist() == rows.tolist()
        assert frame.target.tolist() == [f"class{i}" for i in y]
        assert frame.prediction.tolist() == [f"class{i}" for i in p.argmax(axis=1)]

    def test_values_have_target_and_prediction(self) -> None:
        split = Split(np.zeros((2, 3)), np.array([1.0, 2]), np.array([8, 5]))
        frame = prediction_table(schema_of((3,)), split, np.array([[1.5], [2.5]]))
        assert frame.to_dict("list") == {"row": [8, 5], "target": [1, 2], "prediction": [1.5, 2.5]}

    def test_a_class_without_test_rows_has_a_column(self) -> None:
        split = Split(np.zeros((2, 3)), np.array([0, 0]), np.array([0, 1]))
        frame = prediction_table(schema_of((3,), 3), split, np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3]]))
        assert frame["p_class2"].tolist() == [0.1, 0.3]

    def test_quantiles_have_a_column_each(self) -> None:
        schema = schema_of((3,)).model_copy(update={"quantiles": (0.1, 0.5, 0.9)})
        frame = prediction_table(
            schema, Split(np.zeros((1, 3)), np.array([1.0]), np.array([4])), np.array([[0.5, 1, 2]])
        )
        assert frame.to_dict("list") == {
            "row": [4], "target": [1], "prediction": [1], "q0.1": [0.5], "q0.5": [1], "q0.9": [2],
        }  # fmt: skip

    def test_language_modeling_has_the_probability_of_the_true_token(self) -> None:
        schema = schema_of((3,), 3).model_copy(update={"kind": "text", "task": "language_modeling"})
        split = Split(np.zeros((2, 3)), np.array([0, 2]), np.array([7, 8]))
        frame = prediction_table(schema, split, np.array([[0.3, 1], [0.9, 2]]))
        assert frame.to_dict("list") == {
            "row": [7, 8], "target": ["class0", "class2"], "prediction": ["class1", "class2"], "p": [0.3, 0.9],
        }  # fmt: skip


class TestForecast:
    SCHEMA = schema_of((4, 1)).model_copy(
        update={"kind": "series", "task": "forecasting", "values": ("a+1", "a+2"), "horizon": 2}
    )

    def test_each_predicted_step_has_a_row_with_naive_forecasts(self) -> None:
        y = np.array([[4.0, 5], [8, 9]])
        split = Split(np.arange(8.0).reshape(2, 4, 1), y, np.array([4, 8]), seasonal_naive=y - 7)
        table = build_tables(self.SCHEMA, split, np.array([[4.5, 5.5], [8.5, 9.5]]), HISTORY)["forecast"]
        assert table.to_dict("list") == {
            "step": [4, 5, 8, 9], "value": ["a+1", "a+2"] * 2, "ahead": [1, 2, 1, 2], "actual": [4, 5, 8, 9],
            "predicted": [4.5, 5.5, 8.5, 9.5], "naive": [3, 3, 7, 7],
            "seasonal_naive": [-3, -2, 1, 2],
        }  # fmt: skip

    def test_steps_have_their_time_and_outer_quantiles_a_column_by_level(self) -> None:
        update = {
            "frequency": "1 month", "time_range": ("1949-01-31", "1949-10-31"), "quantiles": (0.1, 0.5, 0.9),
        }  # fmt: skip
        split = Split(np.zeros((2, 4, 1)), np.array([[4.0, 5], [8, 9]]), np.array([7, 8]))
        p = np.arange(12.0).reshape(2, 6)
        table = build_tables(self.SCHEMA.model_copy(update=update), split, p, HISTORY)["forecast"]
        assert table.time.astype(str).tolist() == ["1949-08-31", "1949-09-30", "1949-09-30", "1949-10-31"]
        assert table[["q0.1", "predicted", "q0.9"]].to_numpy().tolist() == p.reshape(4, 3).tolist()

    @pytest.mark.parametrize(
        ("frequency", "time_range", "ticks"),
        [
            ("1 year", ("1990-12-31", "1999-12-31"), {"1996", "1999"}),
            ("1", ("1990", "1999"), {"1996", "1999"}),
            ("", (), {"6", "9"}),
        ],
        ids=["dates", "numbers", "unknown"],
    )
    def test_the_plot_shows_target_times_and_quantiles(
        self, frequency: str, time_range: tuple[str, ...], ticks: set[str]
    ) -> None:
        update = {
            "frequency": frequency, "time_range": time_range, "quantiles": (0.05, 0.5, 0.95), "values": ("a+1",),
            "horizon": 1,
        }  # fmt: skip
        schema = self.SCHEMA.model_copy(update=update)
        split = Split(np.zeros((4, 4, 1)), np.arange(4.0)[:, None], np.arange(6, 10))
        table = build_tables(schema, split, np.arange(12.0).reshape(4, 3), HISTORY)["forecast"]
        with mpl.rc_context(STYLE):
            fig = plot_forecast(table, "m")
            fig.draw_without_rendering()
            (axes,) = fig.axes
            assert ticks & {tick.get_text() for tick in axes.get_xticklabels()}
        assert axes.get_ylabel() == "a"
        assert axes.get_xlabel() == ("" if frequency else "time step")
        assert fig.get_suptitle() == "m: one-step-ahead forecasts of the test split"
        assert [text.get_text() for text in fig.legends[0].get_texts()] == [
            "actual",
            "forecast",
            "quantiles 0.05 to 0.95",
            "naive forecast",
        ]
