"""Mixup and cutmix of rows and their targets."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from fivefold.config.augmentation import Augmentation
from fivefold.training.augmentation.augmenter import MixupCutmix

CLASSES = 4


def images(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images whose pixels are their index in the batch."""
    return torch.arange(n).float()[:, None, None, None].expand(n, 2, 12, 10).clone(), torch.arange(n) % CLASSES


def test_mixup_has_the_same_weights_for_pixels_and_classes() -> None:
    torch.manual_seed(0)
    x, y = images(64)
    out, soft = MixupCutmix(Augmentation(mixup=0.4), CLASSES, masked=False)(x, y)
    own = soft[torch.arange(64), y]
    assert soft.dtype == torch.float32
    torch.testing.assert_close(soft.sum(1), torch.ones(64))
    torch.testing.assert_close(soft[torch.arange(64), y.roll(1)], 1 - own)
    other = torch.lerp(x.roll(1, 0), x, own[:, None, None, None])
    torch.testing.assert_close(out, other)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_mixup_weights_have_a_beta_distribution(alpha: float) -> None:
    torch.manual_seed(0)
    x, y = images(20_000)
    _, soft = MixupCutmix(Augmentation(mixup=alpha), CLASSES, masked=False)(x[:, :, :1, :1], y)
    own = soft[torch.arange(len(y)), y].numpy()
    assert abs(own.mean() - 0.5) < 0.02
    np.testing.assert_allclose(own.var(), 1 / (4 * (2 * alpha + 1)), rtol=0.05)  # variance of Beta(alpha, alpha)


def test_cutmix_pastes_a_box_and_weights_classes_by_its_area() -> None:
    torch.manual_seed(0)
    x, y = images(200)
    out, soft = MixupCutmix(Augmentation(cutmix=1.0), CLASSES, masked=False)(x, y)
    own = out == x
    assert (own | (out == x.roll(1, 0))).all()
    torch.testing.assert_close(soft[torch.arange(200), y], own[:, 0].float().mean((1, 2)))
    pasted = ~own[:, 0]
    rows, columns = pasted.any(2), pasted.any(1)
    assert torch.equal(pasted, rows[:, :, None] & columns[:, None])
    assert 0.4 < pasted.float().mean() < 0.6


def test_with_both_options_half_of_the_rows_have_each() -> None:
    torch.manual_seed(0)
    x, y = images(1000)
    out, soft = MixupCutmix(Augmentation(mixup=1.0, cutmix=1.0), CLASSES, masked=False)(x, y)
    copied = ((out == x) | (out == x.roll(1, 0))).flatten(1).all(1)
    assert 430 < int(copied.sum()) < 570
    own = torch.where(
        copied, (out == x)[:, 0].float().mean((1, 2)), ((out - x.roll(1, 0)) / (x - x.roll(1, 0)))[:, 0, 0, 0]
    )
    torch.testing.assert_close(soft[torch.arange(1000), y], own, atol=1e-3, rtol=0)


def test_cross_entropy_of_soft_labels_equals_the_loss_of_the_paper() -> None:
    torch.manual_seed(0)
    x, y = images(32)
    _, soft = MixupCutmix(Augmentation(mixup=1.0), CLASSES, masked=False)(x, y)
    own, out = soft[torch.arange(32), y], torch.randn(32, CLASSES)
    own_loss, other_loss = (functional.cross_entropy(out, target, reduction="none") for target in (y, y.roll(1)))
    torch.testing.assert_close(functional.cross_entropy(out, soft), (own * own_loss + (1 - own) * other_loss).mean())


def test_values_are_mixed_like_rows() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 3)
    y = x @ torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]])
    out, mixed = MixupCutmix(Augmentation(mixup=1.0), 0, masked=False)(x, y)
    assert not torch.allclose(out, x)
    torch.testing.assert_close(mixed, out @ torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]]))
    _, flat = MixupCutmix(Augmentation(mixup=1.0), 0, masked=False)(x, y[:, 0])
    assert flat.shape == (50,)


def test_padding_of_one_sequence_does_not_change_the_other() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([2, 5, 3])
    real = (torch.arange(6) < lengths[:, None]).float()[..., None]
    x = torch.cat([(1 + torch.rand(3, 6, 1)) * real, real], dim=-1)
    out, _ = MixupCutmix(Augmentation(mixup=1.0), 2, masked=True)(x, torch.tensor([0, 1, 0]))
    longest = torch.maximum(lengths, lengths.roll(1))
    assert torch.equal(out[..., 1], (torch.arange(6) < longest[:, None]).float())
    assert (out[out[..., 1] == 0] == 0).all()
    assert torch.equal(out[1, 2:5, 0], x[1, 2:5, 0])  # its partner has two steps
    assert torch.equal(out[0, 2:3, 0], x[2, 2:3, 0])  # its partner has three
    assert not torch.isclose(out[1, :2, 0], x[1, :2, 0]).any()


def test_batch_of_one_row_is_unchanged() -> None:
    x, y = torch.randn(1, 1, 4, 4), torch.tensor([2])
    out, soft = MixupCutmix(Augmentation(mixup=1.0, cutmix=1.0), CLASSES, masked=False)(x, y)
    assert torch.equal(out, x)
    assert torch.equal(soft, torch.tensor([[0.0, 0.0, 1.0, 0.0]]))
