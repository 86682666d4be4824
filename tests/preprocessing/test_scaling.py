import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from fivefold.config.datasets import ColumnOptions as ColumnParams
from fivefold.config.datasets import Images, MissingValues, Sequences, Table
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
    """Rows of four columns of unlike size, one cell in ten missing."""
    random = np.random.default_rng(seed)
    x = random.normal([0, 100, -3, 5], [1, 40, 1e-3, 1e4], (n, 4))
    return np.where(random.random(x.shape) < 0.1, np.nan, x)


class TestTables:
    @pytest.mark.parametrize("normalize", SKLEARN)
    def test_other_rows_are_scaled_as_scikit_learn_scales_them(self, normalize: str) -> None:
        train, other = rows(200, 0), rows(50, 1)
        chain = fitted(train, table_block(normalize=normalize))
        reference = make_pipeline(SimpleImputer(strategy="median"), SKLEARN[normalize]()).fit(train)
        scaled = chain(other)
        assert scaled.dtype == np.float32
        np.testing.assert_allclose(scaled, reference.transform(other), rtol=1e-6, atol=1e-6)

    def test_l2_gives_rows_of_length_one(self) -> None:
        x = rows(50, 0)
        scaled = fitted(x, table_block(normalize="l2"))(x)
        np.testing.assert_allclose(np.sqrt((scaled.astype(float) ** 2).sum(axis=1)), 1, rtol=1e-6)

    def test_a_row_of_zeros_has_no_direction_and_stays(self) -> None:
        scaled = fitted(rows(50, 0), table_block(normalize="l2"))(np.zeros((1, 4)))
        assert scaled.tolist() == [[0, 0, 0, 0]]

    def test_a_gap_becomes_the_median_of_the_training_rows(self) -> None:
        train = np.array([[1.0, 5], [2, np.nan], [100, 6], [np.nan, 9]])
        chain = fitted(train, table_block(normalize="none"))
        # by hand: the middle of 1, 2, 100 and of 5, 6, 9
        assert chain(np.full((1, 2), np.nan)).tolist() == [[2, 6]]

    def test_a_gap_that_training_rows_never_had_is_filled_too(self) -> None:
        train = np.array([[1.0], [2], [3], [10]])
        chain = fitted(train, table_block(normalize="minmax"))
        # by hand: the median is 2.5, and (2.5 - 1) / (10 - 1) = 1/6
        np.testing.assert_allclose(chain(np.array([[np.nan]])), [[1 / 6]], rtol=1e-6)

    @pytest.mark.parametrize("normalize", SKLEARN)
    def test_a_column_without_any_value_becomes_zero(self, normalize: str) -> None:
        train = rows(50, 0)
        train[:, 2] = np.nan
        scaled = fitted(train, table_block(normalize=normalize))(train)
        assert scaled.shape == (50, 4)
        assert (scaled[:, 2] == 0).all()
        assert np.isfinite(scaled).all()

    @pytest.mark.parametrize("normalize", SKLEARN)
    def test_a_constant_column_gives_no_infinity(self, normalize: str) -> None:
        train, other = np.c_[rows(50, 0), np.full(50, 7.0)], np.c_[rows(9, 1), np.arange(9.0)]
        chain = fitted(train, table_block(normalize=normalize))
        assert np.isfinite(chain(train)).all()
        assert np.isfinite(chain(other)).all()

    @pytest.mark.parametrize("normalize", ["standard", "minmax", "robust"])
    def test_small_differences_at_a_large_offset_survive(self, normalize: str) -> None:
        # in float32 neighbours of 1e9 lie 64 apart, and all these rows would be equal
        small = np.random.default_rng(0).normal(size=(100, 2))
        near_zero = fitted(small, table_block(normalize=normalize))(small)
        far = fitted(small + 1e9, table_block(normalize=normalize))(small + 1e9)
        np.testing.assert_allclose(far, near_zero, atol=1e-5)


NAN = np.nan
MIXED = Schema(
    kind="table",
    task="regression",
    target="y",
    features=("size", "colour", "rank", "flag", "when.days"),
    shape=(5,),
    classes=(),
    values=("y",),
    columns=(
        Column(name="size", type="numeric"),
        Column(name="colour", type="categorical", categories=("blue", "red")),
        Column(name="rank", type="ordinal", categories=("low", "high")),
        Column(name="flag", type="boolean"),
        Column(name="when", type="date", date_parts=("days",)),
    ),
)
BLUE, RED, OTHER = 0, 1, 2
MIXED_ROWS = np.array(
    [
        # size, colour, rank, flag, when
        [1, BLUE, 0, 1, 10],
        [2, RED, 1, 1, 20],
        [NAN, RED, NAN, NAN, 30],
        [2, NAN, 1, 0, NAN],
        [10, BLUE, 1, 1, 40],
    ]
)


def mixed(**changes: object) -> dict[str, list[float]]:
    """The features of MIXED_ROWS by name."""
    chain = fit_scaling(MIXED_ROWS, MIXED, table_block(task="regression", **{"normalize": "none", **changes}))
    return dict(zip(chain.feature_names, chain(MIXED_ROWS).T.tolist(), strict=True))


class TestCleaning:
    """By hand, on training rows of a column of each type."""

    @pytest.mark.parametrize(
        ("missing", "size", "rank"),
        [
            (MissingValues(), 2, 1),  # the middle of 1, 2, 2, 10 and of 0, 1, 1, 1
            (MissingValues(numeric="mean"), 3.75, 0.75),
            (MissingValues(numeric="most_frequent"), 2, 1),
            (MissingValues(numeric="constant", fill_value=-7.5), -7.5, 1),  # of a measure; a rank it is not
            (MissingValues(numeric="drop"), 2, 1),  # at prediction time a row cannot be left out
        ],
    )
    def test_what_stands_in_for_a_gap(self, missing: MissingValues, size: float, rank: float) -> None:
        found = mixed(missing=missing)
        assert found["size"] == [1, 2, size, 2, 10]
        assert found["rank"] == [0, 1, rank, 1, 1]
        assert found["flag"] == [1, 1, 1, 0, 1]  # the most frequent, in each case

    def test_a_missing_word_is_a_category_of_its_own(self) -> None:
        found = mixed()
        assert {name: found[name] for name in found if "=" in name} == {
            "colour=blue": [1, 0, 0, 0, 1],
            "colour=red": [0, 1, 1, 0, 0],
            "colour=missing": [0, 0, 0, 1, 0],
        }

    def test_a_missing_word_may_become_the_most_frequent(self) -> None:
        found = mixed(missing=MissingValues(categorical="most_frequent"))
        assert {name for name in found if "=" in name} == {"colour=blue", "colour=red"}
        assert found["colour=blue"] == [1, 0, 0, 1, 1]

    def test_words_come_behind_the_other_features(self) -> None:
        names = ["size", "rank", "flag", "when.days", "colour=blue", "colour=red", "colour=missing"]
        assert list(mixed()) == names

    def test_an_indicator_tells_where_a_gap_was(self) -> None:
        found = mixed(missing=MissingValues(add_indicator=True), normalize="standard")
        told = {name: found[name] for name in found if name.endswith(" missing")}
        assert told == {
            "size missing": [0, 0, 1, 0, 0],
            "rank missing": [0, 0, 1, 0, 0],
            "flag missing": [0, 0, 1, 0, 0],
            "when.days missing": [0, 0, 0, 1, 0],
        }

    def test_words_have_an_indicator_where_a_gap_is_no_category(self) -> None:
        found = mixed(missing=MissingValues(add_indicator=True, categorical="most_frequent"))
        assert found["colour missing"] == [0, 0, 0, 1, 0]

    def test_no_gap_no_indicator(self) -> None:
        x = MIXED_ROWS[:2]
        chain = fit_scaling(x, MIXED, table_block(missing=MissingValues(add_indicator=True)))
        assert [step.kind for step in chain.steps] == ["impute", "affine", "one_hot"]

    def test_far_values_are_clipped_before_they_are_scaled(self) -> None:
        # quartiles of 1, 2, 2, 2, 10 are 2 and 2: no range, no clipping; of 10 to 40 they are 20 and 30
        found = mixed(clip=0.5)
        assert found["size"] == [1, 2, 2, 2, 10]
        assert found["when.days"] == [15, 20, 30, 25, 35]
        assert mixed(clip=0.5, normalize="minmax")["when.days"] == [0, 0.25, 0.75, 0.5, 1]

    def test_flags_and_words_are_never_clipped(self) -> None:
        x = np.tile(MIXED_ROWS[:1], (20, 1))
        x[:, 0], x[0, 1], x[0, 3] = np.arange(20), RED, 0
        chain = fit_scaling(x, MIXED, table_block(clip=0.1, normalize="none"))
        found = dict(zip(chain.feature_names, chain(x).T, strict=True))
        assert found["flag"].min() == 0
        assert found["colour=red"].sum() == 1
        assert found["size"].min() > 0

    def test_a_category_that_training_rows_never_had_is_no_feature(self) -> None:
        chain = fit_scaling(MIXED_ROWS, MIXED, table_block(normalize="none"))
        row = MIXED_ROWS[:1].copy()
        row[0, 1] = OTHER
        found = dict(zip(chain.feature_names, chain(row)[0].tolist(), strict=True))
        assert [found[f"colour={name}"] for name in ("blue", "red", "missing")] == [0, 0, 0]

    def test_rare_ones_together_are_one(self) -> None:
        x = MIXED_ROWS.copy()
        x[0, 1] = OTHER
        chain = fit_scaling(x, MIXED, table_block(normalize="none"))
        found = dict(zip(chain.feature_names, chain(x).T.tolist(), strict=True))
        assert found["colour=other"] == [1, 0, 0, 0, 0]

    @pytest.mark.parametrize("normalize", [*SKLEARN])
    def test_flags_and_words_are_not_scaled(self, normalize: str) -> None:
        found = mixed(normalize=normalize)
        flags = {name: values for name, values in found.items() if name == "flag" or "=" in name}
        for values in flags.values():
            assert (set(values) == {0, 1}) is (normalize != "l2")

    def test_a_column_may_have_a_scale_of_its_own(self) -> None:
        own = {
            "size": ColumnParams(normalize="robust"),
            "when": ColumnParams(normalize="minmax"),
            "rank": ColumnParams(normalize="none"),
            "colour": ColumnParams(normalize="standard"),  # a word is no number
        }
        found, usual = mixed(normalize="standard", columns=own), mixed(normalize="standard")
        assert found["when.days"] == mixed(normalize="minmax")["when.days"] != usual["when.days"]
        assert found["size"] == mixed(normalize="robust")["size"] != usual["size"]
        assert found["rank"] == [0, 1, 1, 1, 1]
        assert found["colour=red"] == [0, 1, 1, 0, 0]
        assert found["flag"] == usual["flag"]


class TestSequences:
    PARAMS = Sequences(
        kind="sequences",
        source="a.npz",
        task="regression",
        split=RandomSplit(by="random", validation=0.2, test=0.2),
        normalize="standard",
    )

    def test_steps_are_scaled_without_padding_which_becomes_0(self) -> None:
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
        chain = fit_scaling(x, schema, self.PARAMS)
        # by hand: of 1, 3, 5 the mean is 3 and the deviation sqrt(8 / 3); of 10, 30, 20 ten times the half of it
        one = np.sqrt(1.5)
        expected = [[[-one, -one, 1], [0, one, 1]], [[one, 0, 1], [0, 0, 0]]]
        np.testing.assert_allclose(chain(x), expected, atol=1e-6)
        assert chain.feature_names == ("a", "b", "is_step")


def pictures(n: int, seed: int) -> Array:
    """Images of three channels, each of its own brightness; the last one nearly constant."""
    random = np.random.default_rng(seed)
    ranges = [(0, 256), (100, 120), (40, 42)]
    return np.stack([random.integers(low, high, (n, 5, 4), dtype=np.uint8) for low, high in ranges], axis=1)


class TestImages:
    def test_standard_gives_each_channel_mean_0_and_deviation_1(self) -> None:
        x = pictures(30, 0)
        scaled = fitted(x, images_block(normalize="standard"))(x).astype(float)
        np.testing.assert_allclose(scaled.mean(axis=(0, 2, 3)), 0, atol=1e-5)
        np.testing.assert_allclose(scaled.std(axis=(0, 2, 3)), 1, rtol=1e-5)

    def test_minmax_takes_each_channel_to_0_and_1(self) -> None:
        x = pictures(30, 0)
        scaled = fitted(x, images_block(normalize="minmax"))(x)
        assert scaled.min(axis=(0, 2, 3)).tolist() == [0, 0, 0]
        np.testing.assert_allclose(scaled.max(axis=(0, 2, 3)), 1, rtol=1e-6)

    @pytest.mark.parametrize(("normalize", "scaler"), [("standard", StandardScaler), ("minmax", MinMaxScaler)])
    def test_other_images_are_scaled_as_scikit_learn_scales_channels(self, normalize: str, scaler: type) -> None:
        train, other = pictures(30, 0), pictures(10, 1)
        scaled = fitted(train, images_block(normalize=normalize))(other)
        flat = scaler().fit(channels_last(train)).transform(channels_last(other))
        assert scaled.dtype == np.float32
        np.testing.assert_allclose(channels_last(scaled), flat, atol=1e-5)

    def test_none_leaves_grey_values(self) -> None:
        x = pictures(30, 0)
        np.testing.assert_array_equal(fitted(x, images_block(normalize="none"))(x), x)

    @pytest.mark.parametrize("normalize", ["standard", "minmax"])
    def test_a_constant_channel_gives_no_infinity(self, normalize: str) -> None:
        train, other = pictures(30, 0), pictures(10, 1)
        train[:, 1] = 9
        chain = fitted(train, images_block(normalize=normalize))
        assert (chain(train)[:, 1] == 0).all()
        assert np.isfinite(chain(other)).all()


def channels_last(x: Array) -> Array:
    """(n, c, h, w) -> (n * h * w, c)."""
    return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1]).astype(float)
