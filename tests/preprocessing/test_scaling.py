import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from fivefold.config.datasets import ColumnOptions, Images, MissingValues, Sequences, Table
from fivefold.config.splits import RandomSplit
from fivefold.data.dataset import Array
from fivefold.data.schema import Column, Schema
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.preprocessing.scaling import fit_scaling

from ..conftest import images_block, schema_of, table_block

SKLEARN = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    "robust": RobustScaler,
    "l2": Normalizer,
    "none": FunctionTransformer,
}


def fitted(x: Array, params: Table | Images) -> Pipeline:
    return fit_scaling(x, schema_of(x.shape[1:]), params)


def rows(n: int, seed: int) -> Array:
    """Return rows of four columns on different scales, with 10% missing values."""
    random = np.random.default_rng(seed)
    x = random.normal([0, 100, -3, 5], [1, 40, 1e-3, 1e4], (n, 4))
    return np.where(random.random(x.shape) < 0.1, np.nan, x)


class TestTables:
    @pytest.mark.parametrize("normalize", SKLEARN)
    def test_new_rows_are_scaled_as_in_scikit_learn(self, normalize: str) -> None:
        train, other = rows(200, 0), rows(50, 1)
        pipeline = fitted(train, table_block(normalize=normalize))
        reference = make_pipeline(SimpleImputer(strategy="median"), SKLEARN[normalize]()).fit(train)
        scaled = pipeline(other)
        assert scaled.dtype == np.float32
        np.testing.assert_allclose(scaled, reference.transform(other), rtol=1e-6, atol=1e-6)

    def test_l2_scales_rows_to_unit_norm(self) -> None:
        x = rows(50, 0)
        scaled = fitted(x, table_block(normalize="l2"))(x)
        np.testing.assert_allclose(np.sqrt((scaled.astype(float) ** 2).sum(axis=1)), 1, rtol=1e-6)

    def test_l2_does_not_change_a_row_of_zeros(self) -> None:
        scaled = fitted(rows(50, 0), table_block(normalize="l2"))(np.zeros((1, 4)))
        assert scaled.tolist() == [[0, 0, 0, 0]]

    def test_missing_values_become_the_median_of_the_training_rows(self) -> None:
        train = np.array([[1.0, 5], [2, np.nan], [100, 6], [np.nan, 9]])
        pipeline = fitted(train, table_block(normalize="none"))
        # by hand: the medians of 1, 2, 100 and of 5, 6, 9
        assert pipeline(np.full((1, 2), np.nan)).tolist() == [[2, 6]]

    def test_columns_without_missing_training_values_are_imputed_too(self) -> None:
        train = np.array([[1.0], [2], [3], [10]])
        pipeline = fitted(train, table_block(normalize="minmax"))
        # by hand: the median is 2.5, and (2.5 - 1) / (10 - 1) = 1/6
        np.testing.assert_allclose(pipeline(np.array([[np.nan]])), [[1 / 6]], rtol=1e-6)

    @pytest.mark.parametrize("normalize", SKLEARN)
    def test_a_column_without_values_becomes_zero(self, normalize: str) -> None:
        train = rows(50, 0)
        train[:, 2] = np.nan
        scaled = fitted(train, table_block(normalize=normalize))(train)
        assert scaled.shape == (50, 4)
        assert (scaled[:, 2] == 0).all()
        assert np.isfinite(scaled).all()

    @pytest.mark.parametrize("normalize", SKLEARN)
    def test_constant_columns_are_scaled_to_finite_values(self, normalize: str) -> None:
        train, other = np.c_[rows(50, 0), np.full(50, 7.0)], np.c_[rows(9, 1), np.arange(9.0)]
        pipeline = fitted(train, table_block(normalize=normalize))
        assert np.isfinite(pipeline(train)).all()
        assert np.isfinite(pipeline(other)).all()

    @pytest.mark.parametrize("normalize", ["standard", "minmax", "robust"])
    def test_differences_at_a_large_offset_are_preserved(self, normalize: str) -> None:
        # float32 values near 1e9 are 64 apart, so all these rows would be equal
        small = np.random.default_rng(0).normal(size=(100, 2))
        near_zero = fitted(small, table_block(normalize=normalize))(small)
        far = fitted(small + 1e9, table_block(normalize=normalize))(small + 1e9)
        np.testing.assert_allclose(far, near_zero, atol=1e-5)


NAN = np.nan
MIXED = Schema(
    kind="table",
    task="regression",
    target="y",
    features=("size", "color", "rank", "flag", "when.days"),
    shape=(5,),
    classes=(),
    values=("y",),
    columns=(
        Column(name="size", type="numeric"),
        Column(name="color", type="categorical", categories=("blue", "red")),
        Column(name="rank", type="ordinal", categories=("low", "high")),
        Column(name="flag", type="boolean"),
        Column(name="when", type="date", date_parts=("days",)),
    ),
)
BLUE, RED, OTHER = 0, 1, 2
MIXED_ROWS = np.array(
    [
        # size, color, rank, flag, when
        [1, BLUE, 0, 1, 10],
        [2, RED, 1, 1, 20],
        [NAN, RED, NAN, NAN, 30],
        [2, NAN, 1, 0, NAN],
        [10, BLUE, 1, 1, 40],
    ]
)


def mixed(**changes: object) -> dict[str, list[float]]:
    """Return the features of MIXED_ROWS by name."""
    pipeline = fit_scaling(MIXED_ROWS, MIXED, table_block(task="regression", **{"normalize": "none", **changes}))
    return dict(zip(pipeline.feature_names, pipeline(MIXED_ROWS).T.tolist(), strict=True))


class TestCleaning:
    """Expected values are computed by hand, for a column of each type."""

    @pytest.mark.parametrize(
        ("missing", "size", "rank"),
        [
            (MissingValues(), 2, 1),  # the medians of 1, 2, 2, 10 and of 0, 1, 1, 1
            (MissingValues(numeric="mean"), 3.75, 0.75),
            (MissingValues(numeric="most_frequent"), 2, 1),
            (MissingValues(numeric="constant", fill_value=-7.5), -7.5, 1),  # for measurements, not for ranks
            (MissingValues(numeric="drop"), 2, 1),  # rows cannot be dropped at prediction time
        ],
    )
    def test_imputed_values(self, missing: MissingValues, size: float, rank: float) -> None:
        features = mixed(missing=missing)
        assert features["size"] == [1, 2, size, 2, 10]
        assert features["rank"] == [0, 1, rank, 1, 1]
        assert features["flag"] == [1, 1, 1, 0, 1]  # the most frequent value in all cases

    def test_missing_categories_are_a_category(self) -> None:
        features = mixed()
        assert {name: features[name] for name in features if "=" in name} == {
            "color=blue": [1, 0, 0, 0, 1],
            "color=red": [0, 1, 1, 0, 0],
            "color=missing": [0, 0, 0, 1, 0],
        }

    def test_missing_categories_can_become_the_most_frequent_one(self) -> None:
        features = mixed(missing=MissingValues(categorical="most_frequent"))
        assert {name for name in features if "=" in name} == {"color=blue", "color=red"}
        assert features["color=blue"] == [1, 0, 0, 1, 1]

    def test_one_hot_features_come_last(self) -> None:
        names = ["size", "rank", "flag", "when.days", "color=blue", "color=red", "color=missing"]
        assert list(mixed()) == names

    def test_indicators_mark_missing_values(self) -> None:
        features = mixed(missing=MissingValues(add_indicator=True), normalize="standard")
        assert {name: features[name] for name in features if name.endswith(" missing")} == {
            "size missing": [0, 0, 1, 0, 0],
            "rank missing": [0, 0, 1, 0, 0],
            "flag missing": [0, 0, 1, 0, 0],
            "when.days missing": [0, 0, 0, 1, 0],
        }

    def test_imputed_categories_have_an_indicator(self) -> None:
        features = mixed(missing=MissingValues(add_indicator=True, categorical="most_frequent"))
        assert features["color missing"] == [0, 0, 0, 1, 0]

    def test_columns_without_missing_values_have_no_indicator(self) -> None:
        x = MIXED_ROWS[:2]
        pipeline = fit_scaling(x, MIXED, table_block(missing=MissingValues(add_indicator=True)))
        assert [step.kind for step in pipeline.steps] == ["impute", "affine", "one_hot"]

    def test_outliers_are_clipped_before_scaling(self) -> None:
        # the quartiles of 1, 2, 2, 2, 10 are 2 and 2: no IQR, no clipping; those of 10 to 40 are 20 and 30
        features = mixed(clip=0.5)
        assert features["size"] == [1, 2, 2, 2, 10]
        assert features["when.days"] == [15, 20, 30, 25, 35]
        assert mixed(clip=0.5, normalize="minmax")["when.days"] == [0, 0.25, 0.75, 0.5, 1]

    def test_booleans_and_categories_are_not_clipped(self) -> None:
        x = np.tile(MIXED_ROWS[:1], (20, 1))
        x[:, 0], x[0, 1], x[0, 3] = np.arange(20), RED, 0
        pipeline = fit_scaling(x, MIXED, table_block(clip=0.1, normalize="none"))
        features = dict(zip(pipeline.feature_names, pipeline(x).T, strict=True))
        assert features["flag"].min() == 0
        assert features["color=red"].sum() == 1
        assert features["size"].min() > 0

    def test_a_category_without_training_rows_is_not_a_feature(self) -> None:
        pipeline = fit_scaling(MIXED_ROWS, MIXED, table_block(normalize="none"))
        row = MIXED_ROWS[:1].copy()
        row[0, 1] = OTHER
        features = dict(zip(pipeline.feature_names, pipeline(row)[0].tolist(), strict=True))
        assert [features[f"color={name}"] for name in ("blue", "red", "missing")] == [0, 0, 0]

    def test_rare_categories_are_one_feature(self) -> None:
        x = MIXED_ROWS.copy()
        x[0, 1] = OTHER
        pipeline = fit_scaling(x, MIXED, table_block(normalize="none"))
        features = dict(zip(pipeline.feature_names, pipeline(x).T.tolist(), strict=True))
        assert features["color=other"] == [1, 0, 0, 0, 0]

    @pytest.mark.parametrize("normalize", [*SKLEARN])
    def test_booleans_and_categories_are_not_scaled(self, normalize: str) -> None:
        features = mixed(normalize=normalize)
        flags = {name: values for name, values in features.items() if name == "flag" or "=" in name}
        for values in flags.values():
            assert (set(values) == {0, 1}) is (normalize != "l2")

    def test_columns_can_override_the_scaling(self) -> None:
        overrides = {
            "size": ColumnOptions(normalize="robust"),
            "when": ColumnOptions(normalize="minmax"),
            "rank": ColumnOptions(normalize="none"),
            "color": ColumnOptions(normalize="standard"),  # ignored for categories
        }
        features, default = mixed(normalize="standard", columns=overrides), mixed(normalize="standard")
        assert features["when.days"] == mixed(normalize="minmax")["when.days"] != default["when.days"]
        assert features["size"] == mixed(normalize="robust")["size"] != default["size"]
        assert features["rank"] == [0, 1, 1, 1, 1]
        assert features["color=red"] == [0, 1, 1, 0, 0]
        assert features["flag"] == default["flag"]


class TestSequences:
    PARAMS = Sequences(
        kind="sequences",
        source="a.npz",
        task="regression",
        split=RandomSplit(by="random", validation=0.2, test=0.2),
        normalize="standard",
    )

    def test_padding_is_not_scaled_and_becomes_0(self) -> None:
        x = np.array([[[1.0, 10], [3, 30]], [[5, 20], [NAN, NAN]]])
        schema = Schema(
            kind="sequences",
            task="regression",
            target="y",
            features=("a", "b"),
            shape=(2, 2),
            classes=(),
            values=("y",),
        )
        pipeline = fit_scaling(x, schema, self.PARAMS)
        # by hand: 1, 3, 5 have mean 3 and standard deviation sqrt(8 / 3); 10, 30, 20 five times that deviation
        one = np.sqrt(1.5)
        expected = [[[-one, -one, 1], [0, one, 1]], [[one, 0, 1], [0, 0, 0]]]
        np.testing.assert_allclose(pipeline(x), expected, atol=1e-6)
        assert pipeline.feature_names == ("a", "b", "is_step")


def images(n: int, seed: int) -> Array:
    """Return images of three channels of different brightness; the last one is nearly constant."""
    random = np.random.default_rng(seed)
    ranges = [(0, 256), (100, 120), (40, 42)]
    return np.stack([random.integers(low, high, (n, 5, 4), dtype=np.uint8) for low, high in ranges], axis=1)


class TestImages:
    def test_standard_scales_channels_to_mean_0_and_std_1(self) -> None:
        x = images(30, 0)
        scaled = fitted(x, images_block(normalize="standard"))(x).astype(float)
        np.testing.assert_allclose(scaled.mean(axis=(0, 2, 3)), 0, atol=1e-5)
        np.testing.assert_allclose(scaled.std(axis=(0, 2, 3)), 1, rtol=1e-5)

    def test_minmax_scales_channels_to_0_and_1(self) -> None:
        x = images(30, 0)
        scaled = fitted(x, images_block(normalize="minmax"))(x)
        assert scaled.min(axis=(0, 2, 3)).tolist() == [0, 0, 0]
        np.testing.assert_allclose(scaled.max(axis=(0, 2, 3)), 1, rtol=1e-6)

    @pytest.mark.parametrize(("normalize", "scaler"), [("standard", StandardScaler), ("minmax", MinMaxScaler)])
    def test_new_images_are_scaled_as_in_scikit_learn(self, normalize: str, scaler: type) -> None:
        train, other = images(30, 0), images(10, 1)
        scaled = fitted(train, images_block(normalize=normalize))(other)
        flat = scaler().fit(channels_last(train)).transform(channels_last(other))
        assert scaled.dtype == np.float32
        np.testing.assert_allclose(channels_last(scaled), flat, atol=1e-5)

    def test_none_does_not_scale(self) -> None:
        x = images(30, 0)
        np.testing.assert_array_equal(fitted(x, images_block(normalize="none"))(x), x)

    @pytest.mark.parametrize("normalize", ["standard", "minmax"])
    def test_constant_channels_are_scaled_to_finite_values(self, normalize: str) -> None:
        train, other = images(30, 0), images(10, 1)
        train[:, 1] = 9
        pipeline = fitted(train, images_block(normalize=normalize))
        assert (pipeline(train)[:, 1] == 0).all()
        assert np.isfinite(pipeline(other)).all()


def channels_last(x: Array) -> Array:
    """(n, c, h, w) -> (n * h * w, c)."""
    return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1]).astype(float)
