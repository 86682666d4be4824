"""What holds for every option: off is off, the seed decides, targets and precision stay."""

from typing import Any

import pytest
import torch
from torch import Tensor

from fivefold.config.augmentation import Augmentation
from fivefold.training.augmentation.augmenter import Augmenter

OF_IMAGES: dict[str, Any] = {
    "rotation": 20.0,
    "height_shift": 0.1,
    "width_shift": 0.1,
    "shear": 10.0,
    "zoom": 0.1,
    "horizontal_flip": True,
    "vertical_flip": True,
    "crop": 2,
    "rescale": 0.1,
    "erasing": 0.5,
    "cutmix": 1.0,
    "mixup": 0.2,
}
OF_SEQUENCES: dict[str, Any] = {"jitter": 0.1, "scaling": 0.1, "time_warp": 0.2, "mixup": 0.2}
EACH = [("images", {key: value}) for key, value in OF_IMAGES.items()]
EACH += [("sequences", {key: value}) for key, value in OF_SEQUENCES.items()]
EACH += [("images", OF_IMAGES), ("sequences", OF_SEQUENCES)]
each = pytest.mark.parametrize(
    ("kind", "options"), EACH, ids=lambda part: part if isinstance(part, str) else "-".join(part)
)


def batch(kind: str) -> tuple[Tensor, Tensor]:
    x = torch.randn(16, 3, 14, 10) if kind == "images" else torch.randn(16, 14, 4)
    return x, torch.arange(16) % 3


def augmented(options: dict[str, Any], x: Tensor, y: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    changed: tuple[Tensor, Tensor] = Augmenter(Augmentation(**options), classes=3)(x, y)
    return changed


def test_off_returns_what_it_got_and_draws_nothing() -> None:
    x, y = batch("images")
    state = torch.get_rng_state()
    out, targets = Augmenter(Augmentation(), classes=3)(x, y)
    assert out is x
    assert targets is y
    assert torch.equal(torch.get_rng_state(), state)


@each
def test_an_option_changes_rows_of_its_kind_and_keeps_shape_and_original(kind: str, options: dict[str, Any]) -> None:
    x, y = batch(kind)
    before = x.clone()
    out, targets = augmented(options, x, y)
    assert out.shape == x.shape
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert not torch.equal(out, x)
    assert torch.equal(x, before)
    if Augmentation(**options).mixing_options:
        assert targets.shape == (16, 3)
    else:
        assert targets is y


@each
def test_the_seed_decides(kind: str, options: dict[str, Any]) -> None:
    x, y = batch(kind)
    (one, y_one), (two, y_two), (other, _) = (augmented(options, x, y, seed) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert torch.equal(y_one, y_two)
    assert not torch.equal(one, other)


@each
def test_rows_are_altered_each_in_its_own_way(kind: str, options: dict[str, Any]) -> None:
    x, y = batch(kind)
    x = x[:1].expand_as(x) + torch.arange(16.0).view(-1, *[1] * (x.ndim - 1))  # so that a blend shows
    out, _ = augmented(options, x, y)
    changes = (out - x).flatten(1)
    assert len(changes.round(decimals=3).unique(dim=0)) > 1


@each
def test_autocast_changes_nothing(kind: str, options: dict[str, Any]) -> None:
    x, y = batch(kind)
    plain, _ = augmented(options, x, y)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = augmented(options, x, y)
    assert torch.equal(plain, mixed)


@each
def test_validation_sees_rows_as_they_are(kind: str, options: dict[str, Any]) -> None:
    x, y = batch(kind)
    out, targets = Augmenter(Augmentation(**options), classes=3).eval()(x, y)
    assert out is x
    assert targets is y


def test_nothing_is_saved_or_learnt() -> None:
    module = Augmenter(Augmentation(**OF_IMAGES), classes=3)
    assert module.state_dict() == {}
    assert list(module.parameters()) == []


def test_buffers_move_with_the_module() -> None:
    module = Augmenter(Augmentation(**OF_IMAGES, fill_mode="constant"), classes=3).to("meta")
    devices = {buffer.device.type for buffer in module.buffers()}
    assert devices == {"meta"}


@pytest.mark.parametrize("options", [{"crop": 3}, {"height_shift": 0.5}], ids="-".join)
def test_a_blank_image_is_what_shows_beyond_an_edge(options: dict[str, Any]) -> None:
    blank = torch.tensor([5.0, 6.0, 7.0])[:, None, None]
    x, y = torch.zeros(64, 3, 8, 8), torch.zeros(64)
    out, _ = Augmenter(Augmentation(fill_mode="constant", **options), fill_value=blank)(x, y)
    assert out.amax((0, 2, 3)).tolist() == [5, 6, 7]
    assert set(out.unique().tolist()) == {0, 5, 6, 7}
    raw, _ = Augmenter(Augmentation(fill_mode="constant", fill_value=9, **options))(x, y)
    assert set(raw.unique().tolist()) == {0, 9}
