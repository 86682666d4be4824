import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from fivefold.data.records import Array
from fivefold.preprocessing.scaling import fit_scaling

from ..conftest import images_block, table_block

SKLEARN = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    "robust": RobustScaler,
    "l2": Normalizer,
    "none": FunctionTransformer,
}


def rows(n: int, seed: int) -> Array:
    """Rows of four columns of unlike size, one cell in ten missing."""
    random = np.random.default_rng(seed)
    x = random.normal([0, 100, -3, 5], [1, 40, 1e-3, 1e4], (n, 4))
    return np.where(random.random(x.shape) < 0.1, np.nan, x)


class TestTables:
    @pytest.mark.parametrize("normalize", SKLEARN)
    def test_other_rows_are_scaled_as_scikit_learn_scales_them(self, normalize: str) -> None:
        train, other = rows(200, 0), rows(50, 1)
        chain = fit_scaling(train, table_block(normalize=normalize))
        reference = make_pipeline(SimpleImputer(strategy="median"), SKLEARN[normalize]()).fit(train)
        scaled = chain(other)
        assert scaled.dtype == np.float32
        np.testing.assert_allclose(scaled, reference.transform(other), rtol=1e-6, atol=1e-6)

    def test_l2_gives_rows_of_length_one(self) -> None:
        x = rows(50, 0)
        scaled = fit_scaling(x, table_block(normalize="l2"))(x)
        np.testing.assert_allclose(np.sqrt((scaled.astype(float) ** 2).sum(axis=1)), 1, rtol=1e-6)

    def test_a_row_of_zeros_has_no_direction_and_stays(self) -> None:
        scaled = fit_scaling(rows(50, 0), table_block(normalize="l2"))(np.zeros((1, 4)))
        assert scaled.tolist() == [[0, 0, 0, 0]]

    def test_a_gap_becomes_the_median_of_the_training_rows(self) -> None:
        train = np.array([[1.0, 5], [2, np.nan], [100, 6], [np.nan, 9]])
        chain = fit_scaling(train, table_block(normalize="none"))
        # by hand: the middle of 1, 2, 100 and of 5, 6, 9
        assert chain(np.full((1, 2), np.nan)).tolist() == [[2, 6]]

    def test_a_gap_that_training_rows_never_had_is_filled_too(self) -> None:
        train = np.array([[1.0], [2], [3], [10]])
        chain = fit_scaling(train, table_block(normalize="minmax"))
        # by hand: the median is 2.5, and (2.5 - 1) / (10 - 1) = 1/6
        np.testing.assert_allclose(chain(np.array([[np.nan]])), [[1 / 6]], rtol=1e-6)

    @pytest.mark.parametrize("normalize", SKLEARN)
    def test_a_column_without_any_value_becomes_zero(self, normalize: str) -> None:
        train = rows(50, 0)
        train[:, 2] = np.nan
        scaled = fit_scaling(train, table_block(normalize=normalize))(train)
        assert scaled.shape == (50, 4)
        assert (scaled[:, 2] == 0).all()
        assert np.isfinite(scaled).all()

    @pytest.mark.parametrize("normalize", SKLEARN)
    def test_a_constant_column_gives_no_infinity(self, normalize: str) -> None:
        train, other = np.c_[rows(50, 0), np.full(50, 7.0)], np.c_[rows(9, 1), np.arange(9.0)]
        chain = fit_scaling(train, table_block(normalize=normalize))
        assert np.isfinite(chain(train)).all()
        assert np.isfinite(chain(other)).all()

    @pytest.mark.parametrize("normalize", ["standard", "minmax", "robust"])
    def test_small_differences_at_a_large_offset_survive(self, normalize: str) -> None:
        # in float32 neighbours of 1e9 lie 64 apart, and all these rows would be equal
        small = np.random.default_rng(0).normal(size=(100, 2))
        near_zero = fit_scaling(small, table_block(normalize=normalize))(small)
        far = fit_scaling(small + 1e9, table_block(normalize=normalize))(small + 1e9)
        np.testing.assert_allclose(far, near_zero, atol=1e-5)


def pictures(n: int, seed: int) -> Array:
    """Images of three channels, each of its own brightness; the last one nearly constant."""
    random = np.random.default_rng(seed)
    ranges = [(0, 256), (100, 120), (40, 42)]
    return np.stack([random.integers(low, high, (n, 5, 4), dtype=np.uint8) for low, high in ranges], axis=1)


class TestImages:
    def test_standard_gives_each_channel_mean_0_and_deviation_1(self) -> None:
        x = pictures(30, 0)
        scaled = fit_scaling(x, images_block(normalize="standard"))(x).astype(float)
        np.testing.assert_allclose(scaled.mean(axis=(0, 2, 3)), 0, atol=1e-5)
        np.testing.assert_allclose(scaled.std(axis=(0, 2, 3)), 1, rtol=1e-5)

    def test_minmax_takes_each_channel_to_0_and_1(self) -> None:
        x = pictures(30, 0)
        scaled = fit_scaling(x, images_block(normalize="minmax"))(x)
        assert scaled.min(axis=(0, 2, 3)).tolist() == [0, 0, 0]
        np.testing.assert_allclose(scaled.max(axis=(0, 2, 3)), 1, rtol=1e-6)

    @pytest.mark.parametrize(("normalize", "scaler"), [("standard", StandardScaler), ("minmax", MinMaxScaler)])
    def test_other_images_are_scaled_as_scikit_learn_scales_channels(self, normalize: str, scaler: type) -> None:
        train, other = pictures(30, 0), pictures(10, 1)
        scaled = fit_scaling(train, images_block(normalize=normalize))(other)
        flat = scaler().fit(channels_last(train)).transform(channels_last(other))
        assert scaled.dtype == np.float32
        np.testing.assert_allclose(channels_last(scaled), flat, atol=1e-5)

    def test_none_leaves_grey_values(self) -> None:
        x = pictures(30, 0)
        np.testing.assert_array_equal(fit_scaling(x, images_block(normalize="none"))(x), x)

    @pytest.mark.parametrize("normalize", ["standard", "minmax"])
    def test_a_constant_channel_gives_no_infinity(self, normalize: str) -> None:
        train, other = pictures(30, 0), pictures(10, 1)
        train[:, 1] = 9
        chain = fit_scaling(train, images_block(normalize=normalize))
        assert (chain(train)[:, 1] == 0).all()
        assert np.isfinite(chain(other)).all()


def channels_last(x: Array) -> Array:
    """(n, c, h, w) -> (n * h * w, c)."""
    return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1]).astype(float)
