"""Rate and distortion: what even steps with an entropy code are known to reach, and what must not matter."""

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


def itself(codes: Array) -> Array:
    return codes


def squared(told: Array) -> float:
    return float(((told - TEST) ** 2).mean())


@pytest.mark.parametrize("step", [0.5, 0.25])
def test_small_steps_lose_a_twelfth_of_their_square_and_cost_the_entropy_of_a_step(step: float) -> None:
    coder = EntropyCoder.fit(TRAIN, itself)
    kept, bits = coder.quantize(TEST, step / float(coder.step[0]))
    assert squared(kept) == pytest.approx(step**2 / 12, rel=0.03)
    assert bits == pytest.approx(np.log2(np.sqrt(2 * np.pi * np.e) / step), abs=0.03)


def test_no_point_is_better_than_the_bound_of_a_normal_source_nor_far_from_it() -> None:
    found = rate_distortion_curve(TRAIN, TEST, itself, squared)
    bound = np.exp2(-2 * found.bits)
    assert (found.lost > 0.97 * bound).all()
    assert (found.lost < 1.5 * bound + 2e-4).all()  # pi e / 6 is 1.42
    assert found.bits.is_monotonic_increasing
    assert found.lost.is_monotonic_decreasing


def test_units_of_a_code_change_nothing_and_a_number_that_tells_nothing_costs_nothing() -> None:
    units = np.array([0.01, 3.0, 100.0])
    mixed = RANDOM.normal(size=(3, 5))
    mixed[2] = 0

    def decode(codes: Array) -> Array:
        return codes @ mixed

    train, test = RANDOM.normal(size=(500, 3)) * [2, 1, 5], RANDOM.normal(size=(200, 3)) * [2, 1, 5]
    whole = decode(test)
    plain = rate_distortion_curve(train, test, decode, lambda told: float(((told - whole) ** 2).mean()))
    scaled = rate_distortion_curve(
        train * units,
        test * units,
        lambda codes: decode(codes / units),
        lambda told: float(((told - whole) ** 2).mean()),
    )
    np.testing.assert_allclose(plain, scaled, rtol=1e-6)
    assert sensitivity(train, train.std(0), decode) == pytest.approx(np.linalg.norm(mixed, axis=1))
    without = rate_distortion_curve(
        train[:, :2], test[:, :2], lambda codes: codes @ mixed[:2], lambda told: float(((told - whole) ** 2).mean())
    )
    np.testing.assert_allclose(plain, without, rtol=1e-6)


def test_what_training_rows_have_not_shown_is_told_as_the_outermost_and_costs_bits() -> None:
    coder = EntropyCoder.fit(np.array([[-1.0], [-1.0], [1.0], [1.0]]), itself)
    factor = 0.5 / float(coder.step[0])
    kept, bits = coder.quantize(np.array([[9.0], [0.0]]), factor)
    assert kept.ravel().tolist() == [1, 0]
    assert bits == pytest.approx((-np.log2(2.5 / 6.5) - np.log2(0.5 / 6.5)) / 2)  # counts 2, 0, 0, 0, 2 and a half each


def test_curves_are_told_at_the_same_rates() -> None:
    found = rate_distortion_curve(TRAIN[:500], TEST, itself, squared)
    table = interpolate_curves({"one": found, "other": found}, 4)
    assert len(table) == N_CURVE_POINTS
    assert table.rate.iloc[-1] == pytest.approx(found.bits.max() / 4)
    assert table.one.equals(table.other)
