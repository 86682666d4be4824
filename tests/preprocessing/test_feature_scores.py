"""Selected features against scikit-learn or a closed form, and the stability of the selection."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.feature_selection import RFE, SelectPercentile, chi2, f_regression
from sklearn.linear_model import Lasso, LogisticRegression, Ridge, RidgeClassifier

from fivefold.config.selection import (
    KBestSelection,
    L1Selection,
    NoSelection,
    PCASelection,
    PercentileSelection,
    RFESelection,
    SelectionConfig,
    VarianceSelection,
)
from fivefold.config.splits import PredefinedSplit
from fivefold.data.dataset import Array
from fivefold.data.prepare import prepare
from fivefold.errors import DataError
from fivefold.preprocessing import feature_scores
from fivefold.preprocessing.feature_scores import sample_rows
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.preprocessing.selection import FittedSelection, fit_selection

from ..conftest import schema_of, table_block

WINE = load_wine()
X = (WINE.data - WINE.data.min(0)) / (WINE.data.max(0) - WINE.data.min(0))
Y = WINE.target
VALUES = X[:, 0] * 3 - X[:, 6] ** 2

METHODS: list[SelectionConfig] = [
    KBestSelection(method="k_best", score_func="f", k=3),
    KBestSelection(method="k_best", score_func="mutual_info", k=3, stability_resamples=3),
    PercentileSelection(method="percentile", score_func="f", percentile=30),
    VarianceSelection(method="variance", threshold=0.04),
    L1Selection(method="l1", alpha=0.02, stability_resamples=5),
    RFESelection(method="rfe", n_features_to_select=3, stability_resamples=5),
]
EXPENSIVE: list[SelectionConfig] = [
    KBestSelection(method="k_best", score_func="mutual_info", k=3),
    PercentileSelection(method="percentile", score_func="mutual_info", percentile=30),
    L1Selection(method="l1", alpha=0.02),
    RFESelection(method="rfe", n_features_to_select=3),
]
every_method = pytest.mark.parametrize(
    "params", METHODS, ids=lambda params: getattr(params, "score_func", params.method)
)


def fitted(params: SelectionConfig, x: Array = X, y: Array = Y, seed: int = 0) -> FittedSelection:
    """Return the selection for a table of at most 26 columns; integer targets are classes."""
    n_classes = len(np.unique(y)) if y.dtype.kind == "i" else 0
    return fit_selection(x, y, schema_of(x.shape[1:], n_classes), params, seed)


def selected_indices(selected: FittedSelection) -> list[int]:
    return selected.steps[0].arrays["index"].tolist()


def scores(selected: FittedSelection) -> Array:
    """Return scores in the order of the features."""
    return np.asarray(selected.table.sort_index().score)


class TestPercentile:
    @pytest.mark.parametrize("percentile", [8, 50, 100])
    def test_selects_the_same_features_as_select_percentile(self, percentile: float) -> None:
        for score, function, y in (("chi2", chi2, Y), ("f", f_regression, VALUES)):
            reference = SelectPercentile(function, percentile=percentile).fit(X, y)
            params = PercentileSelection(
                method="percentile", score_func=score, percentile=percentile, stability_resamples=0
            )
            assert selected_indices(fitted(params, y=y)) == np.flatnonzero(reference.get_support()).tolist()

    def test_chi2_with_negative_features_raises(self) -> None:
        with pytest.raises(
            DataError, match=r"non-negative features, but 'a' has a minimum of -0\.5 after normalization; set `normal"
        ):
            fitted(PercentileSelection(method="percentile", score_func="chi2", percentile=50), X - 0.5)

    def test_a_percentile_that_selects_no_feature_raises(self) -> None:
        duplicated = np.repeat(X[:, :1], 2, axis=1)
        message = (
            "percentile must select at least one of 2 features, the best of which have equal scores, but is 10; raise"
        )
        with pytest.raises(DataError, match=message):
            fitted(PercentileSelection(method="percentile", score_func="f", percentile=10), duplicated)


class TestVariance:
    def test_selects_features_with_a_variance_above_the_threshold(self) -> None:
        selected = fitted(VarianceSelection(method="variance", threshold=0.04))
        variances = ((X - X.mean(axis=0)) ** 2).mean(axis=0)
        assert selected_indices(selected) == [i for i, v in enumerate(variances) if v > 0.04]
        assert 0 < len(selected_indices(selected)) < 13
        np.testing.assert_allclose(scores(selected), variances)
        assert selected.table.p_value.isna().all()

    def test_threshold_0_drops_constant_features_only(self) -> None:
        x = np.concatenate([X, np.full((len(X), 1), 0.1)], axis=1)
        assert selected_indices(fitted(VarianceSelection(method="variance", threshold=0), x)) == list(range(13))

    def test_a_variance_equal_to_the_threshold_up_to_rounding_is_not_selected(self) -> None:
        random = np.random.default_rng(0)
        raw = random.normal(size=(333, 20)) * 10.0 ** np.arange(20)
        x = np.float32((raw - raw.mean(axis=0)) / raw.std(axis=0))
        x[:, 0] *= 1.001
        assert 0 < (x.var(axis=0, dtype=np.float64) > 1)[1:].sum() < 19
        assert selected_indices(fitted(VarianceSelection(method="variance", threshold=1), x, np.arange(333) % 2)) == [0]

    def test_a_threshold_that_selects_nothing_raises_with_the_largest_variance(self) -> None:
        largest = f"{X.var(axis=0).max():.3g}"
        message = rf"less than the largest variance of a normalized feature, {largest}, but is 0\.5; lower it"
        with pytest.raises(DataError, match=message):
            fitted(VarianceSelection(method="variance", threshold=0.5))

    def test_constant_features_raise(self) -> None:
        with pytest.raises(
            DataError, match=r"threshold 0 selects features that vary, but all are constant; use other feat"
        ):
            fitted(VarianceSelection(method="variance", threshold=0), np.ones((10, 3)), np.arange(10) % 2)


class TestL1:
    def test_coefficients_of_orthogonal_features_are_soft_thresholded(self) -> None:
        # Tibshirani 1996, section 2.2: with x'x = n the Lasso moves each least-squares coefficient towards 0 by alpha
        x, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 4)) - [0.1, 0.2, 0, 0])
        x = np.linalg.qr(x - x.mean(axis=0))[0] * np.sqrt(50)
        y = x @ [3.0, -1.0, 0.2, 0.0] + np.random.default_rng(1).normal(size=50) * 0.1
        target = (y - y.mean()) / y.std()
        weights = np.maximum(np.abs(x.T @ target / 50) - 0.2, 0)
        selected = fitted(L1Selection(method="l1", alpha=0.2), x, y)
        np.testing.assert_allclose(scores(selected), weights, atol=1e-4)
        assert selected_indices(selected) == np.flatnonzero(weights).tolist() == [0, 1]

    def test_regression_coefficients_equal_lasso_for_any_unit_of_the_target(self) -> None:
        reference = np.abs(Lasso(0.02).fit(X, (VALUES - VALUES.mean()) / VALUES.std()).coef_)
        for y in (VALUES, VALUES * 1e6 + 40):
            np.testing.assert_allclose(scores(fitted(L1Selection(method="l1", alpha=0.02), y=y)), reference, atol=1e-6)

    def test_classification_coefficients_equal_logistic_regression_with_unpenalized_intercept(self) -> None:
        cancer = load_breast_cancer()
        x = ((cancer.data - cancer.data.min(0)) / np.ptp(cancer.data, axis=0))[:, :26]
        free = LogisticRegression(l1_ratio=1, C=1 / (0.01 * len(x)), solver="saga", tol=1e-7, max_iter=20_000)
        reference = np.abs(free.fit(x, cancer.target).coef_[0])
        selected = fitted(L1Selection(method="l1", alpha=0.01), x, cancer.target)
        np.testing.assert_allclose(scores(selected), reference, atol=0.01)
        assert selected_indices(selected) == np.flatnonzero(reference).tolist()

    def test_all_coefficients_are_0_above_the_largest_gradient(self) -> None:
        # two classes of equal size: all coefficients are 0 from alpha = max |mean((y - 1/2) x)|
        x, y = np.random.default_rng(0).normal(size=(80, 5)), np.arange(80) % 2
        x[:, 3] += y
        last = np.abs(((y - 0.5)[:, None] * (x - x.mean(axis=0))).mean(axis=0)).max()
        assert selected_indices(fitted(L1Selection(method="l1", alpha=last * 0.99), x, y)) == [3]
        with pytest.raises(DataError, match=r"select\.alpha must leave a nonzero coefficient, but at .* lower it\Z"):
            fitted(L1Selection(method="l1", alpha=last * 1.01), x, y)

    def test_max_features_selects_the_largest_coefficients(self) -> None:
        unlimited = fitted(L1Selection(method="l1", alpha=0.005))
        selected = fitted(L1Selection(method="l1", alpha=0.005, max_features=2))
        assert len(selected_indices(unlimited)) > 2
        assert selected_indices(selected) == sorted(np.argsort(-scores(unlimited))[:2].tolist())
        assert selected.table.selected.tolist() == [True, True] + [False] * 11

    def test_selects_fewer_than_max_features_if_fewer_coefficients_are_nonzero(self) -> None:
        few = selected_indices(fitted(L1Selection(method="l1", alpha=0.05)))
        assert selected_indices(fitted(L1Selection(method="l1", alpha=0.05, max_features=13))) == few


class TestRfe:
    @pytest.mark.parametrize(("y", "model"), [(Y, RidgeClassifier()), (VALUES, Ridge())], ids=["classes", "values"])
    def test_selects_the_same_features_as_rfe(self, y: Array, model: object) -> None:
        reference = RFE(model, n_features_to_select=4, step=0.1).fit(X, y)
        selected = fitted(RFESelection(method="rfe", n_features_to_select=4), y=y)
        assert selected_indices(selected) == np.flatnonzero(reference.support_).tolist()
        ranks = selected.table.feature.map(dict(zip("abcdefghijklm", reference.ranking_, strict=True)))
        assert ranks.is_monotonic_increasing

    def test_scores_are_the_coefficients_of_a_model_of_the_selected_features(self) -> None:
        selected = fitted(RFESelection(method="rfe", n_features_to_select=4), y=VALUES)
        weights = np.abs(Ridge().fit(X[:, selected_indices(selected)], VALUES).coef_)
        np.testing.assert_allclose(scores(selected)[selected_indices(selected)], weights)
        assert selected.table.score.isna().tolist() == [False] * 4 + [True] * 9


@pytest.mark.parametrize(
    ("params", "key"),
    [
        (L1Selection(method="l1", alpha=1, max_features=14), "max_features"),
        (RFESelection(method="rfe", n_features_to_select=14), "n_features_to_select"),
    ],
)
def test_selecting_more_features_than_there_are_raises(params: SelectionConfig, key: str) -> None:
    message = rf"select\.{key} must be at most the number of features, 13, but is 14; lower it"
    with pytest.raises(DataError, match=message):
        fitted(params)


def test_mutual_information_needs_4_rows() -> None:
    params = KBestSelection(method="k_best", score_func="mutual_info", k=1)
    with pytest.raises(
        DataError, match=r"3 nearest neighbors and needs at least 4 training rows, but there are 3; set `score_func: f"
    ):
        fitted(params, X[:3], VALUES[:3])


def test_a_feature_equal_to_the_target_has_an_infinite_score() -> None:
    # 1 - r^2 in float32 is rounded below 0 here, and F = -inf would rank last
    x = np.random.default_rng(0).normal(size=(100, 18)).astype(np.float32)
    selected = fitted(KBestSelection(method="k_best", score_func="f", k=1), x, x[:, 0].astype(float))
    assert selected_indices(selected) == [0]
    assert selected.table.iloc[0].tolist() == ["a", np.inf, 0.0, True, 1.0]


@pytest.mark.parametrize("y", [Y, VALUES], ids=["classes", "values"])
def test_constant_features_have_no_f_statistic(y: Array) -> None:
    x = np.concatenate([np.full((len(X), 5), [0.1, 0.3, 0.7, 123.456, 1e-3]), X[:, :2]], axis=1)
    for dtype in (np.float32, np.float64):
        selected = fitted(KBestSelection(method="k_best", score_func="f", k=2), x.astype(dtype), y)
        assert np.isnan(scores(selected)[:5]).all()
        assert selected_indices(selected) == [5, 6]


def test_among_equal_scores_selected_features_come_first() -> None:
    table = fitted(KBestSelection(method="k_best", score_func="f", k=1), np.repeat(X[:, :1], 3, axis=1)).table
    assert table.selected.tolist() == [True, False, False]


class TestStability:
    @pytest.fixture
    def one_informative(self) -> tuple[Array, Array]:
        """Return eight features: the third depends on the class, the others are noise."""
        random = np.random.default_rng(0)
        y = np.arange(120) % 2
        x = random.random((120, 8))
        x[:, 2] += 2 * y
        return x * 0.7, y  # noise has a variance of 0.7^2 / 12 = 0.041

    @every_method
    def test_an_informative_feature_is_always_selected_and_noise_less_often(
        self, params: SelectionConfig, one_informative: tuple[Array, Array]
    ) -> None:
        table = fitted(params, *one_informative).table.set_index("feature")
        assert table.stability["c"] == 1
        assert table.stability.drop("c").min() < 1
        assert table.stability.between(0, 1).all()

    def test_stability_is_the_selection_frequency_in_half_samples(self, one_informative: tuple[Array, Array]) -> None:
        x, y = one_informative
        share = (
            fitted(KBestSelection(method="k_best", score_func="f", k=3, stability_resamples=10), x, y, seed=5)
            .table.sort_index()
            .stability
        )
        random = np.random.default_rng(5)
        counts = np.zeros(8)
        for _ in range(10):
            rows = np.concatenate([random.permutation(np.flatnonzero(y == c))[:30] for c in (0, 1)])
            between = (x[rows][y[rows] == 1].mean(0) - x[rows][y[rows] == 0].mean(0)) ** 2
            within = sum(x[rows][y[rows] == c].var(0) for c in (0, 1))
            counts[np.argsort(-between / within)[:3]] += 1  # F of two classes of equal size grows with this
        np.testing.assert_allclose(share, counts / 10)

    def test_only_cheap_methods_are_resampled_by_default(self) -> None:
        cheap = fitted(VarianceSelection(method="variance", threshold=0.04))
        assert set(cheap.table.stability * 20 % 1) == {0}
        assert all(fitted(params).table.stability.isna().all() for params in EXPENSIVE)

    def test_a_hint_names_the_option_if_resampling_is_skipped_by_default(self) -> None:
        hint = "; set select.stability_resamples to estimate the stability of the selection"
        selections = {params: fitted(params) for params in METHODS + EXPENSIVE + [NoSelection(method="none")]}
        assert [params for params, selected in selections.items() if selected.hint == hint] == EXPENSIVE
        assert {selected.hint for selected in selections.values()} == {"", hint}
        assert not any("stability_resamples" in selected.summary for selected in selections.values())
        assert fitted(RFESelection(method="rfe", n_features_to_select=3, stability_resamples=0)).hint == ""

    def test_0_resamples_give_no_stability(self) -> None:
        assert (
            fitted(KBestSelection(method="k_best", score_func="f", k=3, stability_resamples=0))
            .table.stability.isna()
            .all()
        )
        assert fitted(PCASelection(method="pca", n_components=2)).table.stability.isna().all()

    def test_resampling_does_not_change_the_selection(self) -> None:
        for stability in (0, 7):
            assert selected_indices(
                fitted(KBestSelection(method="k_best", score_func="f", k=3, stability_resamples=stability))
            ) == [6, 11, 12]

    def test_a_resample_may_select_nothing(self) -> None:
        x = np.zeros((40, 2))
        x[0] = 1  # in half of the resamples no row differs
        table = fitted(VarianceSelection(method="variance", threshold=0), x, np.arange(40.0)).table
        assert table.stability.between(0.05, 0.95).all()


@every_method
def test_the_same_seed_gives_the_same_selection(params: SelectionConfig) -> None:
    first, second = fitted(params, seed=3), fitted(params, seed=3)
    assert first.table.equals(second.table)
    assert selected_indices(first) == selected_indices(second)


@every_method
@pytest.mark.parametrize("splits", [("train",), ("validation", "test")], ids=["train", "held out"])
def test_only_training_rows_change_the_selection(
    params: SelectionConfig, splits: tuple[str, ...], tmp_path: Path
) -> None:
    frame = pd.DataFrame(X, columns=list("abcdefghijklm")).assign(y=Y.astype(str))
    frame["split"] = np.array(["train", "train", "validation", "test"])[np.arange(len(X)) % 4]
    block = table_block(
        tmp_path / "wine.csv", split=PredefinedSplit(by="predefined", column="split"), normalize="minmax"
    )

    def table() -> pd.DataFrame:
        frame.to_csv(tmp_path / "wine.csv", index=False)
        dataset, _ = prepare(block, 0)
        x = fit_scaling(dataset.train.x, dataset.schema, block)(dataset.train.x)
        return fit_selection(x, dataset.train.y, dataset.schema, params, 0).table

    before = table()
    rows = frame.split.isin(splits)
    frame.loc[rows, "a":"m"] = frame.loc[rows, "a":"m"].to_numpy()[::-1] ** 2
    assert table().equals(before) == ("train" not in splits)


class TestSubsampling:
    def test_an_expensive_method_is_fitted_on_a_subsample(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feature_scores, "MAX_CELLS", 13 * 60)
        expensive = fitted(RFESelection(method="rfe", n_features_to_select=3))
        assert expensive.summary == "3 of 13 features selected, scored on 58 of 178 rows"  # stratified: 19 + 23 + 16
        assert fitted(KBestSelection(method="k_best", score_func="f", k=3)).summary == "3 of 13 features selected"

    @pytest.mark.parametrize("resamples", [1, 4])
    def test_the_size_of_a_resample_is_limited(self, resamples: int, monkeypatch: pytest.MonkeyPatch) -> None:
        sizes = []
        score = feature_scores.score_features
        monkeypatch.setattr(feature_scores, "score_features", lambda x, *rest: sizes.append(len(x)) or score(x, *rest))
        y = np.arange(10_000) % 2
        params = KBestSelection(method="k_best", score_func="f", k=1, stability_resamples=resamples)
        feature_scores.estimate_stability(np.random.default_rng(0).normal(size=(10_000, 2)), y, params, True, 0)
        assert sizes == [2_000] * resamples

    def test_sampling_is_stratified_with_at_least_four_rows_per_class(self) -> None:
        y = np.array([0] * 100 + [1] * 50 + [2] * 5 + [3])
        rows = sample_rows(y, 0.5, True, np.random.default_rng(0))
        assert np.bincount(y[rows]).tolist() == [50, 25, 4, 1]
        assert rows.tolist() == sorted(set(rows.tolist()))
