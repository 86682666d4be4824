"""Rate-distortion curves: theoretical values of uniform quantization with entropy coding, and invariances."""

import numpy as np
import pytest

from fivefold.data.dataset import Array
from fivefold.evaluation.reconstruction.compression import (
    N_CURVE_POINTS,
    EntropyCoder,
    interpolate_curves,
    rate_distortion_curve,
    sensitivity,
)

RANDOM = np.random.default_rng(0)
TRAIN, TEST = RANDOM.normal(size=(20_000, 1)), RANDOM.normal(size=(20_000, 1))


def identity(codes: Array) -> Array:
    return codes


def mse(reconstructed: Array) -> float:
    return float(((reconstructed - TEST) ** 2).mean())


@pytest.mark.parametrize("step", [0.5, 0.25])
def test_small_steps_have_the_distortion_and_rate_of_high_resolution_theory(step: float) -> None:
    coder = EntropyCoder.fit(TRAIN, identity)
    quantized, bits = coder.quantize(TEST, step / float(coder.step[0]))
    assert mse(quantized) == pytest.approx(step**2 / 12, rel=0.03)
    assert bits == pytest.approx(np.log2(np.sqrt(2 * np.pi * np.e) / step), abs=0.03)


def test_a_normal_source_is_close_to_and_never_below_the_rate_distortion_bound() -> None:
    curve = rate_distortion_curve(TRAIN, TEST, identity, mse)
    bound = np.exp2(-2 * curve.bits)
    assert (curve.distortion > 0.97 * bound).all()
    assert (curve.distortion < 1.5 * bound + 2e-4).all()  # pi e / 6 is 1.42
    assert curve.bits.is_monotonic_increasing
    assert curve.distortion.is_monotonic_decreasing


def test_curves_do_not_depend_on_the_units_of_codes_and_unused_dimensions_cost_no_bits() -> None:
    units = np.array([0.01, 3.0, 100.0])
    mixing = RANDOM.normal(size=(3, 5))
    mixing[2] = 0

    def decode(codes: Array) -> Array:
        return codes @ mixing

    train, test = RANDOM.normal(size=(500, 3)) * [2, 1, 5], RANDOM.normal(size=(200, 3)) * [2, 1, 5]
    target = decode(test)

    def distortion(reconstructed: Array) -> float:
        return float(((reconstructed - target) ** 2).mean())

    curve = rate_distortion_curve(train, test, decode, distortion)
    scaled = rate_distortion_curve(train * units, test * units, lambda codes: decode(codes / units), distortion)
    np.testing.assert_allclose(curve, scaled, rtol=1e-6)
    assert sensitivity(train, train.std(0), decode) == pytest.approx(np.linalg.norm(mixing, axis=1))
    without = rate_distortion_curve(train[:, :2], test[:, :2], lambda codes: codes @ mixing[:2], distortion)
    np.testing.assert_allclose(curve, without, rtol=1e-6)


def test_values_outside_the_training_range_are_clipped_and_unused_symbols_cost_bits() -> None:
    coder = EntropyCoder.fit(np.array([[-1.0], [-1.0], [1.0], [1.0]]), identity)
    factor = 0.5 / float(coder.step[0])
    quantized, bits = coder.quantize(np.array([[9.0], [0.0]]), factor)
    assert quantized.ravel().tolist() == [1, 0]
    # counts 2, 0, 0, 0, 2, each increased by a half
    assert bits == pytest.approx((-np.log2(2.5 / 6.5) - np.log2(0.5 / 6.5)) / 2)


def test_interpolated_curves_share_their_rates() -> None:
    curve = rate_distortion_curve(TRAIN[:500], TEST, identity, mse)
    table = interpolate_curves({"one": curve, "other": curve}, 4)
    assert len(table) == N_CURVE_POINTS
    assert table.rate.iloc[-1] == pytest.approx(curve.bits.max() / 4)
    assert table.one.equals(table.other)
