"""Losses and heads against torch, NumPy and closed forms."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch.nn import functional

from fivefold.config.training import LossConfig
from fivefold.data.schema import Schema
from fivefold.models.inference import RegressionHead, SigmoidHead
from fivefold.models.losses import SupervisedLoss, output_size

from ..conftest import schema_of

ADAPTER: TypeAdapter[Any] = TypeAdapter(LossConfig)
OUT, Y = torch.randn(16, 3, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3
VALUES = torch.randn(16, 2, generator=torch.Generator().manual_seed(1))
CLASSES, PAIR = schema_of((2,), 3), schema_of((2,), 2)
NUMBERS = schema_of((2,)).model_copy(update={"values": ("a", "b")})


def loss(name: str, **options: Any) -> Any:
    return ADAPTER.validate_json(json.dumps({"name": name, **options}))


def criterion(schema: Schema, name: str, weights: torch.Tensor | None = None, **options: Any) -> SupervisedLoss:
    return SupervisedLoss(schema, loss(name, **options), weights)


def test_default_loss_of_classes_is_cross_entropy() -> None:
    odds = np.exp(OUT.numpy())
    expected = -np.log(odds / odds.sum(1, keepdims=True))[np.arange(16), Y.numpy()].mean()
    assert float(criterion(CLASSES, "auto")(OUT, Y)) == pytest.approx(float(expected), rel=1e-5)
    assert float(criterion(CLASSES, "cross_entropy")(OUT, Y)) == pytest.approx(float(expected), rel=1e-5)


def test_label_smoothing_mixes_targets_with_the_uniform_distribution() -> None:
    shares = 0.9 * functional.one_hot(Y, 3) + 0.1 / 3
    expected = -(shares * functional.log_softmax(OUT, 1)).sum(1).mean()
    torch.testing.assert_close(criterion(CLASSES, "cross_entropy", label_smoothing=0.1)(OUT, Y), expected)


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "bce"])
def test_soft_labels_are_supported(name: str) -> None:
    schema = PAIR if name == "bce" else CLASSES
    out, y = (OUT[:, :1], Y % 2) if name == "bce" else (OUT, Y)
    loss = criterion(schema, name)
    torch.testing.assert_close(loss(out, functional.one_hot(y, len(schema.classes)).float()), loss(out, y))


def test_focal_loss_equals_its_closed_form() -> None:
    p = functional.softmax(OUT, 1)[torch.arange(16), Y]
    torch.testing.assert_close(criterion(CLASSES, "focal", gamma=2.0)(OUT, Y), (-((1 - p) ** 2) * p.log()).mean())
    torch.testing.assert_close(criterion(CLASSES, "focal", gamma=0.0)(OUT, Y), criterion(CLASSES, "auto")(OUT, Y))


def test_bce_is_cross_entropy_of_the_sigmoid() -> None:
    out, y = OUT[:, :1], Y % 2
    both = torch.cat([torch.zeros(16, 1), out], 1)  # softmax of (0, z) is the sigmoid of z
    torch.testing.assert_close(criterion(PAIR, "bce")(out, y), functional.cross_entropy(both, y))
    torch.testing.assert_close(SigmoidHead()(out, out), functional.softmax(both, 1))
    assert output_size(PAIR, loss("bce")) == 1


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "bce"])
def test_class_weights_scale_the_loss_of_rows(name: str) -> None:
    schema = PAIR if name == "bce" else CLASSES
    out, y = (OUT[:, :1], Y % 2) if name == "bce" else (OUT, Y)
    weights = torch.tensor([0.5, 2.0, 1.0])[: len(schema.classes)]
    each = torch.stack([criterion(schema, name)(out[i : i + 1], y[i : i + 1]) for i in range(16)])
    torch.testing.assert_close(criterion(schema, name, weights)(out, y), (each * weights[y]).mean())


def test_accuracy_is_the_share_of_correct_predictions() -> None:
    assert float(criterion(CLASSES, "auto").accuracy(OUT, Y)) == pytest.approx(
        float((OUT.argmax(1) == Y).float().mean())
    )  # type: ignore[arg-type]
    sure = torch.where(Y % 2 == 1, 3.0, -3.0)[:, None]
    assert float(criterion(PAIR, "bce").accuracy(sure, Y % 2)) == 1  # type: ignore[arg-type]
    assert criterion(NUMBERS, "auto").accuracy(VALUES, VALUES) is None


def test_default_loss_of_values_is_the_mean_squared_error() -> None:
    out, y = OUT[:, :2], VALUES
    assert float(criterion(NUMBERS, "auto")(out, y)) == pytest.approx(float(((out - y) ** 2).mean()))
    assert float(criterion(NUMBERS, "mse")(out, y)) == pytest.approx(float(((out - y) ** 2).mean()))
    assert float(criterion(NUMBERS, "mae")(out, y)) == pytest.approx(float((out - y).abs().mean()))


def test_huber_is_quadratic_within_delta_and_linear_beyond() -> None:
    huber = criterion(NUMBERS, "huber", delta=0.5)
    error = torch.tensor([[0.2, -0.4]])
    torch.testing.assert_close(huber(error, torch.zeros(1, 2)), (error**2 / 2).mean())
    torch.testing.assert_close(huber(error * 100, torch.zeros(1, 2)), (0.5 * ((error * 100).abs() - 0.25)).mean())


def test_quantile_loss_is_minimal_at_the_quantile() -> None:
    quantile_loss = criterion(schema_of((2,)), "quantile", quantiles=[0.2, 0.9])
    y = torch.linspace(0, 1, 1001)[:, None]
    guesses = torch.linspace(0, 1, 101)
    losses = torch.tensor([[float(quantile_loss(torch.tensor([[a, 0.9]]).expand(1001, 2), y)) for a in guesses]])
    assert float(guesses[losses.argmin()]) == pytest.approx(0.2, abs=0.011)
    assert output_size(NUMBERS, loss("quantile", quantiles=[0.1, 0.5, 0.9])) == 6


def test_quantiles_are_sorted_and_in_the_unit_of_the_target() -> None:
    head = RegressionHead(np.array([10.0, 0.0]), np.array([2.0, 1.0]), n_quantiles=3)
    predictions = head(torch.tensor([[1.0, -1.0, 0.0, 5.0, 6.0, 7.0]]), torch.zeros(1, 1))
    assert predictions.tolist() == [[8, 10, 12, 5, 6, 7]]


def test_differences_are_added_to_their_base_and_logarithms_inverted() -> None:
    x = torch.tensor([[3.0, 5.0]])
    assert RegressionHead(np.zeros(1), np.ones(1), base_indices=np.array([1]))(torch.tensor([[2.0]]), x).tolist() == [
        [7]
    ]
    prediction = RegressionHead(np.zeros(1), np.ones(1), base_indices=np.array([1]), log_target=True)(
        torch.tensor([[2.0]]).log(), x
    )
    assert prediction.item() == pytest.approx(10)  # twice as much


def test_next_tokens_of_all_steps_are_averaged() -> None:
    out = torch.randn(4, 6, 3)
    y = torch.arange(24).reshape(4, 6) % 3
    expected = functional.cross_entropy(out.reshape(24, 3), y.reshape(24))
    torch.testing.assert_close(criterion(CLASSES, "auto")(out, y), expected)
