"""Differentiable augmentation: images are transformed independently and within bounds, and gradients pass through."""

import pytest
import torch

from fivefold.config.networks.gan import DiffAugmentation
from fivefold.models.gan.module import DiffAugment

SINGLE_OPTIONS = {
    "brightness": {"brightness": 0.5, "translation": 0, "cutout": 0},
    "translation": {"brightness": 0, "translation": 0.25, "cutout": 0},
    "cutout": {"brightness": 0, "translation": 0, "cutout": 0.5},
}


def augment(x: torch.Tensor, name: str) -> torch.Tensor:
    torch.manual_seed(0)
    out: torch.Tensor = DiffAugment(DiffAugmentation(**SINGLE_OPTIONS[name]))(x)
    assert out.shape == x.shape
    return out


@pytest.mark.parametrize("shape", [(16, 1, 8, 8), (16, 3, 33, 17)])
@pytest.mark.parametrize("name", SINGLE_OPTIONS)
def test_gradients_pass_through_and_images_are_transformed_independently(name: str, shape: tuple[int, ...]) -> None:
    x = torch.rand(shape[:1]).reshape(-1, 1, 1, 1).expand(shape).clone() + 1
    x.requires_grad_()
    out = augment(x, name)
    out.sum().backward()
    assert x.grad is not None
    assert (x.grad.flatten(1).sum(1) > 0).all()
    assert len(torch.unique((out / x).detach().flatten(1), dim=0)) > 8


def test_brightness_is_one_offset_per_image() -> None:
    added = augment(torch.zeros(200, 2, 4, 4), "brightness")
    assert torch.equal(added, added[:, :1, :1, :1].expand_as(added))
    assert float(added.abs().max()) == pytest.approx(0.25, abs=0.02)


def test_translation_shifts_by_whole_pixels_up_to_its_limit() -> None:
    x = torch.zeros(300, 1, 8, 12)
    x[:, :, 4, 6] = 1
    positions = augment(x, "translation").nonzero()
    assert len(positions) == 300
    assert sorted(positions[:, 2].unique().tolist()) == [2, 3, 4, 5, 6]
    assert sorted(positions[:, 3].unique().tolist()) == [3, 4, 5, 6, 7, 8, 9]


def test_cutout_zeros_a_rectangle_of_half_the_sides() -> None:
    out = augment(torch.ones(300, 2, 8, 12), "cutout")
    assert torch.equal(out[:, 0], out[:, 1])
    blank = (out[:, 0] == 0).sum((1, 2))
    assert int(blank.max()) == 4 * 6
    assert (blank > 0).all()
    assert (out[:, 0].amin(0) == 0).all()  # anywhere


def test_options_of_0_change_nothing() -> None:
    x = torch.randn(4, 1, 8, 8)
    assert torch.equal(DiffAugment(DiffAugmentation(brightness=0, translation=0, cutout=0))(x), x)
