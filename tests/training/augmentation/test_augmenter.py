"""All augmentation options: disabled by default, determined by the seed, independent of autocast."""

from typing import Any

import pytest
import torch
from torch import Tensor

from fivefold.config.augmentation import Augmentation
from fivefold.training.augmentation.augmenter import Augmenter

IMAGE_OPTIONS: dict[str, Any] = {
    "rotation": 20.0,
    "height_shift": 0.1,
    "width_shift": 0.1,
    "shear": 10.0,
    "zoom": 0.1,
    "horizontal_flip": True,
    "vertical_flip": True,
    "crop_padding": 2,
    "intensity_scale": 0.1,
    "erasing": 0.5,
    "cutmix": 1.0,
    "mixup": 0.2,
}
SEQUENCE_OPTIONS: dict[str, Any] = {"jitter": 0.1, "scaling": 0.1, "time_warp": 0.2, "mixup": 0.2}
CASES = [("images", {key: value}) for key, value in IMAGE_OPTIONS.items()]
CASES += [("sequences", {key: value}) for key, value in SEQUENCE_OPTIONS.items()]
CASES += [("images", IMAGE_OPTIONS), ("sequences", SEQUENCE_OPTIONS)]
all_options = pytest.mark.parametrize(
    ("kind", "options"), CASES, ids=lambda part: part if isinstance(part, str) else "-".join(part)
)


def batch(kind: str) -> tuple[Tensor, Tensor]:
    x = torch.randn(16, 3, 14, 10) if kind == "images" else torch.randn(16, 14, 4)
    return x, torch.arange(16) % 3


def augment(options: dict[str, Any], x: Tensor, y: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    augmented_batch: tuple[Tensor, Tensor] = Augmenter(Augmentation(**options), classes=3)(x, y)
    return augmented_batch


def test_without_options_input_is_returned_and_no_random_numbers_are_drawn() -> None:
    x, y = batch("images")
    state = torch.get_rng_state()
    out, targets = Augmenter(Augmentation(), classes=3)(x, y)
    assert out is x
    assert targets is y
    assert torch.equal(torch.get_rng_state(), state)


@all_options
def test_option_changes_rows_but_not_their_shape_or_the_input(kind: str, options: dict[str, Any]) -> None:
    x, y = batch(kind)
    before = x.clone()
    out, targets = augment(options, x, y)
    assert out.shape == x.shape
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert not torch.equal(out, x)
    assert torch.equal(x, before)
    if Augmentation(**options).mixing_options:
        assert targets.shape == (16, 3)
    else:
        assert targets is y


@all_options
def test_seed_determines_the_result(kind: str, options: dict[str, Any]) -> None:
    x, y = batch(kind)
    (one, y_one), (two, y_two), (other, _) = (augment(options, x, y, seed) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert torch.equal(y_one, y_two)
    assert not torch.equal(one, other)


@all_options
def test_each_row_is_changed_differently(kind: str, options: dict[str, Any]) -> None:
    x, y = batch(kind)
    x = x[:1].expand_as(x) + torch.arange(16.0).view(-1, *[1] * (x.ndim - 1))  # so that mixed rows differ
    out, _ = augment(options, x, y)
    changes = (out - x).flatten(1)
    assert len(changes.round(decimals=3).unique(dim=0)) > 1


@all_options
def test_autocast_does_not_affect_the_result(kind: str, options: dict[str, Any]) -> None:
    x, y = batch(kind)
    plain, _ = augment(options, x, y)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = augment(options, x, y)
    assert torch.equal(plain, mixed)


@all_options
def test_evaluation_mode_returns_the_input(kind: str, options: dict[str, Any]) -> None:
    x, y = batch(kind)
    out, targets = Augmenter(Augmentation(**options), classes=3).eval()(x, y)
    assert out is x
    assert targets is y


def test_module_has_no_state_and_no_parameters() -> None:
    module = Augmenter(Augmentation(**IMAGE_OPTIONS), classes=3)
    assert module.state_dict() == {}
    assert list(module.parameters()) == []


def test_buffers_move_with_the_module() -> None:
    module = Augmenter(Augmentation(**IMAGE_OPTIONS, fill_mode="constant"), classes=3).to("meta")
    devices = {buffer.device.type for buffer in module.buffers()}
    assert devices == {"meta"}


@pytest.mark.parametrize("options", [{"crop_padding": 3}, {"height_shift": 0.5}], ids="-".join)
def test_fill_value_is_shown_outside_of_the_image(options: dict[str, Any]) -> None:
    fill_value = torch.tensor([5.0, 6.0, 7.0])[:, None, None]
    x, y = torch.zeros(64, 3, 8, 8), torch.zeros(64)
    out, _ = Augmenter(Augmentation(fill_mode="constant", **options), fill_value=fill_value)(x, y)
    assert out.amax((0, 2, 3)).tolist() == [5, 6, 7]
    assert set(out.unique().tolist()) == {0, 5, 6, 7}
    raw, _ = Augmenter(Augmentation(fill_mode="constant", fill_value=9, **options))(x, y)
    assert set(raw.unique().tolist()) == {0, 9}
