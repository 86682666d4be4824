"""Affine transforms equal those of Keras, which SciPy computes for one image at a time."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import affine_transform
from torch import Tensor

from fivefold.config.augmentation import Augmentation, FillMode
from fivefold.training.augmentation.images import RandomAffine, affine_matrices, flip_and_crop, warp

from ...conftest import Array

FILLS: tuple[FillMode, ...] = ("nearest", "constant", "reflect", "wrap")
FILL_VALUE = torch.tensor([-1.0, 0.25])[:, None, None]
MATRICES: list[dict[str, Any]] = [
    {"rotation": 25.0},
    {"rotation": -143.0},
    {"shift": (2.3, -3.4)},
    {"shear": 17.0},
    {"zoom": (0.7, 1.45)},
    {"rotation": 11.0, "shift": (-4.2, 1.7)},
    {"rotation": -38.0, "shift": (1.3, 2.6), "shear": -21.0, "zoom": (1.31, 0.83)},
    {"rotation": 71.0, "shift": (21.3, -17.6), "shear": 33.0, "zoom": (1.9, 1.7)},
]


def noise_images(size: tuple[int, int], n: int = 1) -> Tensor:
    """Return images with two channels of noise."""
    return torch.from_numpy(np.random.default_rng(5).normal(size=(n, 2, *size))).float()


def transform_with_keras(image: Array, fill: str, rotation: float, shift: Any, shear: float, zoom: Any) -> Array:
    """Return the result of Keras 2's `apply_affine_transform` by its documented formulas; angles in degrees."""
    rotation, shear = math.radians(rotation), math.radians(shear)
    matrix = np.array(
        [[math.cos(rotation), -math.sin(rotation), 0], [math.sin(rotation), math.cos(rotation), 0], [0, 0, 1]]
    )
    matrix = matrix @ [[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]
    matrix = matrix @ [[1, -math.sin(shear), 0], [0, math.cos(shear), 0], [0, 0, 1]]
    matrix = matrix @ np.diag([*zoom, 1])
    height, width = image.shape[1:]
    center = np.array([[1, 0, height / 2 - 0.5], [0, 1, width / 2 - 0.5], [0, 0, 1]])
    matrix = center @ matrix @ np.linalg.inv(center)
    channels = [
        affine_transform(channel, matrix[:2, :2], matrix[:2, 2], order=1, mode=fill, cval=float(value))
        for channel, value in zip(image.astype(float), FILL_VALUE.flatten(), strict=True)
    ]
    return np.stack(channels)


def transform(x: Tensor, fill: FillMode, rotation: float, shift: Any, shear: float, zoom: Any) -> Tensor:
    angles = (torch.tensor([math.radians(angle)]) for angle in (rotation, shear))
    no_flip = torch.ones(2, 1)
    return warp(
        x,
        affine_matrices(*angles, torch.tensor(shift)[:, None], torch.tensor(zoom)[:, None], no_flip, 0 * no_flip),
        fill,
        FILL_VALUE,
    )


IDENTITY = {"rotation": 0.0, "shift": (0.0, 0.0), "shear": 0.0, "zoom": (1.0, 1.0)}


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("matrix", MATRICES, ids=lambda matrix: "-".join(matrix))
@pytest.mark.parametrize("size", [(9, 12), (28, 28)])
def test_transforms_equal_those_of_keras(size: tuple[int, int], matrix: dict[str, Any], fill: FillMode) -> None:
    x = noise_images(size)
    expected = transform_with_keras(x[0].numpy(), fill, **IDENTITY | matrix)
    assert not np.allclose(expected, x[0])
    np.testing.assert_allclose(transform(x, fill, **IDENTITY | matrix)[0], expected, atol=2e-5)


angle = st.floats(-180, 180)
factor = st.floats(0.3, 3)


@given(
    st.sampled_from(["nearest", "reflect"]),  # the others are discontinuous at the edge, where rounding matters
    angle,
    st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
    st.floats(-80, 80),
    st.tuples(factor, factor),
)
def test_random_transforms_equal_those_of_keras(
    fill: FillMode, rotation: float, shift: Any, shear: float, zoom: Any
) -> None:
    x = noise_images((7, 10))
    expected = transform_with_keras(x[0].numpy(), fill, rotation, shift, shear, zoom)
    np.testing.assert_allclose(transform(x, fill, rotation, shift, shear, zoom)[0], expected, atol=2e-4)


@pytest.mark.parametrize("fill", FILLS)
def test_identity_transform_does_not_change_the_edge(fill: FillMode) -> None:
    x = noise_images((28, 33))
    torch.testing.assert_close(transform(x, fill, **IDENTITY), x, atol=5e-5, rtol=0)


@pytest.mark.parametrize("fill", FILLS)
def test_images_with_a_single_row_or_column(fill: FillMode) -> None:
    for size in ((1, 5), (5, 1), (1, 1)):
        x = noise_images(size)
        assert transform(x, fill, **IDENTITY | {"rotation": 20.0, "shift": (0.2, 0.3)}).isfinite().all()
        ones = torch.ones(2, 1)
        assert flip_and_crop(x, -ones, 2 * ones, fill, FILL_VALUE).isfinite().all()


@pytest.mark.parametrize("fill", FILLS)
def test_flips_and_crops_by_copying_equal_those_by_transform(fill: FillMode) -> None:
    n = 12
    x = noise_images((6, 9), n)
    flip = torch.tensor([[1.0, -1.0] * 6, [1.0, 1.0, -1.0, -1.0] * 3])
    crop = torch.randint(-3, 4, (2, n), generator=torch.Generator().manual_seed(0)).float()
    identity = torch.zeros(n), torch.zeros(n), torch.zeros(2, n), torch.ones(2, n)
    warped = warp(x, affine_matrices(*identity, flip, crop), fill, FILL_VALUE)
    torch.testing.assert_close(flip_and_crop(x, flip, crop, fill, FILL_VALUE), warped, atol=1e-5, rtol=0)


PADS: dict[FillMode, dict[str, Any]] = {
    "nearest": {"mode": "edge"},
    "constant": {"mode": "constant", "constant_values": 0.5},
    "reflect": {"mode": "symmetric"},
}


@pytest.mark.parametrize("fill", PADS)
def test_crop_is_a_random_window_of_the_padded_image(fill: FillMode) -> None:
    n, pad, (height, width) = 600, 2, (6, 5)
    x = noise_images((height, width), 1).expand(n, -1, -1, -1)
    torch.manual_seed(0)
    out = RandomAffine(Augmentation(crop_padding=pad, fill_mode=fill), torch.tensor(0.5))(x).numpy()
    padded = np.pad(x[0].numpy(), ((0, 0), (pad, pad), (pad, pad)), **PADS[fill])
    windows = [padded[:, i : i + height, j : j + width] for i in range(2 * pad + 1) for j in range(2 * pad + 1)]
    matches = np.array([[np.array_equal(image, window) for window in windows] for image in out])
    assert (matches.sum(1) == 1).all()
    assert matches.sum(0).min() >= 8  # 24 of each are expected, standard deviation 4.8


@pytest.mark.parametrize(("option", "axis"), [("horizontal_flip", 3), ("vertical_flip", 2)])
def test_half_of_the_images_are_flipped_exactly(option: str, axis: int) -> None:
    n = 2000
    x = noise_images((3, 4), n)
    torch.manual_seed(0)
    out = RandomAffine(Augmentation(**{option: True}), torch.tensor(0.0))(x)
    mirrored, unchanged = ((out == other).flatten(1).all(1) for other in (x.flip(axis), x))
    assert (mirrored ^ unchanged).all()
    assert 900 < int(mirrored.sum()) < 1100  # 1000 are expected, standard deviation 22


def drawn_transforms(**options: Any) -> tuple[Array, Array]:
    """Return the linear part (n, 2, 2) and the offset (n, 2) of random transforms, measured from images.

    The two channels of an image contain the row and the column of each pixel, relative to the center.
    """
    n, side = 1000, 21
    positions = torch.stack(torch.meshgrid(*2 * [torch.arange(side) - 10.0], indexing="ij"))
    torch.manual_seed(0)
    out = RandomAffine(Augmentation(**options), torch.tensor(0.0))(positions.expand(n, -1, -1, -1)).double().numpy()
    middle = out[:, :, 10, 10]
    steps = np.stack([out[:, :, 11, 10] - middle, out[:, :, 10, 11] - middle], axis=2)
    return steps, middle


def covers_range(values: Array, low: float, high: float) -> bool:
    """Return whether values are between low and high, and some are close to each of them."""
    near = 0.02 * (high - low)
    inside = (values >= low - 1e-4).all() and (values <= high + 1e-4).all()
    return bool(inside and values.min() < low + near and values.max() > high - near)


class TestRangesOfRandomTransforms:
    def test_rotation(self) -> None:
        linear, offset = drawn_transforms(rotation=30)
        assert covers_range(np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0])), -30, 30)
        np.testing.assert_allclose(np.linalg.det(linear), 1, atol=1e-4)
        np.testing.assert_allclose(offset, 0, atol=1e-4)

    def test_shifts(self) -> None:
        linear, offset = drawn_transforms(height_shift=0.2, width_shift=0.1)
        assert covers_range(offset[:, 0], -0.2 * 21, 0.2 * 21)
        assert covers_range(offset[:, 1], -0.1 * 21, 0.1 * 21)
        np.testing.assert_allclose(linear, np.eye(2)[None].repeat(1000, 0), atol=1e-4)

    def test_zoom_is_independent_for_each_axis(self) -> None:
        linear, _ = drawn_transforms(zoom=0.25)
        assert covers_range(linear[:, 0, 0], 0.75, 1.25)
        assert covers_range(linear[:, 1, 1], 0.75, 1.25)
        assert abs(np.corrcoef(linear[:, 0, 0], linear[:, 1, 1])[0, 1]) < 0.1

    def test_shear(self) -> None:
        linear, _ = drawn_transforms(shear=20)
        assert covers_range(np.degrees(np.arcsin(-linear[:, 0, 1])), -20, 20)
        np.testing.assert_allclose(linear[:, :, 0], [[1, 0]] * 1000, atol=1e-4)

    def test_flips_with_a_rotation(self) -> None:
        linear, _ = drawn_transforms(rotation=10, horizontal_flip=True)
        mirrored = np.linalg.det(linear) < 0
        assert 440 < mirrored.sum() < 560  # 500 are expected, standard deviation 16
        assert (np.sign(linear[:, 1, 1]) == np.where(mirrored, -1, 1)).all()
        assert (linear[:, 0, 0] > 0).all()
