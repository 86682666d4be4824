"""Batched losses equal those of the criteria, and their gradients those of autograd."""

from typing import Any

import pytest
import torch

from fivefold.models.autoencoder.loss import AutoencoderLoss
from fivefold.models.autoencoder.network import AutoencoderOutput
from fivefold.models.factory import InputSpec
from fivefold.models.losses import SupervisedLoss, output_size
from fivefold.training.vectorized.losses import build_row_loss, soft_targets

from ...conftest import schema_of
from .helpers import AUTOENCODER, MLP, model

CLASSES = [{"name": "cross_entropy", "label_smoothing": 0.1}, {"name": "focal"}, {"name": "focal", "gamma": 0.0}]
VALUES = [
    {"name": "mse"},
    {"name": "mae"},
    {"name": "huber", "delta": 0.5},
    {"name": "quantile", "quantiles": [0.2, 0.7]},
]
RECONSTRUCTION = [{"name": "auto"}, {"name": "bce"}, {"name": "mae"}]


def check(params: Any, classes: int, out: torch.Tensor, targets: torch.Tensor, mean: torch.Tensor) -> None:
    """Compare losses and gradients of two networks, (2, b, k), with their mean losses, (2,), and autograd."""
    losses, gradient = build_row_loss(params, classes)(out.detach(), targets)
    torch.testing.assert_close(losses.mean(1), mean.detach())
    (expected,) = torch.autograd.grad(mean.sum(), out)
    torch.testing.assert_close(gradient / out.shape[1], expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [*CLASSES, {"name": "bce"}], ids=str)
def test_classification_losses(loss: dict[str, Any], weighted: bool) -> None:
    torch.manual_seed(0)
    classes = 2 if loss["name"] == "bce" else 4
    params, schema = model(MLP, loss=loss), schema_of((3,), classes)
    weights = torch.arange(1.0, classes + 1) if weighted else None
    out = torch.randn(2, 7, output_size(schema, params.training.loss), requires_grad=True)
    y = torch.randint(classes, (2, 7))
    criterion = SupervisedLoss(schema, params.training.loss, weights)
    mean = torch.stack([criterion(*pair) for pair in zip(out, y, strict=True)])
    targets = torch.stack([soft_targets(params, each, classes, weights) for each in y])
    check(params, classes, out, targets, mean)


@pytest.mark.parametrize("loss", VALUES, ids=str)
def test_regression_losses(loss: dict[str, Any]) -> None:
    torch.manual_seed(0)
    params = model(MLP, loss=loss)
    schema = schema_of((3,)).model_copy(update={"values": ("y", "z")})
    out = torch.randn(2, 7, output_size(schema, params.training.loss), requires_grad=True)
    y = torch.randn(2, 7, 2)
    y[0, 0] = out[0, 0, :2].detach()  # a prediction without error, where the gradient is not unique
    criterion = SupervisedLoss(schema, params.training.loss)
    check(params, 0, out, y, torch.stack([criterion(*pair) for pair in zip(out, y, strict=True)]))


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
@pytest.mark.parametrize("loss", RECONSTRUCTION, ids=str)
def test_reconstruction_losses(loss: dict[str, Any], output: str) -> None:
    torch.manual_seed(0)
    params = model(AUTOENCODER | {"output_activation": output}, loss=loss)
    out, x = torch.randn(2, 7, 5, requires_grad=True), torch.randn(2, 7, 5)
    criterion = AutoencoderLoss(params.network, params.training.loss, InputSpec((5,), 5))  # type: ignore[arg-type]
    mean = torch.stack([criterion(AutoencoderOutput(o, o), y) for o, y in zip(out, x, strict=True)])
    check(params, 0, out, x, mean)
