"""What each method keeps, against scikit-learn by itself or a closed form, and how surely."""

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
COSTLY: list[SelectionConfig] = [
    KBestSelection(method="k_best", score_func="mutual_info", k=3),
    PercentileSelection(method="percentile", score_func="mutual_info", percentile=30),
    L1Selection(method="l1", alpha=0.02),
    RFESelection(method="rfe", n_features_to_select=3),
]
every_method = pytest.mark.parametrize("params", METHODS, ids=lambda params: getattr(params, "score", params.method))


def fitted(params: SelectionConfig, x: Array = X, y: Array = Y, seed: int = 0) -> FittedSelection:
    """The selection of a table of at most 26 columns; whole numbers as targets are classes."""
    n_classes = len(np.unique(y)) if y.dtype.kind == "i" else 0
    return fit_selection(x, y, schema_of(x.shape[1:], n_classes), params, seed)


def kept(selected: FittedSelection) -> list[int]:
    return selected.steps[0].arrays["index"].tolist()


def scores(selected: FittedSelection) -> Array:
    """In the order of the features."""
    return np.asarray(selected.table.sort_index().score)


class TestPercentile:
    @pytest.mark.parametrize("percentile", [8, 50, 100])
    def test_it_keeps_what_select_percentile_keeps(self, percentile: float) -> None:
        for score, function, y in (("chi2", chi2, Y), ("f", f_regression, VALUES)):
            reference = SelectPercentile(function, percentile=percentile).fit(X, y)
            params = PercentileSelection(
                method="percentile", score_func=score, percentile=percentile, stability_resamples=0
            )
            assert kept(fitted(params, y=y)) == np.flatnonzero(reference.get_support()).tolist()

    def test_chi2_refuses_negative_features_here_too(self) -> None:
        with pytest.raises(DataError, match=r"never negative, but 'a' reaches -0\.5 after normalization; set `normal"):
            fitted(PercentileSelection(method="percentile", score_func="chi2", percentile=50), X - 0.5)

    def test_a_share_too_small_for_one_of_equal_features_is_refused(self) -> None:
        twice = np.repeat(X[:, :1], 2, axis=1)
        message = r"percent must keep at least one of 2 features, the best of which score alike, but is 10; raise it"
        with pytest.raises(DataError, match=message):
            fitted(PercentileSelection(method="percentile", score_func="f", percentile=10), twice)


class TestVariance:
    def test_it_keeps_what_varies_more_than_the_threshold(self) -> None:
        selected = fitted(VarianceSelection(method="variance", threshold=0.04))
        variances = ((X - X.mean(axis=0)) ** 2).mean(axis=0)
        assert kept(selected) == [i for i, v in enumerate(variances) if v > 0.04]
        assert 0 < len(kept(selected)) < 13
        np.testing.assert_allclose(scores(selected), variances)
        assert selected.table.p_value.isna().all()

    def test_zero_leaves_out_constant_features_only(self) -> None:
        x = np.concatenate([X, np.full((len(X), 1), 0.1)], axis=1)
        assert kept(fitted(VarianceSelection(method="variance", threshold=0), x)) == list(range(13))

    def test_a_variance_at_the_threshold_is_not_above_it_however_it_is_rounded(self) -> None:
        random = np.random.default_rng(0)
        raw = random.normal(size=(333, 20)) * 10.0 ** np.arange(20)
        x = np.float32((raw - raw.mean(axis=0)) / raw.std(axis=0))
        x[:, 0] *= 1.001
        assert 0 < (x.var(axis=0, dtype=np.float64) > 1)[1:].sum() < 19
        assert kept(fitted(VarianceSelection(method="variance", threshold=1), x, np.arange(333) % 2)) == [0]

    def test_a_threshold_that_keeps_nothing_names_the_largest_variance(self) -> None:
        largest = f"{X.var(axis=0).max():.3g}"
        message = rf"less than the largest variance of a normalized feature, {largest}, but is 0\.5; lower it"
        with pytest.raises(DataError, match=message):
            fitted(VarianceSelection(method="variance", threshold=0.5))

    def test_features_that_never_vary_are_refused(self) -> None:
        with pytest.raises(DataError, match=r"threshold 0 keeps features that vary, but none does; choose other feat"):
            fitted(VarianceSelection(method="variance", threshold=0), np.ones((10, 3)), np.arange(10) % 2)


class TestL1:
    def test_weights_of_orthogonal_features_are_soft_thresholded(self) -> None:
        # Tibshirani 1996, section 2.2: with x'x = n the Lasso moves each least-squares weight towards 0 by alpha
        x, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 4)) - [0.1, 0.2, 0, 0])
        x = np.linalg.qr(x - x.mean(axis=0))[0] * np.sqrt(50)
        y = x @ [3.0, -1.0, 0.2, 0.0] + np.random.default_rng(1).normal(size=50) * 0.1
        target = (y - y.mean()) / y.std()
        weights = np.maximum(np.abs(x.T @ target / 50) - 0.2, 0)
        selected = fitted(L1Selection(method="l1", alpha=0.2), x, y)
        np.testing.assert_allclose(scores(selected), weights, atol=1e-4)
        assert kept(selected) == np.flatnonzero(weights).tolist() == [0, 1]

    def test_values_are_weighted_as_lasso_weights_them_whatever_their_unit(self) -> None:
        reference = np.abs(Lasso(0.02).fit(X, (VALUES - VALUES.mean()) / VALUES.std()).coef_)
        for y in (VALUES, VALUES * 1e6 + 40):
            np.testing.assert_allclose(scores(fitted(L1Selection(method="l1", alpha=0.02), y=y)), reference, atol=1e-6)

    def test_classes_are_weighted_as_a_regression_with_a_free_intercept_weights_them(self) -> None:
        cancer = load_breast_cancer()
        x = ((cancer.data - cancer.data.min(0)) / np.ptp(cancer.data, axis=0))[:, :26]
        free = LogisticRegression(l1_ratio=1, C=1 / (0.01 * len(x)), solver="saga", tol=1e-7, max_iter=20_000)
        reference = np.abs(free.fit(x, cancer.target).coef_[0])
        selected = fitted(L1Selection(method="l1", alpha=0.01), x, cancer.target)
        np.testing.assert_allclose(scores(selected), reference, atol=0.01)
        assert kept(selected) == np.flatnonzero(reference).tolist()

    def test_the_strength_at_which_the_last_weight_falls_is_the_steepest_slope(self) -> None:
        # two classes of equal size: all weights are 0 as soon as the strength is max |mean((y - 1/2) x)|
        x, y = np.random.default_rng(0).normal(size=(80, 5)), np.arange(80) % 2
        x[:, 3] += y
        last = np.abs(((y - 0.5)[:, None] * (x - x.mean(axis=0))).mean(axis=0)).max()
        assert kept(fitted(L1Selection(method="l1", alpha=last * 0.99), x, y)) == [3]
        with pytest.raises(DataError, match=r"select\.strength must leave a feature its weight, but at .* lower it\Z"):
            fitted(L1Selection(method="l1", alpha=last * 1.01), x, y)

    def test_of_those_with_a_weight_the_largest_are_kept(self) -> None:
        everything = fitted(L1Selection(method="l1", alpha=0.005))
        selected = fitted(L1Selection(method="l1", alpha=0.005, max_features=2))
        assert len(kept(everything)) > 2
        assert kept(selected) == sorted(np.argsort(-scores(everything))[:2].tolist())
        assert selected.table.kept.tolist() == [True, True] + [False] * 11

    def test_it_keeps_fewer_than_asked_if_fewer_have_a_weight(self) -> None:
        few = kept(fitted(L1Selection(method="l1", alpha=0.05)))
        assert kept(fitted(L1Selection(method="l1", alpha=0.05, max_features=13))) == few


class TestRfe:
    @pytest.mark.parametrize(("y", "model"), [(Y, RidgeClassifier()), (VALUES, Ridge())], ids=["classes", "values"])
    def test_it_keeps_what_rfe_keeps(self, y: Array, model: object) -> None:
        reference = RFE(model, n_features_to_select=4, step=0.1).fit(X, y)
        selected = fitted(RFESelection(method="rfe", n_features_to_select=4), y=y)
        assert kept(selected) == np.flatnonzero(reference.support_).tolist()
        ranks = selected.table.feature.map(dict(zip("abcdefghijklm", reference.ranking_, strict=True)))
        assert ranks.is_monotonic_increasing

    def test_scores_are_the_weights_of_a_model_on_what_is_left(self) -> None:
        selected = fitted(RFESelection(method="rfe", n_features_to_select=4), y=VALUES)
        weights = np.abs(Ridge().fit(X[:, kept(selected)], VALUES).coef_)
        np.testing.assert_allclose(scores(selected)[kept(selected)], weights)
        assert selected.table.score.isna().tolist() == [False] * 4 + [True] * 9


@pytest.mark.parametrize(
    "params", [L1Selection(method="l1", alpha=1, max_features=14), RFESelection(method="rfe", n_features_to_select=14)]
)
def test_more_features_than_there_are_cannot_be_kept(params: SelectionConfig) -> None:
    with pytest.raises(DataError, match=r"select\.k must be at most the number of features, 13, but is 14; lower it"):
        fitted(params)


def test_mutual_information_needs_neighbours() -> None:
    params = KBestSelection(method="k_best", score_func="mutual_info", k=1)
    with pytest.raises(
        DataError, match=r"looks at 3 neighbours of a row, but there are 3 training rows; set `score: f"
    ):
        fitted(params, X[:3], VALUES[:3])


def test_a_feature_that_tells_the_value_exactly_scores_best() -> None:
    # 1 - r^2 of float32 is rounded below 0 here, and an F of minus infinity would be worst
    x = np.random.default_rng(0).normal(size=(100, 18)).astype(np.float32)
    selected = fitted(KBestSelection(method="k_best", score_func="f", k=1), x, x[:, 0].astype(float))
    assert kept(selected) == [0]
    assert selected.table.iloc[0].tolist() == ["a", np.inf, 0.0, True, 1.0]


@pytest.mark.parametrize("y", [Y, VALUES], ids=["classes", "values"])
def test_a_feature_that_never_changes_has_no_f(y: Array) -> None:
    x = np.concatenate([np.full((len(X), 5), [0.1, 0.3, 0.7, 123.456, 1e-3]), X[:, :2]], axis=1)
    for dtype in (np.float32, np.float64):
        selected = fitted(KBestSelection(method="k_best", score_func="f", k=2), x.astype(dtype), y)
        assert np.isnan(scores(selected)[:5]).all()
        assert kept(selected) == [5, 6]


def test_of_equal_features_the_kept_one_stands_first() -> None:
    table = fitted(KBestSelection(method="k_best", score_func="f", k=1), np.repeat(X[:, :1], 3, axis=1)).table
    assert table.kept.tolist() == [True, False, False]


class TestStability:
    @pytest.fixture
    def one_strong(self) -> tuple[Array, Array]:
        """Of eight features the third tells the class, the others are noise."""
        random = np.random.default_rng(0)
        y = np.arange(120) % 2
        x = random.random((120, 8))
        x[:, 2] += 2 * y
        return x * 0.7, y  # noise has a variance of 0.7^2 / 12 = 0.041

    @every_method
    def test_a_strong_feature_is_always_kept_and_noise_less(
        self, params: SelectionConfig, one_strong: tuple[Array, Array]
    ) -> None:
        table = fitted(params, *one_strong).table.set_index("feature")
        assert table.stability["c"] == 1
        assert table.stability.drop("c").min() < 1
        assert table.stability.between(0, 1).all()

    def test_it_is_the_share_of_half_samples(self, one_strong: tuple[Array, Array]) -> None:
        x, y = one_strong
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

    def test_resamples_are_many_only_where_they_are_cheap(self) -> None:
        cheap = fitted(VarianceSelection(method="variance", threshold=0.04))
        assert set(cheap.table.stability * 20 % 1) == {0}
        assert all(fitted(params).table.stability.isna().all() for params in COSTLY)

    def test_where_none_is_drawn_unasked_the_line_says_how_to_ask_and_the_title_does_not(self) -> None:
        hint = "; set select.stability_resamples to see how surely each is kept"
        given = {params: fitted(params) for params in METHODS + COSTLY + [NoSelection(method="none")]}
        assert [params for params, selected in given.items() if selected.hint == hint] == COSTLY
        assert {selected.hint for selected in given.values()} == {"", hint}
        assert not any("stability_resamples" in selected.summary for selected in given.values())
        assert fitted(RFESelection(method="rfe", n_features_to_select=3, stability_resamples=0)).hint == ""

    def test_none_is_asked_for(self) -> None:
        assert (
            fitted(KBestSelection(method="k_best", score_func="f", k=3, stability_resamples=0))
            .table.stability.isna()
            .all()
        )
        assert fitted(PCASelection(method="pca", n_components=2)).table.stability.isna().all()

    def test_asking_changes_nothing_that_is_selected(self) -> None:
        for stability in (0, 7):
            assert kept(
                fitted(KBestSelection(method="k_best", score_func="f", k=3, stability_resamples=stability))
            ) == [6, 11, 12]

    def test_a_resample_may_keep_nothing(self) -> None:
        x = np.zeros((40, 2))
        x[0] = 1  # in half of the resamples no row differs
        table = fitted(VarianceSelection(method="variance", threshold=0), x, np.arange(40.0)).table
        assert table.stability.between(0.05, 0.95).all()


@every_method
def test_the_same_seed_gives_the_same_selection(params: SelectionConfig) -> None:
    one, two = fitted(params, seed=3), fitted(params, seed=3)
    assert one.table.equals(two.table)
    assert kept(one) == kept(two)


@every_method
@pytest.mark.parametrize("parts", [("train",), ("validation", "test")], ids=["train", "held out"])
def test_only_training_rows_change_what_is_fitted(
    params: SelectionConfig, parts: tuple[str, ...], tmp_path: Path
) -> None:
    frame = pd.DataFrame(X, columns=list("abcdefghijklm")).assign(y=Y.astype(str))
    frame["split"] = np.array(["train", "train", "validation", "test"])[np.arange(len(X)) % 4]
    block = table_block(tmp_path / "wine.csv", split=PredefinedSplit(by="column"), normalize="minmax")

    def table() -> pd.DataFrame:
        frame.to_csv(tmp_path / "wine.csv", index=False)
        dataset, _ = prepare(block, 0)
        x = fit_scaling(dataset.train.x, dataset.schema, block)(dataset.train.x)
        return fit_selection(x, dataset.train.y, dataset.schema, params, 0).table

    before = table()
    rows = frame.split.isin(parts)
    frame.loc[rows, "a":"m"] = frame.loc[rows, "a":"m"].to_numpy()[::-1] ** 2
    assert table().equals(before) == ("train" not in parts)


class TestManyRows:
    def test_a_costly_method_is_fitted_on_fewer_and_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feature_scores, "MAX_CELLS", 13 * 60)
        costly = fitted(RFESelection(method="rfe", n_features_to_select=3))
        assert costly.summary == "3 of 13 features kept, judged by 58 of 178 rows"  # 19 + 23 + 16: each class its share
        assert fitted(KBestSelection(method="k_best", score_func="f", k=3)).summary == "3 of 13 features kept"

    @pytest.mark.parametrize("stability_resamples", [1, 4])
    def test_a_resample_is_never_large(self, stability: int, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []
        choose = feature_scores.score_features
        monkeypatch.setattr(feature_scores, "score_features", lambda x, *rest: seen.append(len(x)) or choose(x, *rest))
        y = np.arange(10_000) % 2
        params = KBestSelection(method="k_best", score_func="f", k=1, stability_resamples=stability)
        feature_scores.estimate_stability(np.random.default_rng(0).normal(size=(10_000, 2)), y, params, True, 0)
        assert seen == [2_000] * stability

    def test_each_class_gives_its_share_and_four_rows_at_least(self) -> None:
        y = np.array([0] * 100 + [1] * 50 + [2] * 5 + [3])
        rows = sample_rows(y, 0.5, True, np.random.default_rng(0))
        assert np.bincount(y[rows]).tolist() == [50, 25, 4, 1]
        assert rows.tolist() == sorted(set(rows.tolist()))
