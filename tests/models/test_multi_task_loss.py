"""The loss of several targets is the weighted sum of their losses; learned weights equal their closed form."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fivefold.config.training import (
    AutoLoss,
    CrossEntropyLoss,
    FixedWeights,
    FocalLoss,
    HuberLoss,
    LossConfig,
    UncertaintyWeights,
)
from fivefold.data.schema import ExtraTarget, Schema
from fivefold.models.losses import MultiTaskLoss, SupervisedLoss, build_loss

from ..conftest import schema_of

AUTO = AutoLoss(name="auto")
EQUAL = FixedWeights(name="fixed")
LEARNED = UncertaintyWeights(name="uncertainty")
EXTRA_TARGETS = (ExtraTarget(name="mass"), ExtraTarget(name="sex", classes=("f", "m")))
CLASSES = schema_of((2,), 3).model_copy(update={"extra_targets": EXTRA_TARGETS})
VALUE = schema_of((2,)).model_copy(update={"extra_targets": EXTRA_TARGETS})
GENERATOR = torch.Generator().manual_seed(0)
OUT = torch.randn(16, 6, generator=GENERATOR)
KIND, SEX, MASS = torch.arange(16) % 3, torch.arange(16) % 2, torch.randn(16, generator=GENERATOR)
Y = torch.stack([KIND.float(), MASS, SEX.float()], dim=1)


def test_the_loss_is_the_weighted_sum_of_the_losses_of_all_targets() -> None:
    kind, sex = functional.cross_entropy(OUT[:, :3], KIND), functional.cross_entropy(OUT[:, 4:], SEX)
    mass = ((OUT[:, 3] - MASS) ** 2).mean()
    torch.testing.assert_close(MultiTaskLoss(CLASSES, AUTO, EQUAL)(OUT, Y), kind + mass + sex)
    weights = FixedWeights(name="fixed", weights={"y": 2.0, "mass": 0.5})
    torch.testing.assert_close(MultiTaskLoss(CLASSES, AUTO, weights)(OUT, Y), 2 * kind + 0.5 * mass + sex)


@pytest.mark.parametrize(
    ("schema", "loss", "class_weights"),
    [
        (CLASSES, AUTO, None),
        (CLASSES, AUTO, torch.tensor([0.5, 1.0, 1.5])),
        (CLASSES, CrossEntropyLoss(name="cross_entropy", label_smoothing=0.1), None),
        (CLASSES, FocalLoss(name="focal"), None),
        (VALUE, AUTO, None),
        (VALUE, HuberLoss(name="huber", delta=0.5), None),
    ],
)
def test_with_zero_weights_of_extra_targets_it_is_the_loss_of_the_primary_target(
    schema: Schema, loss: LossConfig, class_weights: Tensor | None
) -> None:
    multi = MultiTaskLoss(schema, loss, FixedWeights(name="fixed", weights={"mass": 0.0, "sex": 0.0}), class_weights)
    single = SupervisedLoss(schema.model_copy(update={"extra_targets": ()}), loss, class_weights)
    width = 3 if schema.classes else 1
    y = (KIND if schema.classes else MASS[:, None], Y if schema.classes else torch.stack([MASS, MASS, Y[:, 2]], dim=1))
    out = OUT[:, : width + 3].clone().requires_grad_()
    primary_out = OUT[:, :width].clone().requires_grad_()
    loss_value, expected = multi(out, y[1]), single(primary_out, y[0])
    assert torch.equal(loss_value, expected)
    (gradient,), (other) = torch.autograd.grad(loss_value, out), torch.autograd.grad(expected, primary_out)[0]
    assert torch.equal(gradient[:, :width], other)
    assert not gradient[:, width:].any()
    accuracy, expected_accuracy = multi.accuracy(out, y[1]), single.accuracy(primary_out, y[0])
    assert accuracy == expected_accuracy


def test_missing_targets_add_neither_loss_nor_gradient() -> None:
    y = Y.clone()
    y[3:8, 1] = y[5:, 2] = torch.nan
    known, mass_known = torch.arange(16) < 5, ~y[:, 1].isnan()
    kind, sex = functional.cross_entropy(OUT[:, :3], KIND), functional.cross_entropy(OUT[known][:, 4:], SEX[known])
    mass = ((OUT[:, 3] - MASS) ** 2)[mass_known].mean()
    out = OUT.clone().requires_grad_()
    loss = MultiTaskLoss(CLASSES, AUTO, EQUAL)(out, y)
    torch.testing.assert_close(loss, kind + mass * 11 / 16 + sex * 5 / 16)
    (gradient,) = torch.autograd.grad(loss, out)
    assert not gradient[3:8, 3].any()
    assert not gradient[5:, 4:].any()
    assert gradient.isfinite().all()
    nothing = torch.cat([Y[:, :1], torch.full((16, 2), torch.nan)], dim=1)
    torch.testing.assert_close(MultiTaskLoss(CLASSES, AUTO, EQUAL)(OUT, nothing), kind)


@pytest.mark.parametrize("loss_weights", [EQUAL, LEARNED])
def test_losses_of_micro_batches_add_up_to_that_of_the_batch(loss_weights: FixedWeights | UncertaintyWeights) -> None:
    criterion, y = MultiTaskLoss(CLASSES, AUTO, loss_weights), Y.clone()
    y[:9, 1] = y[3:, 2] = torch.nan
    if criterion.log_variances is not None:
        criterion.log_variances.data = torch.tensor([0.3, -1.0, 2.0])
    parts = sum(criterion(OUT[a:b], y[a:b]) * (b - a) / 16 for a, b in ((0, 5), (5, 16)))
    torch.testing.assert_close(criterion(OUT, y), parts)


def test_uncertainty_weights_learn_the_noise_of_each_target() -> None:
    """Closed form: the least of exp(-s) / 2 * E + s / 2 is at exp(s) = E, the mean squared error: weight 1 / (2 E)."""
    schema = schema_of((1,)).model_copy(update={"extra_targets": (ExtraTarget(name="b"), ExtraTarget(name="c"))})
    random, noise = np.random.default_rng(0), np.array([0.1, 0.5, 2.0])
    x = torch.from_numpy(random.normal(size=(4000, 1))).float()
    y = x * torch.tensor([1.0, -2.0, 3.0]) + torch.from_numpy(random.normal(0, noise, size=(4000, 3))).float()
    y[2000:, 1] = torch.nan  # the number of rows that have it does not matter
    network, criterion = torch.nn.Linear(1, 3), MultiTaskLoss(schema, AUTO, LEARNED)
    optimizer = torch.optim.Adam([*network.parameters(), *criterion.parameters()], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        criterion(network(x), y).backward()
        optimizer.step()
    learned = criterion.learned_weights()
    assert list(learned) == ["weight/y", "weight/b", "weight/c"]
    np.testing.assert_allclose(list(learned.values()), 1 / (2 * noise**2), rtol=0.1)


def test_uncertainty_of_classes_is_twice_the_cross_entropy() -> None:
    criterion = MultiTaskLoss(CLASSES, AUTO, LEARNED)
    optimizer = torch.optim.Adam(criterion.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        criterion(OUT, Y).backward()
        optimizer.step()
    assert criterion.log_variances is not None
    expected = [
        2 * functional.cross_entropy(OUT[:, :3], KIND),
        ((OUT[:, 3] - MASS) ** 2).mean(),
        2 * functional.cross_entropy(OUT[:, 4:], SEX),
    ]
    torch.testing.assert_close(criterion.log_variances.exp().detach(), torch.stack(expected), rtol=1e-3, atol=0)


def test_only_learned_weights_are_logged_and_saved() -> None:
    assert MultiTaskLoss(CLASSES, AUTO, EQUAL).learned_weights() == {}
    assert MultiTaskLoss(CLASSES, AUTO, EQUAL).state_dict() == {}
    assert MultiTaskLoss(CLASSES, AUTO, LEARNED).learned_weights() == {
        "weight/y": 1.0,
        "weight/mass": 0.5,
        "weight/sex": 1.0,
    }
    assert set(MultiTaskLoss(CLASSES, AUTO, LEARNED).state_dict()) == {"log_variances"}


def test_a_single_target_has_a_supervised_loss() -> None:
    assert isinstance(build_loss(schema_of((2,), 3), AUTO, EQUAL), SupervisedLoss)
    assert isinstance(build_loss(CLASSES, AUTO, EQUAL), MultiTaskLoss)
