import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.feature_selection import (
    SelectKBest,
    chi2,
    f_classif,
    f_regression,
    mutual_info_classif,
    mutual_info_regression,
)

from fivefold.config.selection import (
    KBestSelection,
    NoSelection,
    PCASelection,
    RFESelection,
    SelectionConfig,
    VarianceSelection,
)
from fivefold.data.baselines import sliding_windows
from fivefold.data.dataset import Array
from fivefold.data.schema import Schema
from fivefold.errors import DataError
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.preprocessing.selection import FittedSelection, feature_names, fit_selection

from ..conftest import schema_of

WINE = load_wine()
X = (WINE.data - WINE.data.min(0)) / (WINE.data.max(0) - WINE.data.min(0))
Y = WINE.target
VALUES = X[:, 0] * 3 - X[:, 6] ** 2
CLASSES, REGRESSION = schema_of((13,), 3), schema_of((13,))
TRAIN, OTHER = np.arange(len(X)) % 3 > 0, np.arange(len(X)) % 3 == 0


def applied(selected: FittedSelection, x: Array) -> Array:
    return Pipeline("float64", ()).with_steps(*selected.steps)(x)


class TestKBest:
    @pytest.mark.parametrize("score", ["chi2", "f", "mutual_info"])
    @pytest.mark.parametrize("k", [1, 5, 13])
    def test_selects_as_select_k_best_for_classification(self, score: str, k: int) -> None:
        function = {"chi2": chi2, "f": f_classif, "mutual_info": seeded_mutual_info_classif}[score]
        reference = SelectKBest(function, k=k).fit(X[TRAIN], Y[TRAIN])
        selected = fit_selection(X[TRAIN], Y[TRAIN], CLASSES, KBestSelection(method="k_best", score_func=score, k=k), 7)
        np.testing.assert_allclose(applied(selected, X[OTHER]), reference.transform(X[OTHER]), rtol=1e-6)

    @pytest.mark.parametrize("score", ["f", "mutual_info"])
    def test_selects_as_select_k_best_for_regression(self, score: str) -> None:
        function = {"f": f_regression, "mutual_info": seeded_mutual_info_regression}[score]
        reference = SelectKBest(function, k=4).fit(X[TRAIN], VALUES[TRAIN])
        params = KBestSelection(method="k_best", score_func=score, k=4)
        selected = fit_selection(X[TRAIN], VALUES[TRAIN], REGRESSION, params, 7)
        np.testing.assert_allclose(applied(selected, X[OTHER]), reference.transform(X[OTHER]), rtol=1e-6)

    def test_the_table_lists_all_features_best_first(self) -> None:
        selected = fit_selection(X, Y, CLASSES, KBestSelection(method="k_best", score_func="f", k=4), 0)
        table = selected.table
        scores, p_values = f_classif(X, Y)
        assert selected.score_label == "F statistic"
        assert table.columns.tolist() == ["feature", "score", "p_value", "selected", "stability"]
        assert table.feature.tolist() == ["abcdefghijklm"[i] for i in np.argsort(-scores)]
        assert table.selected.tolist() == [True] * 4 + [False] * 9
        np.testing.assert_array_equal(table.score, np.sort(scores)[::-1])
        np.testing.assert_array_equal(table.p_value, np.sort(p_values))

    def test_mutual_information_has_no_p_value(self) -> None:
        selected = fit_selection(X, Y, CLASSES, KBestSelection(method="k_best", score_func="mutual_info", k=4), 0)
        assert selected.table.p_value.isna().all()

    def test_selected_features_keep_their_order(self) -> None:
        selected = fit_selection(X, Y, CLASSES, KBestSelection(method="k_best", score_func="f", k=4), 0)
        index = selected.steps[0].arrays["index"].tolist()
        assert index == sorted(index)

    def test_chi2_with_a_negative_feature_raises(self) -> None:
        x = X.copy()
        x[3, 2] = -0.25
        message = (
            r"chi2 needs non-negative features, but 'c' has a minimum of -0\.25 after normalization;"
            r" set `normalize: minmax` for the dataset, or `score_func: f`"
        )
        with pytest.raises(DataError, match=message):
            fit_selection(x, Y, CLASSES, KBestSelection(method="k_best", score_func="chi2", k=4), 0)

    def test_selecting_more_features_than_there_are_raises(self) -> None:
        with pytest.raises(DataError, match=r"select\.k must be at most the number of features, 13, but is 14; lower"):
            fit_selection(X, Y, CLASSES, KBestSelection(method="k_best", score_func="f", k=14), 0)

    @pytest.mark.parametrize(
        "params", [KBestSelection(method="k_best", score_func="f", k=20), NoSelection(method="none")]
    )
    def test_constant_pixels_are_scored_without_warnings(self, params: SelectionConfig) -> None:
        digits = load_digits()
        fit_selection(digits.images[:, None] / 16, digits.target, schema_of((1, 8, 8), 10), params, 0)


def seeded_mutual_info_classif(x: Array, y: Array) -> Array:
    return mutual_info_classif(x, y, random_state=7)


def seeded_mutual_info_regression(x: Array, y: Array) -> Array:
    return mutual_info_regression(x, y, random_state=7)


class TestPca:
    @pytest.mark.parametrize("whiten", [False, True])
    @pytest.mark.parametrize("components", [1, 4, 13])
    def test_new_rows_are_projected_as_in_scikit_learn(self, whiten: bool, components: int) -> None:
        params = PCASelection(method="pca", n_components=components, whiten=whiten)
        projected = applied(fit_selection(X[TRAIN], Y[TRAIN], CLASSES, params, 0), X[OTHER])
        reference = PCA(components, whiten=whiten).fit(X[TRAIN]).transform(X[OTHER])
        signs = np.sign((projected * reference).sum(axis=0))  # the sign of a component is arbitrary
        np.testing.assert_allclose(projected * signs, reference, atol=1e-5)

    def test_components_are_those_of_the_singular_value_decomposition(self) -> None:
        selected = fit_selection(X, Y, CLASSES, PCASelection(method="pca", n_components=3), 0)
        u, s, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)  # Pearson 1901
        np.testing.assert_allclose(np.abs(applied(selected, X)), np.abs(u * s)[:, :3], atol=1e-6)
        np.testing.assert_allclose(selected.table.score, (s**2 / (s**2).sum())[:3], rtol=1e-9)

    def test_whitened_components_have_unit_standard_deviation(self) -> None:
        selected = fit_selection(X, Y, CLASSES, PCASelection(method="pca", n_components=5, whiten=True), 0)
        np.testing.assert_allclose(applied(selected, X).std(axis=0, ddof=1), 1, rtol=1e-5)

    def test_the_table_lists_components(self) -> None:
        selected = fit_selection(X, Y, CLASSES, PCASelection(method="pca", n_components=2), 0)
        assert selected.table.feature.tolist() == ["component_1", "component_2"]
        assert selected.table.selected.all()
        assert selected.score_label == "explained variance ratio"

    @pytest.mark.parametrize(("rows", "limit"), [(100, 13), (8, 8)])
    def test_more_components_than_features_or_rows_raise(self, rows: int, limit: int) -> None:
        message = rf"select\.n_components must be at most the number of features and training rows, {limit}, but is 14;"
        with pytest.raises(DataError, match=message):
            fit_selection(X[:rows], Y[:rows], CLASSES, PCASelection(method="pca", n_components=14), 0)

    def test_whitening_a_component_without_variance_is_finite(self) -> None:
        x = np.zeros((10, 3))
        x[:, 0] = np.arange(10)
        params = PCASelection(method="pca", n_components=3, whiten=True)
        selected = fit_selection(x, (x[:, 0] > 4).astype(int), schema_of((3,), 2), params, 0)
        assert np.isfinite(applied(selected, x)).all()


class TestKeepAll:
    def test_none_keeps_all_features_and_scores_them(self) -> None:
        selected = fit_selection(X, Y, CLASSES, NoSelection(method="none"), 0)
        assert selected.steps == ()
        assert selected.table.selected.tolist() == [True] * 13
        np.testing.assert_array_equal(selected.table.score, np.sort(f_classif(X, Y)[0])[::-1])


class TestFeatureNames:
    def test_table_features_are_columns(self) -> None:
        assert feature_names(schema_of((3,)), (3,)) == ["a", "b", "c"]

    def test_table_features_after_scaling(self) -> None:
        assert feature_names(schema_of((2,)), (3,), ("a", "b=red", "b=blue")) == ["a", "b=red", "b=blue"]

    def test_pixels_are_named_in_flattened_order(self) -> None:
        shape = (2, 1, 2)
        assert feature_names(schema_of(shape), shape) == ["c0_y0_x0", "c0_y0_x1", "c1_y0_x0", "c1_y0_x1"]

    def test_sequence_features_are_named_by_step(self) -> None:
        assert feature_names(sequences(), (2, 3)) == ["u_t0", "v_t0", "u_t1", "v_t1"]


def sequences() -> Schema:
    """Return the schema of sequences of two steps of values u and v, with a regression target."""
    return Schema(
        kind="sequences",
        task="regression",
        target="y",
        features=("u", "v"),
        shape=(2, 2),
        classes=(),
        values=("y",),
    )


class TestOtherKinds:
    def test_steps_of_sequences_are_selected(self) -> None:
        x = np.random.default_rng(0).normal(size=(60, 2, 3))
        params = KBestSelection(method="k_best", score_func="f", k=1)
        selected = fit_selection(x, x[:, 1, 0] ** 3, sequences(), params, 0)
        assert selected.table.feature[selected.table.selected].tolist() == ["u_t1"]
        np.testing.assert_allclose(applied(selected, x), x[:, 1, :1], rtol=1e-6)

    @pytest.mark.parametrize(
        "params",
        [
            NoSelection(method="none"),
            KBestSelection(method="k_best", score_func="f", k=4),
            VarianceSelection(method="variance", threshold=0),
            RFESelection(method="rfe", n_features_to_select=4),
            PCASelection(method="pca", n_components=4),
        ],
        ids=lambda params: params.method,
    )
    def test_the_mask_of_sequences_is_not_a_feature(self, params: SelectionConfig) -> None:
        random = np.random.default_rng(0)
        x, y = random.normal(size=(60, 2, 3)), np.arange(60) % 2
        x[:, 0, 2], x[:, 1, 2] = 1, y  # every second sequence has one step
        classes = sequences().model_copy(update={"task": "classification", "classes": ("a", "b"), "values": ()})
        selected = fit_selection(x, y, classes, params, 0)
        assert len(selected.table) == 4
        assert "4 of 4 features" in selected.summary or "4 components of 4 features" in selected.summary
        if params.method != "none":
            changed = x.copy()
            changed[..., 2] = random.normal(size=(60, 2))
            np.testing.assert_array_equal(applied(selected, changed), applied(selected, x))

    def test_the_primary_target_is_used(self) -> None:
        two = np.stack([VALUES, np.arange(len(X))], axis=1)
        params = KBestSelection(method="k_best", score_func="f", k=2)
        both = [fit_selection(X, y, REGRESSION, params, 0).table for y in (VALUES, two)]
        assert both[0].equals(both[1])


class TestText:
    SCHEMA = sequences().model_copy(
        update={"kind": "text", "vocabulary": ("", "?", "so", "good", "bad"), "shape": (6,)}
    )
    X = np.random.default_rng(0).integers(0, 4, (50, 6))

    def test_tokens_are_ranked_by_chi_squared(self) -> None:
        y = np.arange(50) % 3
        x = np.where((self.X == 3) & (y == 1)[:, None], 2, self.X)  # no "good" in class b
        schema = self.SCHEMA.model_copy(update={"task": "classification", "classes": ("a", "b", "c"), "values": ()})
        selected = fit_selection(x, y, schema, NoSelection(method="none"), 0)
        tokens, labels = x[x > 0], np.repeat(y, 6).reshape(x.shape)[x > 0]
        scores = np.nan_to_num(chi2(np.eye(5)[tokens], labels)[0])
        assert (selected.steps, selected.summary, selected.score_label) == (
            (),
            "vocabulary of 5 tokens, length 6",
            "chi-squared of token counts",
        )
        assert selected.table.feature.tolist() == ["good", "so", "?", "bad"]
        np.testing.assert_allclose(selected.table.score, scores[[3, 2, 1, 4]])

    @pytest.mark.parametrize("task", ["regression", "language_modeling"])
    def test_without_classes_tokens_are_ranked_by_frequency(self, task: str) -> None:
        schema = self.SCHEMA.model_copy(update={"task": task})
        x = sliding_windows(self.X.ravel(), 6) if task == "language_modeling" else self.X
        table = fit_selection(x, np.zeros(len(x)), schema, NoSelection(method="none"), 0).table
        counts = np.bincount(self.X.ravel(), minlength=5)[1:]
        assert dict(zip(table.feature, table.score, strict=True)) == dict(
            zip(schema.vocabulary[1:], counts, strict=True)
        )
        assert table.score.is_monotonic_decreasing
