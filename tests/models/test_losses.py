"""Losses are what torch, NumPy or a closed form say."""

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


def objective(schema: Schema, name: str, weights: torch.Tensor | None = None, **options: Any) -> SupervisedLoss:
    return SupervisedLoss(schema, loss(name, **options), weights)


def test_of_classes_the_usual_loss_is_cross_entropy() -> None:
    odds = np.exp(OUT.numpy())
    expected = -np.log(odds / odds.sum(1, keepdims=True))[np.arange(16), Y.numpy()].mean()
    assert float(objective(CLASSES, "auto")(OUT, Y)) == pytest.approx(float(expected), rel=1e-5)
    assert float(objective(CLASSES, "cross_entropy")(OUT, Y)) == pytest.approx(float(expected), rel=1e-5)


def test_smoothing_gives_every_class_its_share() -> None:
    shares = 0.9 * functional.one_hot(Y, 3) + 0.1 / 3
    expected = -(shares * functional.log_softmax(OUT, 1)).sum(1).mean()
    torch.testing.assert_close(objective(CLASSES, "cross_entropy", label_smoothing=0.1)(OUT, Y), expected)


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "bce"])
def test_shares_of_classes_are_targets_as_well(name: str) -> None:
    schema = PAIR if name == "bce" else CLASSES
    out, y = (OUT[:, :1], Y % 2) if name == "bce" else (OUT, Y)
    told = objective(schema, name)
    torch.testing.assert_close(told(out, functional.one_hot(y, len(schema.classes)).float()), told(out, y))


def test_focal_counts_what_is_told_well_less() -> None:
    p = functional.softmax(OUT, 1)[torch.arange(16), Y]
    torch.testing.assert_close(objective(CLASSES, "focal", gamma=2.0)(OUT, Y), (-((1 - p) ** 2) * p.log()).mean())
    torch.testing.assert_close(objective(CLASSES, "focal", gamma=0.0)(OUT, Y), objective(CLASSES, "auto")(OUT, Y))


def test_bce_is_cross_entropy_of_the_sigmoid() -> None:
    out, y = OUT[:, :1], Y % 2
    both = torch.cat([torch.zeros(16, 1), out], 1)  # softmax of (0, z) is the sigmoid of z
    torch.testing.assert_close(objective(PAIR, "bce")(out, y), functional.cross_entropy(both, y))
    torch.testing.assert_close(SigmoidHead()(out, out), functional.softmax(both, 1))
    assert output_size(PAIR, loss("bce")) == 1


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "bce"])
def test_weights_count_rows(name: str) -> None:
    schema = PAIR if name == "bce" else CLASSES
    out, y = (OUT[:, :1], Y % 2) if name == "bce" else (OUT, Y)
    weights = torch.tensor([0.5, 2.0, 1.0])[: len(schema.classes)]
    each = torch.stack([objective(schema, name)(out[i : i + 1], y[i : i + 1]) for i in range(16)])
    torch.testing.assert_close(objective(schema, name, weights)(out, y), (each * weights[y]).mean())


def test_hits_are_the_share_told_rightly() -> None:
    assert float(objective(CLASSES, "auto").accuracy(OUT, Y)) == pytest.approx(
        float((OUT.argmax(1) == Y).float().mean())
    )  # type: ignore[arg-type]
    sure = torch.where(Y % 2 == 1, 3.0, -3.0)[:, None]
    assert float(objective(PAIR, "bce").accuracy(sure, Y % 2)) == 1  # type: ignore[arg-type]
    assert objective(NUMBERS, "auto").accuracy(VALUES, VALUES) is None


def test_of_values_the_usual_loss_is_the_mean_square() -> None:
    out, y = OUT[:, :2], VALUES
    assert float(objective(NUMBERS, "auto")(out, y)) == pytest.approx(float(((out - y) ** 2).mean()))
    assert float(objective(NUMBERS, "mse")(out, y)) == pytest.approx(float(((out - y) ** 2).mean()))
    assert float(objective(NUMBERS, "mae")(out, y)) == pytest.approx(float((out - y).abs().mean()))


def test_huber_is_a_square_within_delta_and_straight_beyond() -> None:
    told = objective(NUMBERS, "huber", delta=0.5)
    error = torch.tensor([[0.2, -0.4]])
    torch.testing.assert_close(told(error, torch.zeros(1, 2)), (error**2 / 2).mean())
    torch.testing.assert_close(told(error * 100, torch.zeros(1, 2)), (0.5 * ((error * 100).abs() - 0.25)).mean())


def test_the_quantile_that_costs_least_is_the_quantile() -> None:
    told = objective(schema_of((2,)), "quantile", quantiles=[0.2, 0.9])
    y = torch.linspace(0, 1, 1001)[:, None]
    guesses = torch.linspace(0, 1, 101)
    costs = torch.tensor([[float(told(torch.tensor([[a, 0.9]]).expand(1001, 2), y)) for a in guesses]])
    assert float(guesses[costs.argmin()]) == pytest.approx(0.2, abs=0.011)
    assert output_size(NUMBERS, loss("quantile", quantiles=[0.1, 0.5, 0.9])) == 6


def test_quantiles_are_told_in_order_and_in_their_unit() -> None:
    output = RegressionHead(np.array([10.0, 0.0]), np.array([2.0, 1.0]), n_quantiles=3)
    told = output(torch.tensor([[1.0, -1.0, 0.0, 5.0, 6.0, 7.0]]), torch.zeros(1, 1))
    assert told.tolist() == [[8, 10, 12, 5, 6, 7]]


def test_values_are_added_to_their_base_and_logarithms_taken_back() -> None:
    x = torch.tensor([[3.0, 5.0]])
    assert RegressionHead(np.zeros(1), np.ones(1), base_indices=np.array([1]))(torch.tensor([[2.0]]), x).tolist() == [
        [7]
    ]
    told = RegressionHead(np.zeros(1), np.ones(1), base_indices=np.array([1]), log_target=True)(
        torch.tensor([[2.0]]).log(), x
    )
    assert told.item() == pytest.approx(10)  # twice as much


def test_the_next_tokens_of_all_steps_are_rows() -> None:
    out = torch.randn(4, 6, 3)
    y = torch.arange(24).reshape(4, 6) % 3
    expected = functional.cross_entropy(out.reshape(24, 3), y.reshape(24))
    torch.testing.assert_close(objective(CLASSES, "auto")(out, y), expected)
