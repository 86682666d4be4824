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


def drawn(n: int, k: int) -> tuple[Array, Array]:
    random = np.random.default_rng(k)
    y = random.integers(0, k, n)
    p = random.random((n, k)) + 0.3 * np.eye(k)[y]
    return y, (p / p.sum(axis=1, keepdims=True)).astype(np.float32)


def shown_of(schema: Schema, y: Array, p: Array) -> dict[str, pd.DataFrame]:
    return build_tables(schema, Split(np.zeros((len(y), 1)), y, np.arange(len(y))), p, HISTORY)


def areas(roc: pd.DataFrame) -> dict[str, float]:
    return {name: auc(part.false_positive_rate, part.true_positive_rate) for name, part in roc.groupby("class")}


class TestRoc:
    @pytest.mark.parametrize("n", [20, 300, 3000])
    def test_two_classes_have_one_curve_of_scikit_learns_area(self, n: int) -> None:
        y, p = drawn(n, 2)
        roc = shown_of(schema_of((3,), 2), y, p)["roc"]
        assert areas(roc) == {"class1": pytest.approx(roc_auc_score(y, p[:, 1]), abs=5e-3)}

    @pytest.mark.parametrize("n", [60, 3000])
    def test_ten_classes_have_a_curve_each_of_scikit_learns_area(self, n: int) -> None:
        y, p = drawn(n, 10)
        roc = shown_of(schema_of((3,), 10), y, p)["roc"]
        expected = {f"class{i}": pytest.approx(roc_auc_score(y == i, p[:, i]), abs=5e-3) for i in range(10)}
        assert areas(roc) == expected

    def test_the_area_in_the_table_is_exact(self) -> None:
        y, p = drawn(300, 10)
        roc = shown_of(schema_of((3,), 10), y, p)["roc"]
        expected = {f"class{i}": pytest.approx(roc_auc_score(y == i, p[:, i])) for i in range(10)}
        assert roc.groupby("class").area.unique().explode().to_dict() == expected

    def test_every_curve_goes_from_corner_to_corner_and_never_back(self) -> None:
        y, p = drawn(300, 10)
        for _, curve in shown_of(schema_of((3,), 10), y, p)["roc"].groupby("class"):
            rates = curve[["false_positive_rate", "true_positive_rate"]].to_numpy()
            assert rates[0].tolist() == [0, 0]
            assert rates[-1].tolist() == [1, 1]
            assert (np.diff(rates, axis=0) >= 0).all()

    def test_a_class_without_test_rows_has_no_curve(self) -> None:
        y, p = drawn(300, 3)
        y = np.where(y == 1, 2, y)
        assert set(areas(shown_of(schema_of((3,), 3), y, p)["roc"])) == {"class0", "class2"}

    def test_test_rows_of_one_class_leave_the_table_empty(self) -> None:
        _, p = drawn(10, 2)
        roc = shown_of(schema_of((3,), 2), np.ones(10, int), p)["roc"]
        assert roc.columns.tolist() == ["class", "area", "false_positive_rate", "true_positive_rate"]
        assert roc.empty


class TestOtherTables:
    def test_confusion_has_a_row_for_each_test_row(self) -> None:
        y = np.array([0, 2, 1, 2])
        p = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
        confusion = shown_of(schema_of((3,), 3), y, p)["confusion"]
        assert confusion.actual.tolist() == ["class0", "class2", "class1", "class2"]
        assert confusion.predicted.tolist() == ["class0", "class2", "class0", "class2"]

    def test_the_confusion_picture_has_its_classes_in_the_order_of_the_schema(self) -> None:
        order = ("1", "2", "9", "10", "11", "never")
        schema = schema_of((3,), 6).model_copy(update={"classes": order})
        y, p = np.array([3, 0, 2, 4, 4]), np.eye(6)[[3, 1, 2, 4, 0]]
        axes = plot_confusion_matrix(shown_of(schema, y, p)["confusion"], "m").axes[0]
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            assert [label.get_text() for label in labels] == ["1", "2", "9", "10", "11"]
        shown = np.zeros((5, 5))
        shown[[3, 0, 2, 4, 4], [3, 1, 2, 4, 0]] = 1
        assert {text.get_position()[::-1] for text in axes.texts} == {*zip(*np.nonzero(shown), strict=True)}

    def test_calibration_counts_every_row_once(self) -> None:
        y, p = drawn(300, 3)
        table = shown_of(schema_of((3,), 3), y, p)["calibration"]
        assert table.rows.sum() == 300
        assert table.confidence.is_monotonic_increasing
        assert (table.accuracy * table.rows).sum() == pytest.approx((p.argmax(axis=1) == y).sum())

    def test_the_learning_curve_counts_epochs_from_one(self) -> None:
        y, p = drawn(30, 3)
        curve = shown_of(schema_of((3,), 3), y, p)["learning_curve"]
        assert curve.to_dict("list") == {"epoch": [1, 2], "train": [1.0, 0.5], "val": [1.1, 0.7]}

    def test_values_have_predicted_and_actual(self) -> None:
        shown = shown_of(schema_of((3,)), np.array([1.0, 2]), np.array([[1.5], [2.5]]))
        assert set(shown) == {"learning_curve", "predicted"}
        assert shown["predicted"].to_dict("list") == {"actual": [1, 2], "predicted": [1.5, 2.5]}

    def test_gradients_have_a_row_for_each_layer_and_epoch(self) -> None:
        table = gradient_table({"gradient_norm": {"first": [1.0, None], "last": [2.0, 0.5]}, "dead_fraction": {"relu": [0.1, 0.2]}})
        assert table.epoch.tolist() == [1, 2, 1, 2]
        assert table.layer.tolist() == ["first", "first", "last", "last"]
        np.testing.assert_array_equal(table.norm, [1.0, np.nan, 2.0, 0.5])

    @pytest.mark.parametrize("norms", [[0.5], [1e-9, 3.0, 0.0], [None, None], [0.0], [0.1] * 300])
    def test_gradients_of_any_size_are_drawn(self, tmp_path: Path, norms: list[float | None]) -> None:
        layers = {f"layers.{i}": norms for i in range(10)}
        picture = partial(PLOT_FUNCTIONS["gradients"], gradient_table({"gradient_norm": layers}), "m")
        save_plots({"gradients": picture}, tmp_path / "plots")
        assert (tmp_path / "plots/gradients.png").stat().st_size > 5000

    def test_tables_are_written_by_name(self, tmp_path: Path) -> None:
        shown = shown_of(schema_of((3,)), np.array([1.0, 2]), np.array([[1.5], [2.5]]))
        save_tables(shown, tmp_path / "tables")
        assert {path.name for path in (tmp_path / "tables").iterdir()} == {"learning_curve.csv", "predicted.csv"}
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "tables/predicted.csv"), shown["predicted"])


class TestPredictions:
    @pytest.mark.parametrize("k", [2, 10])
    def test_probabilities_stand_in_the_order_of_the_classes(self, k: int) -> None:
        y, p = drawn(12, k)
        rows = np.arange(12) * 7 + 3
        frame = prediction_table(schema_of((3,), k), Split(np.zeros((12, 3)), y, rows), p)
        assert frame.columns.tolist() == ["row", "target", "prediction", *(f"p_class{i}" for i in range(k))]
        np.testing.assert_array_equal(frame.filter(like="p_").to_numpy(), p)
        assert frame.row.tolist() == rows.tolist()
        assert frame.target.tolist() == [f"class{i}" for i in y]
        assert frame.prediction.tolist() == [f"class{i}" for i in p.argmax(axis=1)]

    def test_values_stand_beside_their_target(self) -> None:
        given = Split(np.zeros((2, 3)), np.array([1.0, 2]), np.array([8, 5]))
        frame = prediction_table(schema_of((3,)), given, np.array([[1.5], [2.5]]))
        assert frame.to_dict("list") == {"row": [8, 5], "target": [1, 2], "prediction": [1.5, 2.5]}

    def test_a_class_without_test_rows_keeps_its_column(self) -> None:
        given = Split(np.zeros((2, 3)), np.array([0, 0]), np.array([0, 1]))
        frame = prediction_table(schema_of((3,), 3), given, np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3]]))
        assert frame["p_class2"].tolist() == [0.1, 0.3]

    def test_quantiles_have_a_column_each(self) -> None:
        schema = schema_of((3,)).model_copy(update={"levels": (0.1, 0.5, 0.9)})
        frame = prediction_table(
            schema, Split(np.zeros((1, 3)), np.array([1.0]), np.array([4])), np.array([[0.5, 1, 2]])
        )
        assert frame.to_dict("list") == {
            "row": [4], "target": [1], "prediction": [1], "q0.1": [0.5], "q0.5": [1], "q0.9": [2],
        }  # fmt: skip

    def test_a_text_has_the_true_token_s_probability(self) -> None:
        schema = schema_of((3,), 3).model_copy(update={"kind": "text", "task": "language"})
        given = Split(np.zeros((2, 3)), np.array([0, 2]), np.array([7, 8]))
        frame = prediction_table(schema, given, np.array([[0.3, 1], [0.9, 2]]))
        assert frame.to_dict("list") == {
            "row": [7, 8], "target": ["class0", "class2"], "prediction": ["class1", "class2"], "p": [0.3, 0.9],
        }  # fmt: skip


class TestForecast:
    SCHEMA = schema_of((4, 1)).model_copy(
        update={"kind": "series", "task": "forecasting", "values": ("a+1", "a+2"), "horizon": 2}
    )

    def test_steps_stand_where_they_are_told(self) -> None:
        y = np.array([[4.0, 5], [8, 9]])
        records = Split(np.arange(8.0).reshape(2, 4, 1), y, np.array([4, 8]), seasonal_naive=y - 7)
        table = build_tables(self.SCHEMA, records, np.array([[4.5, 5.5], [8.5, 9.5]]), HISTORY)["forecast"]
        assert table.to_dict("list") == {
            "step": [4, 5, 8, 9], "value": ["a+1", "a+2"] * 2, "ahead": [1, 2, 1, 2], "actual": [4, 5, 8, 9],
            "predicted": [4.5, 5.5, 8.5, 9.5], "persistence": [3, 3, 7, 7],
            "seasonal": [-3, -2, 1, 2],
        }  # fmt: skip

    def test_the_time_of_a_step_stands_beside_it_and_outer_quantiles_have_their_level(self) -> None:
        known = {"step": "1 month", "span": ("1949-01-31", "1949-10-31"), "levels": (0.1, 0.5, 0.9)}
        records = Split(np.zeros((2, 4, 1)), np.array([[4.0, 5], [8, 9]]), np.array([7, 8]))
        p = np.arange(12.0).reshape(2, 6)
        table = build_tables(self.SCHEMA.model_copy(update=known), records, p, HISTORY)["forecast"]
        assert table.time.astype(str).tolist() == ["1949-08-31", "1949-09-30", "1949-09-30", "1949-10-31"]
        assert table[["q0.1", "predicted", "q0.9"]].to_numpy().tolist() == p.reshape(4, 3).tolist()

    @pytest.mark.parametrize(
        ("step", "span", "ticks"),
        [
            ("1 year", ("1990-12-31", "1999-12-31"), {"1996", "1999"}),
            ("1", ("1990", "1999"), {"1996", "1999"}),
            ("", (), {"6", "9"}),
        ],
        ids=["dates", "numbers", "unknown"],
    )
    def test_the_picture_names_target_times_and_levels(self, step: str, span: tuple[str, ...], ticks: set[str]) -> None:
        update = {"step": step, "span": span, "levels": (0.05, 0.5, 0.95), "values": ("a+1",), "horizon": 1}
        schema = self.SCHEMA.model_copy(update=update)
        records = Split(np.zeros((4, 4, 1)), np.arange(4.0)[:, None], np.arange(6, 10))
        table = build_tables(schema, records, np.arange(12.0).reshape(4, 3), HISTORY)["forecast"]
        with mpl.rc_context(STYLE):
            fig = plot_forecast(table, "m")
            fig.draw_without_rendering()
            (axes,) = fig.axes
            assert ticks & {tick.get_text() for tick in axes.get_xticklabels()}
        assert axes.get_ylabel() == "a"
        assert axes.get_xlabel() == ("" if step else "step of the series")
        assert fig.get_suptitle() == "m: forecasts of the test part, one step ahead"
        assert [text.get_text() for text in fig.legends[0].get_texts()] == [
            "actual",
            "forecast",
            "quantiles 0.05 to 0.95",
            "the step before",
        ]
