"""Losses of a stack: those of the objectives, and gradients that autograd finds."""

from typing import Any

import pytest
import torch

from fivefold.models.autoencoder.loss import AutoencoderLoss
from fivefold.models.autoencoder.network import AutoencoderOutput
from fivefold.models.factory import InputSpec
from fivefold.models.losses import SupervisedLoss, output_size
from fivefold.training.vectorized.losses import build_row_loss, soft_targets

from ...conftest import schema_of
from .cases import AUTOENCODER, MLP, model

CLASSES = [{"name": "cross_entropy", "label_smoothing": 0.1}, {"name": "focal"}, {"name": "focal", "gamma": 0.0}]
VALUES = [{"name": "mse"}, {"name": "mae"}, {"name": "huber", "delta": 0.5}, {"name": "quantile", "levels": [0.2, 0.7]}]
RECORDS = [{"name": "auto"}, {"name": "bce"}, {"name": "mae"}]


def check(params: Any, classes: int, out: torch.Tensor, told: torch.Tensor, mean: torch.Tensor) -> None:
    """Rows of two networks, (2, b, k), against the mean loss of each, (2,), and its gradient."""
    losses, gradient = build_row_loss(params, classes)(out.detach(), told)
    torch.testing.assert_close(losses.mean(1), mean.detach())
    (expected,) = torch.autograd.grad(mean.sum(), out)
    torch.testing.assert_close(gradient / out.shape[1], expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [*CLASSES, {"name": "bce"}], ids=str)
def test_losses_of_classes(loss: dict[str, Any], weighted: bool) -> None:
    torch.manual_seed(0)
    classes = 2 if loss["name"] == "bce" else 4
    params, schema = model(MLP, loss=loss), schema_of((3,), classes)
    weights = torch.arange(1.0, classes + 1) if weighted else None
    out = torch.randn(2, 7, output_size(schema, params.training.loss), requires_grad=True)
    y = torch.randint(classes, (2, 7))
    objective = SupervisedLoss(schema, params.training.loss, weights)
    mean = torch.stack([objective(*pair) for pair in zip(out, y, strict=True)])
    told = torch.stack([soft_targets(params, each, classes, weights) for each in y])
    check(params, classes, out, told, mean)


@pytest.mark.parametrize("loss", VALUES, ids=str)
def test_losses_of_values(loss: dict[str, Any]) -> None:
    torch.manual_seed(0)
    params = model(MLP, loss=loss)
    schema = schema_of((3,)).model_copy(update={"values": ("y", "z")})
    out = torch.randn(2, 7, output_size(schema, params.training.loss), requires_grad=True)
    y = torch.randn(2, 7, 2)
    y[0, 0] = out[0, 0, :2].detach()  # told exactly, where a slope has two sides
    objective = SupervisedLoss(schema, params.training.loss)
    check(params, 0, out, y, torch.stack([objective(*pair) for pair in zip(out, y, strict=True)]))


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
@pytest.mark.parametrize("loss", RECORDS, ids=str)
def test_losses_of_records(loss: dict[str, Any], output: str) -> None:
    torch.manual_seed(0)
    params = model(AUTOENCODER | {"output": output}, loss=loss)
    out, x = torch.randn(2, 7, 5, requires_grad=True), torch.randn(2, 7, 5)
    objective = AutoencoderLoss(params.network, params.training.loss, InputSpec((5,), 5))  # type: ignore[arg-type]
    mean = torch.stack([objective(AutoencoderOutput(told, told), y) for told, y in zip(out, x, strict=True)])
    check(params, 0, out, x, mean)
