"""Jitter, scaling and time warping of sequences, with and without padding."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fivefold.config.augmentation import Augmentation
from fivefold.training.augmentation.sequences import SequenceAugmentation, interpolate_steps, warp_times

ALL = {"jitter": 0.3, "scaling": 0.2, "time_warp": 0.5}


def padded(lengths: list[int], longest: int, features: int = 2) -> Tensor:
    """Return sequences with values from 1 to 2, padding 0 and the mask as last feature."""
    real = (torch.arange(longest) < torch.tensor(lengths)[:, None]).float()[..., None]
    return torch.cat([(1 + torch.rand(len(lengths), longest, features)) * real, real], dim=-1)


@pytest.mark.parametrize("options", [{key: value} for key, value in ALL.items()] + [ALL], ids="-".join)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(9, 11))
def test_padding_and_mask_do_not_change(options: dict[str, Any], lengths: list[int], longest: int) -> None:
    x = padded(lengths, longest)
    out = SequenceAugmentation(Augmentation(**options), masked=True)(x)
    assert torch.equal(out[..., -1], x[..., -1])
    assert (out[x[..., -1] == 0] == 0).all()
    assert out.isfinite().all()
    assert out.shape == x.shape


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_padding_does_not_affect_warped_steps(lengths: list[int]) -> None:
    x, warp = padded(lengths, 9), SequenceAugmentation(Augmentation(time_warp=0.5), masked=True)
    longer = torch.nn.functional.pad(x, (0, 0, 0, 5))
    outs = []
    for batch in (x, longer):
        torch.manual_seed(1)
        outs.append(warp(batch))
    torch.testing.assert_close(outs[0], outs[1][:, :9])


def test_jitter_and_scaling_have_the_given_standard_std() -> None:
    torch.manual_seed(0)
    x = torch.full((400, 50, 3), 2.0)
    noise = SequenceAugmentation(Augmentation(jitter=0.3), masked=False)(x) - x
    assert abs(float(noise.std()) - 0.3) < 0.005
    assert abs(float(noise.mean())) < 0.005
    factors = SequenceAugmentation(Augmentation(scaling=0.1), masked=False)(x) / x
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    assert abs(float(factors[:, 0].std()) - 0.1) < 0.01
    assert abs(float(factors.mean()) - 1) < 0.01
    assert abs(float(torch.corrcoef(factors[:, 0].T)[0, 1])) < 0.15  # independent factors per feature


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.floats(0.01, 5))
def test_warped_time_is_monotonic_from_first_to_last_step(lengths: list[int], std: float) -> None:
    real = (torch.arange(40) < torch.tensor(lengths)[:, None]).float()
    warped = warp_times(real, std)
    assert (warped[:, 0] == 0).all()
    for row, length in zip(warped, lengths, strict=True):
        steps = row[:length].double().diff()
        assert (steps >= 0).all()
        if length:
            np.testing.assert_allclose(row[length - 1], length - 1, rtol=1e-5)
    if std < 1:
        assert all((row[:n].diff() > 0).all() for row, n in zip(warped, lengths, strict=True))


def test_larger_std_warps_time_more() -> None:
    linear = torch.arange(100.0)
    bends = []
    for std in (0.01, 0.1, 0.5):
        torch.manual_seed(0)
        bends.append(float((warp_times(torch.ones(200, 100), std) - linear).abs().amax(1).mean()))
    assert 0 < bends[0] < bends[1] / 5 < bends[2] / 15
    assert 3 < bends[2] < 30


def test_warp_is_smooth() -> None:
    torch.manual_seed(0)
    speed = warp_times(torch.ones(200, 500), 0.3).double().diff()
    assert float((speed[:, 1:] / speed[:, :-1] - 1).abs().max()) < 0.03  # 5 knots: 100 steps from one to the next


def test_warped_linear_sequence_is_linear_in_the_warped_time() -> None:
    x = torch.arange(30.0).expand(5, 30)[..., None] * 2 + 1
    torch.manual_seed(0)
    out = SequenceAugmentation(Augmentation(time_warp=0.4), masked=False)(x)
    torch.manual_seed(0)
    torch.testing.assert_close(out[..., 0], 2 * warp_times(torch.ones(5, 30), 0.4) + 1)


def test_interpolation_equals_that_of_numpy() -> None:
    rng = np.random.default_rng(0)
    values, positions = rng.normal(size=(4, 9, 2)), rng.uniform(0, 8, (4, 15))
    positions[:, :2] = [0, 8]
    out = interpolate_steps(torch.from_numpy(values), torch.from_numpy(positions))
    for i in range(4):
        for j in range(2):
            np.testing.assert_allclose(out[i, :, j], np.interp(positions[i], np.arange(9), values[i, :, j]))


@pytest.mark.parametrize("masked", [False, True])
def test_sequence_of_one_step(masked: bool) -> None:
    x = torch.ones(3, 1, 2)
    assert torch.equal(SequenceAugmentation(Augmentation(time_warp=1), masked)(x), x)
