"""Diagnostics of trainings with a known problem, and of good trainings, which have no findings."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn

import fivefold.training.supervised
from fivefold.config.training import AutoLoss, BCELoss, CrossEntropyLoss, LossConfig, MeanErrorLoss, QuantileLoss
from fivefold.data.dataset import Array, Dataset
from fivefold.data.schema import Schema
from fivefold.errors import TrainingError
from fivefold.models.losses import SupervisedLoss
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.training.diagnostics.causes import compute_input_stats, constant_prediction_loss
from fivefold.training.fit import FitResult, fit

from ...conftest import dataset_of, schema_of
from ..helpers import InterruptedEpochError, interrupt_at, model

EPOCHS = 15


def rows(n: int, features: int = 3, seed: int = 0) -> tuple[Array, Array]:
    x = np.random.default_rng(seed).normal(size=(n, features))
    return x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(np.int64)


def learnable(n: int = 400, features: int = 3, scale: float = 1.0) -> Dataset:
    splits = (rows(size, features, seed) for seed, size in enumerate((n, 200, 20)))
    return dataset_of(schema_of((features,), 2), *((scale * x, y) for x, y in splits))


def train(
    folder: Path,
    data: Dataset,
    *,
    network: dict[str, Any] | None = None,
    on_epoch: Callable[[int, dict[str, float], bool], None] = lambda *_: None,
    **training: Any,
) -> FitResult:
    block = {"family": "mlp", "hidden": [16], **(network or {})}
    params = model(block, **{"max_epochs": EPOCHS, **training})
    return fit("m", params, data, Pipeline("float64", ()), seed=1, checkpoint_folder=folder, on_epoch=on_epoch)


def rules(fitted: FitResult) -> list[str]:
    return [finding.rule for finding in fitted.diagnosis.findings]


def optimizer(name: str, lr: float) -> dict[str, Any]:
    return {"name": name, "lr": lr}


def test_good_training_has_no_findings(tmp_path: Path) -> None:
    options = {"optimizer": optimizer("adam", 0.03), "schedule": {"name": "one_cycle"}, "max_epochs": 30}
    fitted = train(tmp_path, learnable(), **options)
    assert fitted.history["val/loss"].min() < 0.3
    assert fitted.diagnosis.summary_lines() == ["no training problems found"]


def test_learning_rate_of_10_is_too_high(tmp_path: Path) -> None:
    fitted = train(tmp_path, learnable(), optimizer=optimizer("sgd", 10.0))
    assert rules(fitted) == ["lr_too_high"]
    assert (
        "lower training.optimizer.lr (now 10) or set training.gradient_clip_norm" in fitted.diagnosis.summary_lines()[0]
    )


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_learning_rate_of_1e_7_is_too_low(tmp_path: Path, name: str) -> None:
    assert rules(train(tmp_path, learnable(), optimizer=optimizer(name, 1e-7))) == ["lr_too_low"]


def test_unscaled_input_is_a_finding(tmp_path: Path) -> None:
    fitted = train(tmp_path, learnable(scale=1e4), optimizer=optimizer("adam", 0.003))
    assert rules(fitted) == ["unscaled_input"]
    assert "set datasets.d.normalize to standard" in fitted.diagnosis.summary_lines()[0]


def test_wide_network_on_20_rows_overfits(tmp_path: Path) -> None:
    options = {"max_epochs": 60, "optimizer": optimizer("adam", 0.003)}
    fitted = train(tmp_path, learnable(20, 10), network={"hidden": [256, 256]}, **options)
    assert rules(fitted) == ["overfitting"]


def test_dead_units_are_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_network = fivefold.training.supervised.build_network

    def build_dead_network(*args: Any) -> nn.Module:
        network = build_network(*args)
        first = next(module for module in network.modules() if isinstance(module, nn.Linear))
        nn.init.constant_(first.bias, -100.0)
        return network

    monkeypatch.setattr(fivefold.training.supervised, "build_network", build_dead_network)
    fitted = train(tmp_path, learnable(), optimizer=optimizer("adam", 0.001))
    assert rules(fitted) == ["dead_units"]
    assert "100% of the units of layers.2 are 0 for all rows" in fitted.diagnosis.summary_lines()[0]


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
def test_zero_initial_weights_have_a_single_remedy(tmp_path: Path, activation: str) -> None:
    network = {"init": "zeros", "activation": activation}
    fitted = train(tmp_path, learnable(), network=network, optimizer=optimizer("adam", 0.003))
    (line,) = fitted.diagnosis.summary_lines()
    assert "; try network.init " in line


@pytest.mark.parametrize("options", [optimizer("adam", 0.003), optimizer("sgd", 0.1)], ids=lambda block: block["name"])
def test_gradients_vanish_in_12_layers_of_sigmoids(tmp_path: Path, options: dict[str, Any]) -> None:
    deep = {"hidden": [16] * 12, "activation": "sigmoid"}
    fitted = train(tmp_path, learnable(), network=deep, optimizer=options)
    assert rules(fitted) == ["vanishing_gradients"]
    first = [norms[0] for norms in fitted.diagnosis.measurements["gradient_norm"].values()]
    assert all(norm < next_norm for norm, next_norm in pairwise(first))  # increasing towards the output


def adding_problem(n: int, steps: int, seed: int) -> tuple[Array, Array]:
    """Return sequences whose target is the sum of two marked values, as in tests/models/test_long_memory.py."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, steps, 2))
    x[:, :, 0] = rng.random((n, steps))
    for half in (0, 1):
        x[np.arange(n), rng.integers(0, steps // 2, n) + half * steps // 2, 1] = 1
    return x, (x[:, :, 0] * x[:, :, 1]).sum(1)


def test_gradients_of_a_plain_rnn_vanish_through_100_steps(tmp_path: Path) -> None:
    schema = schema_of((100, 2)).model_copy(update={"kind": "sequences", "features": ("value", "mark"), "columns": ()})
    data = dataset_of(schema, *(adding_problem(n, 100, n) for n in (512, 400, 20)))
    cell = {"family": "rnn", "cell": "rnn", "hidden": [16], "init": "default"}
    options = {"max_epochs": 5, "batch_size": 64, "gradient_clip_norm": 1.0, "optimizer": optimizer("adam", 0.005)}
    fitted = train(tmp_path, data, network=cell, **options)
    assert rules(fitted) == ["vanishing_through_time"]
    assert "network.cell lstm" in fitted.diagnosis.summary_lines()[0]


def test_loss_that_is_not_finite_has_a_remedy(tmp_path: Path) -> None:
    remedy = r"train/loss must be finite, but is \w+ in epoch 0; lower training.optimizer.lr \(now 1e\+12\)"
    with pytest.raises(TrainingError, match=remedy):
        train(tmp_path, learnable(), optimizer=optimizer("sgd", 1e12))


def test_loss_that_is_not_finite_due_to_unscaled_input_has_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"loss must be finite, but is \w+ in epoch \d+; feature \d has the root mean square"
    ):
        train(tmp_path, learnable(scale=1e30), network={"activation": "silu"}, optimizer=optimizer("sgd", 1.0))


def test_resumed_training_has_the_same_measurements(tmp_path: Path) -> None:
    uninterrupted = train(tmp_path / "uninterrupted", learnable())
    with pytest.raises(InterruptedEpochError):
        train(tmp_path / "resumed", learnable(), on_epoch=lambda epoch, *_: interrupt_at(6)(epoch))
    resumed = train(tmp_path / "resumed", learnable())
    assert resumed.is_resumed
    assert resumed.diagnosis == uninterrupted.diagnosis
    assert (
        [*resumed.diagnosis.measurements["gradient_norm"]]
        == [*uninterrupted.diagnosis.measurements["gradient_norm"]]
        == ["layers.1", "layers.3"]
    )
    assert {len(v) for layers in uninterrupted.diagnosis.measurements.values() for v in layers.values()} == {EPOCHS}


def test_measurements_are_reported_per_epoch_and_not_in_the_history(tmp_path: Path) -> None:
    reported: list[dict[str, float]] = []
    fitted = train(tmp_path, learnable(), on_epoch=lambda _, metrics, __: reported.append(metrics))
    measurements = fitted.diagnosis.measurements
    assert [metrics["diagnostics/gradient_norm/layers.1"] for metrics in reported] == measurements["gradient_norm"][
        "layers.1"
    ]
    assert [metrics["diagnostics/dead_fraction/layers.2"] for metrics in reported] == measurements["dead_fraction"][
        "layers.2"
    ]
    assert not [column for column in fitted.history if column.startswith("diagnostics")]


def test_mixed_precision_measures_unscaled_gradients(tmp_path: Path) -> None:
    plain, mixed = (
        train(tmp_path / precision, learnable(), precision=precision, max_epochs=1).diagnosis.measurements[
            "gradient_norm"
        ]
        for precision in ("32", "16")
    )
    for layer, (norm,) in plain.items():
        assert mixed[layer] == [pytest.approx(norm, rel=0.05)]


def test_activations_of_a_compiled_network_are_not_measured(tmp_path: Path) -> None:
    fitted = train(tmp_path, learnable(), compile=True, max_epochs=1)
    assert fitted.diagnosis.measurements["dead_fraction"] == {}
    assert len(fitted.diagnosis.measurements["gradient_norm"]) == 2


def test_constant_prediction_loss_of_classes_equals_that_of_scikit_learn() -> None:
    schema, y = schema_of((3,), 3), torch.tensor([0, 0, 1, 2])
    train = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    criterion = SupervisedLoss(schema, CrossEntropyLoss(name="cross_entropy"))
    expected = log_loss(y, [[0.5, 0.3, 0.2]] * 4)
    assert constant_prediction_loss(criterion, train, y, is_balanced=False) == pytest.approx(expected, rel=1e-4)
    assert constant_prediction_loss(criterion, train, y, is_balanced=True) == pytest.approx(np.log(3), rel=1e-4)
    binary = SupervisedLoss(schema_of((3,), 2), BCELoss(name="bce"))
    y = torch.tensor([0] * 3 + [1])
    assert constant_prediction_loss(binary, y, y, is_balanced=False) == pytest.approx(log_loss(y, [0.25] * 4), rel=1e-3)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (AutoLoss(name="auto"), 4.0),  # standard deviation 2 around 1
        (MeanErrorLoss(name="mae"), 2.0),
        (QuantileLoss(name="quantile", quantiles=(0.25, 0.5, 0.75)), (0.5 + 1.0 + 0.5) / 3),
    ],
)
def test_constant_prediction_loss_of_values(loss: LossConfig, expected: float) -> None:
    y = torch.tensor([-1.0, 3.0] * 50)[:, None]
    criterion = SupervisedLoss(schema_of((3,)), loss)
    # the mean is 1, both values are medians, and the lower and the upper quartile are the two values
    assert constant_prediction_loss(criterion, y, y, is_balanced=False) == pytest.approx(expected)


def input_stats(schema: Schema, x: torch.Tensor, y: torch.Tensor) -> Any:
    criterion = SupervisedLoss(schema, AutoLoss(name="auto"))
    return compute_input_stats(schema, ("age", "height", "weight"), (x, y), (x, y), criterion, is_balanced=False)


def test_root_mean_squares_missing_classes_and_constant_targets() -> None:
    x = torch.tensor([[3.0, 0.0, 1.0], [-3.0, 0.0, 1.0]])
    stats = input_stats(schema_of((3,), 3), x, torch.tensor([1, 1]))
    # the median ignores the feature that is always 0
    assert (stats.max_rms, stats.median_rms, stats.max_rms_feature) == (3.0, 1.0, "age")
    assert (stats.missing_classes, stats.has_constant_target) == (("class0", "class2"), True)
    images = torch.full((2, 3, 4, 4), 2.0)
    images[:, 1] = 7.0
    stats = input_stats(schema_of((3, 4, 4), 2), images, torch.tensor([0, 1]))
    assert (stats.max_rms, stats.max_rms_feature, stats.has_constant_target) == (7.0, "height", False)
