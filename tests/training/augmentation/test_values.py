"""Intensity scaling and random erasing."""

import numpy as np
import pytest
import torch

from fivefold.config.augmentation import Augmentation
from fivefold.training.augmentation.images import MIN_ASPECT_RATIO, RandomErasing, RandomRescale, random_boxes


def test_image_is_scaled_by_one_factor_within_the_range() -> None:
    x = torch.rand(500, 3, 4, 4) + 0.5
    torch.manual_seed(0)
    factors = (RandomRescale(Augmentation(intensity_scale=0.2))(x) / x).flatten(1)
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
    low, high = factors.min(), factors.max()
    assert 0.8 <= low < 0.81
    assert 1.19 < high <= 1.2 + 1e-6


def test_erased_box_has_the_mean_and_the_rest_is_unchanged() -> None:
    torch.manual_seed(0)
    x = torch.randn(300, 2, 20, 30)
    out = RandomErasing(Augmentation(erasing=1, erasing_area=(0.1, 0.3)))(x)
    erased = out != x
    assert torch.equal(erased[:, 0], erased[:, 1])
    expected = x.mean((2, 3), keepdim=True).expand_as(x)
    assert torch.equal(out[erased], expected[erased])
    rows, columns = (erased[:, 0].any(axis) for axis in (2, 1))
    assert torch.equal(erased[:, 0], rows[:, :, None] & columns[:, None])
    for covered in (rows, columns):  # the box is contiguous
        starts = covered[:, :1].sum(1) + (covered[:, 1:] & ~covered[:, :-1]).sum(1)
        assert (starts == 1).all()


@pytest.mark.parametrize("size", [(28, 28), (20, 60)])
@pytest.mark.parametrize("area", [(0.02, 0.02), (0.25, 0.25), (0.9, 0.9), (0.1, 0.4)])
def test_erased_area_is_within_the_range(size: tuple[int, int], area: tuple[float, float]) -> None:
    torch.manual_seed(0)
    x = torch.randn(2000, 1, *size)
    area_fraction = (RandomErasing(Augmentation(erasing=1, erasing_area=area))(x) != x).float().mean((1, 2, 3))
    assert abs(float(area_fraction.mean()) - sum(area) / 2) < 0.01
    # sides are rounded to pixels
    tolerance = 0.5 * (1 / size[0] + 1 / size[1]) * (area[1] / MIN_ASPECT_RATIO) ** 0.5 + 0.25 / (size[0] * size[1])
    assert area[0] - tolerance < area_fraction.min()
    assert area_fraction.max() < area[1] + tolerance


def test_erasing_has_the_given_probability() -> None:
    torch.manual_seed(0)
    x = torch.randn(2000, 1, 12, 12)
    changed = (RandomErasing(Augmentation(erasing=0.3))(x) != x).flatten(1).any(1)
    assert 540 < int(changed.sum()) < 660  # 600 are expected, standard deviation 20


def test_boxes_with_area_0_and_1() -> None:
    area = torch.tensor([0.0, 1.0])
    assert random_boxes(area, torch.ones(2), (5, 7)).flatten(1).sum(1).tolist() == [0, 35]


def test_boxes_are_uniformly_distributed() -> None:
    torch.manual_seed(0)
    n = 4000
    placed = random_boxes(torch.full((n,), 0.25), torch.ones(n), (4, 4)) == 1
    assert (placed.flatten(1).sum(1) == 4).all()
    corners = placed[:, [0, 0, 3, 3], [0, 3, 0, 3]].float().mean(0)
    np.testing.assert_allclose(corners, 1 / 9, atol=0.02)  # nine positions of a 2 x 2 box
